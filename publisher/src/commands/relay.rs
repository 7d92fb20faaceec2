//! `publisher relay`: brings Sentry's own Relay for the layer. `build` makes it from Sentry's source package, and `pin`
//! records the hashes of a released version, so that a review can see them.

use crate::{
    build::{
        relay::{
            cross_build::{BuiltRelay, CrossBuild},
            lock::{self, Pin},
            recipe,
            registry::{self, file_name},
            store::Store,
            version::RelayVersion,
        },
        tools::Tools,
        workspace::Workspace,
    },
    failure::{Code, Failure},
    model::arch::Arch,
    ui::{self, Ui},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    num::NonZeroU32,
    path::{Path, PathBuf},
};

/// Arguments of `publisher relay`.
#[derive(clap::Args)]
pub(crate) struct Relay {
    #[command(subcommand)]
    verb: RelayCommand,
}

#[derive(clap::Subcommand)]
enum RelayCommand {
    /// Build it from Sentry's source package, for all of Lambda's runtimes; takes some 20 minutes of two cores for each
    /// architecture, once on a machine
    Build(BuildArgs),
    /// Download a version and record its sha256 in publisher/relay.lock, for review in a diff
    Pin(PinArgs),
}

#[derive(clap::Args)]
struct BuildArgs {
    /// Architecture to build for; may be repeated [default: both]
    #[arg(long = "arch", value_name = "ARCH", value_enum)]
    archs: Vec<Arch>,

    /// Number of compilers at a time [default: the number of cores]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZeroU32>,

    /// Folder for the binaries, which `publisher build --relay` takes [default: target/relay in the workspace]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(clap::Args)]
struct PinArgs {
    /// The version, e.g. 26.9.0
    #[arg(id = "relay-version", value_name = "VERSION")]
    version: RelayVersion,

    /// The release registry that knows Relay's versions
    #[arg(long, value_name = "URL", default_value = registry::DEFAULT)]
    relay_registry: String,
}

impl Relay {
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        match &self.verb {
            RelayCommand::Build(build) => build.run(ui),
            RelayCommand::Pin(pin) => pin.run(ui),
        }
    }
}

impl BuildArgs {
    fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let workspace = Workspace::find()?;
        let tools = Tools::find(&workspace, ui)?;
        let out = self.out.clone().unwrap_or_else(|| workspace.target_dir.join("relay"));
        let cannot_write = |error: io::Error| {
            let text = format!("cannot write to {}: {error}", out.display());
            Failure::message(Code::Failed, text).hint("choose a writable folder: --out DIR")
        };
        // It is tried now, and not only after the compiler has run for minutes.
        fs::create_dir_all(&out).map_err(cannot_write)?;
        let build = CrossBuild { workspace: &workspace, tools: &tools, jobs: self.jobs, ui };
        let archs: BTreeSet<Arch> =
            if self.archs.is_empty() { Arch::ALL.into() } else { self.archs.iter().copied().collect() };
        let mut relays = Vec::new();
        for arch in archs {
            let relay = build.run(arch)?;
            let path = out.join(file_name(arch));
            copy(&relay.path, &path).map_err(cannot_write)?;
            relays.push(BuiltRelay { path, ..relay });
        }
        if ui.json() {
            let rows: Vec<_> = relays.iter().map(description).collect();
            ui.result(serde_json::to_string_pretty(&rows).map_err(Failure::new)?);
        } else {
            ui.result(built_rows(&relays));
        }
        Ok(())
    }
}

/// Copies a binary, unless it is there already. A process may be running the old one, so it is replaced and not
/// written to.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let is_same = fs::read(to).is_ok_and(|old| fs::read(from).is_ok_and(|new| new == old));
    if is_same {
        return Ok(());
    }
    let aside = to.with_extension("aside");
    fs::copy(from, &aside)?;
    fs::rename(aside, to)
}

fn description(relay: &BuiltRelay) -> serde_json::Value {
    json!({
        "arch": relay.arch,
        "version": recipe::VERSION,
        "size": relay.size,
        "glibc": relay.glibc.map(|glibc| glibc.to_string()),
        "sha256": relay.sha256,
        "path": relay.path,
    })
}

fn built_rows(built: &[BuiltRelay]) -> String {
    let rows = built.iter().map(|relay| {
        let glibc = relay.glibc.map_or_else(|| "none".to_owned(), |glibc| glibc.to_string());
        let sha256 = relay.sha256.to_string();
        let size = relay.size.to_string();
        [
            relay.arch.to_string(),
            recipe::VERSION.to_owned(),
            size,
            glibc,
            sha256,
            relay.path.display().to_string(),
        ]
    });
    ui::table(["arch", "version", "bytes", "glibc", "sha256", "path"], rows)
}

impl PinArgs {
    fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let workspace = Workspace::find()?;
        let store = Store::new(&workspace, &self.relay_registry, ui)?;
        let pins = store.pin(self.version.as_str())?;
        for arch in Arch::ALL {
            if !pins.contains_key(&arch) {
                ui.warning(format_args!("Relay {} was not released for {arch}", self.version.as_str()));
            }
        }
        ui.status("Recorded", format_args!("{}; look at it with: git diff {0}", lock::FILE));
        if ui.json() {
            ui.result(serde_json::to_string_pretty(&pins).map_err(Failure::new)?);
        } else {
            ui.result(rows(&pins));
        }
        Ok(())
    }
}

fn rows(pins: &BTreeMap<Arch, Pin>) -> String {
    let rows =
        pins.iter().map(|(arch, pin)| [arch.to_string(), pin.size.to_string(), pin.sha256.to_string()]);
    ui::table(["arch", "bytes", "sha256"], rows)
}
