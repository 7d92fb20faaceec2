//! The places where `ci/test` and `ci/build` put what the tests use. If a tool is missing, the test fails and names the
//! command to run.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// An architecture of the layer, with the name that the zips and RIE use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    Arm64,
    X86_64,
}

impl Arch {
    /// The architecture of this machine.
    pub const NATIVE: Self = if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::X86_64 };

    pub fn name(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::X86_64 => "x86_64",
        }
    }

    /// Returns the layer zip that `ci/build` made.
    pub fn layer_zip(self) -> PathBuf {
        let zip = root().join(format!("dist/sentry-lambda-extension-{}.zip", self.name()));
        existing(zip, "ci/build")
    }

    /// Returns the program of the Runtime Interface Emulator.
    pub fn rie(self) -> PathBuf {
        existing(root().join(format!(".tools/rie/aws-lambda-rie-{}", self.name())), "ci/test")
    }
}

/// Returns the binary of Sentry's Relay.
pub fn sentry_relay() -> PathBuf {
    existing(root().join(".tools/sentry-relay-binary"), "ci/relay")
}

/// Returns the Python packages of a virtual environment in `.tools/`.
pub fn site_packages(environment: &str) -> PathBuf {
    let lib = existing(root().join(".tools").join(environment).join("lib"), "ci/test");
    let python = fs::read_dir(&lib).unwrap().map(|entry| entry.unwrap().path().join("site-packages"));
    python
        .into_iter()
        .find(|site| site.is_dir())
        .unwrap_or_else(|| existing(lib.join("site-packages"), "ci/test"))
}

/// Returns the npm packages.
pub fn node_modules() -> PathBuf {
    existing(root().join("ci/node_modules"), "ci/test")
}

/// Returns the npm packages of OpenTelemetry's SDK.
pub fn opentelemetry_modules() -> PathBuf {
    existing(root().join("ci/opentelemetry/node_modules"), "ci/test")
}

/// Returns the folder of a function that the tests deploy.
pub fn function(name: &str) -> PathBuf {
    existing(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/functions").join(name), "git checkout")
}

/// Returns the path of a program on the PATH, with links resolved.
pub fn program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    let found = found.unwrap_or_else(|| panic!("{name} is not installed: run ci/test"));
    found.canonicalize().unwrap()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn existing(path: PathBuf, command: &str) -> PathBuf {
    assert!(path.exists(), "{} is missing: run {command}", path.display());
    path
}
