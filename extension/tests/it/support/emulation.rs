//! Decides how this machine runs programs of the layer's architecture.

use super::tools::{self, Arch};
use std::{ffi::OsString, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

/// The ways to run a program of another architecture, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emulation {
    /// No change is needed: the processor or the machine's own `binfmt_misc` runs it.
    None,
    /// The sandbox gets its own `binfmt_misc` with qemu, which needs a user namespace. The layer is not changed.
    Namespace,
    /// If user namespaces are forbidden, a script in `extensions/` starts qemu with the binary, which is moved beside
    /// it.
    Wrapper,
}

/// The flag `F` opens qemu at the registration, so that it is available in every mount namespace. `P` keeps `argv[0]`.
const REGISTRATION: &str = concat!(
    r":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00",
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:QEMU:FP"
);

/// The outer user namespace owns `binfmt_misc`. The inner one restores the user of the function.
const ENTER: &str = r#"
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
    printf %s "$0" >/proc/sys/fs/binfmt_misc/register
    exec unshare --user --map-user=993 --map-group=990 "$@""#;

impl Emulation {
    /// Finds the first way that runs the layer's own binary.
    pub fn of(arch: Arch, extension: &Path) -> Self {
        if arch == Arch::NATIVE {
            return Self::None;
        }
        assert_eq!(arch, Arch::Arm64, "emulated is arm64 alone");
        let works = |way: &Self| {
            let mut words = way.prefix();
            words.extend([extension.into(), "--version".into()]);
            // The trial runs in a mount namespace of its own, so that it does not change the machine.
            Command::new("unshare")
                .arg("--mount")
                .args(words)
                .output()
                .is_ok_and(|done| done.status.success())
        };
        let way = [Self::None, Self::Namespace].into_iter().find(works).unwrap_or(Self::Wrapper);
        eprintln!("{} on this machine by {way:?}", arch.name());
        way
    }

    /// Returns the words to put before a command, so that it runs as uid 993, and it and its children may be of the
    /// other architecture.
    pub fn prefix(self) -> Vec<OsString> {
        if self != Self::Namespace {
            return Vec::new();
        }
        let registration = REGISTRATION.replace("QEMU", &qemu());
        let words = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec", ENTER, &registration];
        words.map(OsString::from).to_vec()
    }

    /// Returns the interpreter to put before RIE itself, if it needs one.
    pub fn interpreter(self) -> Option<String> {
        (self == Self::Wrapper).then(qemu)
    }

    /// Changes an unpacked layer, if the way needs that.
    pub fn prepare(self, layer: &Path) {
        if self != Self::Wrapper {
            return;
        }
        let name = "sentry-lambda-extension";
        let extension = layer.join("extensions").join(name);
        fs::create_dir(layer.join(".arm")).unwrap();
        fs::rename(&extension, layer.join(".arm").join(name)).unwrap();
        let script = format!("#!/bin/sh\nexec {} -0 \"$0\" /opt/.arm/{name} \"$@\"\n", qemu());
        fs::write(&extension, script).unwrap();
        fs::set_permissions(&extension, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn qemu() -> String {
    tools::program("qemu-aarch64-static").to_str().unwrap().to_owned()
}
