//! Shows the state of the function before and after the change, as text or as JSON.

use crate::{
    attach::{
        function_state::FunctionState,
        layer_list::{Family, ListChange, is_sentrys_sdk},
    },
    aws::functions::{Environment, Function},
    commands::attach::wrapper,
    failure::Failure,
    model::arch::Arch,
    ui::Ui,
};
use serde::Serialize;

/// The result as `--json` prints it.
#[derive(Serialize)]
pub(crate) struct AttachReport {
    /// The ARN of the function.
    pub(crate) function: String,
    /// The architecture of the function.
    pub(crate) arch: Arch,
    /// The identifier of the runtime, for example `python3.13`. It is empty if the function has none.
    pub(crate) runtime: String,
    /// The ARN of the attached layer version; null when detaching.
    pub(crate) layer: Option<String>,
    /// The change to the list of layers that was or would be made.
    pub(crate) action: ListChange,
    pub(crate) changed: bool,
    /// Whether this was a dry run. If so, nothing was changed, even if `changed` is true.
    pub(crate) dry_run: bool,
    pub(crate) before: FunctionState,
    /// The state after the change. With `dry_run`, it is the state that the change would give.
    pub(crate) after: FunctionState,
}

fn lines(state: &FunctionState) -> Vec<String> {
    let layers = state.layers.iter().enumerate().map(|(n, arn)| format!("{}. {arn}", n + 1));
    let wrapper = state.exec_wrapper.iter().map(|path| format!("{}={path}", wrapper::VARIABLE));
    let settings = state.settings.iter().map(|(name, value)| format!("{name}={value}"));
    let lines: Vec<String> = layers.chain(wrapper).chain(settings).collect();
    if lines.is_empty() { vec!["no layers".to_owned()] } else { lines }
}

/// Prints the report as text, or as JSON with `--json`.
pub(crate) fn report(ui: &Ui, report: &AttachReport) -> Result<(), Failure> {
    if ui.json() {
        ui.result(serde_json::to_string_pretty(report).map_err(Failure::new)?);
        return Ok(());
    }
    let sides = [("before", &report.before), ("after", &report.after)];
    let lines = sides.into_iter().flat_map(|(title, side)| {
        let titles = std::iter::once(title).chain(std::iter::repeat(""));
        titles.zip(lines(side)).map(|(title, line)| format!("{title:<8}{line}"))
    });
    ui.result(lines.collect::<Vec<_>>().join("\n"));
    Ok(())
}

/// Warns if the Relay in the layer cannot run in the runtime of the function. The extension then works without Relay.
pub(crate) fn compare_runtimes(ui: &Ui, function: &Function, runtimes: &[String]) {
    if !runtimes.is_empty() && !runtimes.contains(&function.runtime) {
        ui.warning(format!(
            "the Relay in this layer is not for {}, but for {}: if it cannot run, the extension sends the data itself",
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

/// Prints advice for the user about the function to which the layer is attached.
pub(crate) fn advise(ui: &Ui, function: &Function, after: &FunctionState, family: &Family) {
    for arn in &after.layers {
        if is_sentrys_sdk(arn) {
            ui.warning(format!(
                "{arn} may contain an extension of Sentry's, which needs port 9000: leave 9000 out of \
                 SENTRY_EXTENSION_PORTS; the SDK uses this layer with {}={}, and otherwise with \
                 SENTRY_LAYER_EXTENSION=0",
                wrapper::VARIABLE,
                wrapper::PATH
            ));
        }
        if family.resembles(arn) {
            ui.warning(format!(
                "{arn} is another account's copy of this layer: the later one takes precedence; remove one"
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
        ui.status("Next", format!("set the function's SENTRY_DSN, which says where the data goes{wrapper}"));
    }
}
