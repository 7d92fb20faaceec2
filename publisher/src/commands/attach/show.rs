//! What was, and what is: for a person and for a machine.

use crate::{
    attach::layer_list::{Family, ListChange, is_sentrys_sdk},
    aws::functions::{Environment, Function},
    commands::attach::wrapper,
    failure::Failure,
    model::arch::Arch,
    ui::Ui,
};
use serde::Serialize;

/// The result for machines.
#[derive(Serialize)]
pub(crate) struct AttachReport {
    /// Its ARN.
    pub(crate) function: String,
    /// The function's.
    pub(crate) arch: Arch,
    /// Lambda's identifier; empty where there is none.
    pub(crate) runtime: String,
    /// What was attached; null when detaching.
    pub(crate) layer: Option<String>,
    /// What was, or would be, done to the list of layers.
    pub(crate) action: ListChange,
    /// Whether anything is different now.
    pub(crate) changed: bool,
    /// Nothing was written, whatever else this says.
    pub(crate) dry_run: bool,
    /// Before.
    pub(crate) before: FunctionState,
    /// After; with `dry_run`, as it would be.
    pub(crate) after: FunctionState,
}

/// Before or after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct FunctionState {
    /// All layers, in order.
    pub(crate) layers: Vec<String>,
    /// `AWS_LAMBDA_EXEC_WRAPPER`; null where there is none, or where it cannot be read.
    pub(crate) exec_wrapper: Option<String>,
}

impl FunctionState {
    /// A function as it is.
    pub(crate) fn of(function: &Function) -> Self {
        let layers = function.layers.iter().map(|layer| layer.arn.clone()).collect();
        Self { layers, exec_wrapper: wrapper::of(function).map(str::to_owned) }
    }

    fn lines(&self) -> Vec<String> {
        let layers = self.layers.iter().enumerate().map(|(n, arn)| format!("{}. {arn}", n + 1));
        let wrapper = self.exec_wrapper.iter().map(|path| format!("{}={path}", wrapper::VARIABLE));
        let lines: Vec<String> = layers.chain(wrapper).collect();
        if lines.is_empty() { vec!["no layers".to_owned()] } else { lines }
    }
}

/// Prints it.
pub(crate) fn report(ui: &Ui, report: &AttachReport) -> Result<(), Failure> {
    if ui.json() {
        ui.result(serde_json::to_string_pretty(report).map_err(Failure::new)?);
        return Ok(());
    }
    let sides = [("before", &report.before), ("after", &report.after)];
    let lines = sides.into_iter().flat_map(|(title, side)| {
        let titles = std::iter::once(title).chain(std::iter::repeat(""));
        titles.zip(side.lines()).map(|(title, line)| format!("{title:<8}{line}"))
    });
    ui.result(lines.collect::<Vec<_>>().join("\n"));
    Ok(())
}

/// Says where the Relay in a layer cannot run: the extension then does without it.
pub(crate) fn compare_runtimes(ui: &Ui, function: &Function, runtimes: &[String]) {
    if !runtimes.is_empty() && !runtimes.contains(&function.runtime) {
        ui.warning(format!(
            "the Relay in this layer is not for {}, but for {}: where it cannot run, the extension does its work",
            function.runtime,
            runtimes.join(" ")
        ));
    }
}

/// What the change does not reach, and what would take it back.
pub(crate) fn tell_what_stays(ui: &Ui) {
    ui.status(
        "Note",
        "published versions keep their layers, and so do aliases that point to them and their provisioned concurrency: \
         publish a new version and point the alias to it",
    );
    ui.status(
        "Note",
        "a function that a template or an app deploys (CloudFormation, SAM, CDK, Terraform, Serverless) reverts to the \
         layers and variables written there at the next deployment: change those too, `publisher arn --format` has the \
         lines",
    );
}

/// What a person should know about a function that gets the layer.
pub(crate) fn advise(ui: &Ui, function: &Function, after: &FunctionState, family: &Family) {
    for arn in &after.layers {
        if is_sentrys_sdk(arn) {
            ui.warning(format!(
                "{arn} may bring Sentry's older extension along: only one of the two can have port 9000, and which \
                 one is chance; use the SDK as a package instead, or a layer without an extension"
            ));
        }
        if family.resembles(arn) {
            ui.warning(format!(
                "{arn} is another account's copy of this layer: the later of the two wins; remove one"
            ));
        }
    }
    if let Environment::Known(variables) = &function.environment
        && !variables.contains_key("SENTRY_DSN")
    {
        let wrapper = if after.exec_wrapper.is_some() || !wrapper::is_known_to(function) {
            String::new()
        } else {
            format!(
                "; with {}={} too (--exec-wrapper), code needs no change",
                wrapper::VARIABLE,
                wrapper::PATH
            )
        };
        ui.status("Next", format!("set the function's SENTRY_DSN, which says where to send things{wrapper}"));
    }
}
