//! `publisher doctor`: shows the tools that a build needs, or with `--aws` the account and its regions.

mod aws;
mod rights;

use crate::{
    build::{
        inventory::{self, Finding, Purpose},
        workspace::Workspace,
    },
    commands::{
        common::account::{self, AccountOptions, RegionOptions},
        iam_policy::Step,
    },
    failure::{Code, Failure, chain},
    ui::{self, Ui},
};

/// Arguments of `publisher doctor`.
#[derive(clap::Args)]
pub(crate) struct Doctor {
    /// Look at AWS instead of this machine: whose credentials these are, what they may do, which regions are ready, and
    /// their room for code; nothing is written
    #[arg(long)]
    aws: bool,

    /// Check the rights for these steps, by simulation
    #[arg(long = "for", value_name = "STEP,…", value_enum, value_delimiter = ',',
        default_values = ["publish", "verify"])]
    steps: Vec<Step>,

    /// The layers' names, as `publisher publish` is given them, on which the rights are checked; may be repeated
    #[arg(long, value_name = "TEMPLATE",
        default_values = ["SentryLambdaExtension-{arch}", "SentryLambdaExtensionRelay-{arch}"])]
    layer_name: Vec<String>,

    #[command(flatten)]
    regions: RegionOptions,

    #[command(flatten)]
    account_options: AccountOptions,
}

impl Doctor {
    /// Shows the tools that are present and those that are missing. Fails if a build would fail.
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        if self.aws {
            let check = self.check_aws(ui);
            return account::runtime()?.block_on(check);
        }
        let options = &self.regions;
        if !options.regions.is_empty() || !options.exclude.is_empty() {
            return Err(
                Failure::message(Code::Usage, "regions are looked at with --aws only").hint("add --aws")
            );
        }
        let workspace = Workspace::find();
        if let Err(error) = &workspace {
            ui.warning(chain(error));
        }
        let findings = inventory::take(workspace.as_ref().ok());
        if ui.json() {
            ui.result(serde_json::to_string_pretty(&findings).map_err(Failure::new)?);
        } else {
            ui.result(table(&findings));
        }
        let missing: Vec<&str> = findings
            .iter()
            .filter(|finding| !finding.ok && finding.purpose == Purpose::Build)
            .map(|finding| finding.tool.as_str())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let message = format!("missing for `publisher build`: {}", missing.join(", "));
        Err(Failure::message(Code::Failed, message).hint("the last column says how to fix it"))
    }
}

fn table(findings: &[Finding]) -> String {
    let rows = findings.iter().map(|finding| {
        let purpose = match finding.purpose {
            Purpose::Build => "build",
            Purpose::Test => "test",
            Purpose::Publish => "publish",
        };
        let last = match (&finding.mend, &finding.path) {
            (Some(mend), _) => mend.clone(),
            (None, Some(path)) => path.display().to_string(),
            (None, None) => String::new(),
        };
        let state = if finding.ok { "ok" } else { "missing" };
        let version = finding.version.clone().unwrap_or_default();
        [finding.tool.clone(), purpose.to_owned(), state.to_owned(), version, last]
    });
    ui::table(["tool", "for", "state", "version", "where it is, or how to fix it"], rows)
}
