//! `publisher relay pin`: records the hashes of a version of Sentry's own Relay, so that a review can see them.

use crate::{
    build::{
        relay::{
            lock::{self, Pin},
            registry,
            source::RelayVersion,
            store::Store,
        },
        workspace::Workspace,
    },
    failure::Failure,
    model::arch::Arch,
    ui::{self, Ui},
};
use std::collections::BTreeMap;

/// Arguments of `publisher relay`.
#[derive(clap::Args)]
pub(crate) struct Relay {
    #[command(subcommand)]
    verb: RelayCommand,
}

#[derive(clap::Subcommand)]
enum RelayCommand {
    /// Download a version and record its sha256 in publisher/relay.lock, for review in a diff
    Pin(PinArgs),
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
        let RelayCommand::Pin(pin) = &self.verb;
        pin.run(ui)
    }
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
