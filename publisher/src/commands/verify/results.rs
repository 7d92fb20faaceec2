//! What `publisher verify` prints about all layer versions, and passes to GitHub Actions.

use super::version_check::Check;
use crate::{
    artifacts::layers_manifest::LayersManifest,
    failure::{Code, Failure},
    github_actions::WorkflowStep,
    ui::{self, Ui},
};
use std::collections::BTreeSet;

/// Writes the summary and the outputs of the workflow step, if GitHub Actions runs this command.
pub(super) fn report_to_github(manifest: &LayersManifest, checks: &[Check]) -> Result<(), Failure> {
    let step = WorkflowStep::from_env();
    let version = &manifest.version;
    let bad: Vec<&Check> = checks.iter().filter(|check| !check.ok).collect();
    step.summary(&if bad.is_empty() {
        format!("### {} layer versions of {version} are as layers.json says", checks.len())
    } else {
        let count = format!("{} of {} layer versions of {version}", bad.len(), checks.len());
        format!("### {count} are not as layers.json says\n\n`````text\n{}\n`````", table(bad))
    })?;
    step.output("version", version)?;
    step.output("layers", &serde_json::to_string(manifest).map_err(Failure::new)?)?;
    Ok(())
}

fn table<'a>(checks: impl IntoIterator<Item = &'a Check>) -> String {
    let line = |check: &Check| {
        let state = if check.ok { "ok" } else { "differs" };
        let state = if check.error.is_some() { "not read" } else { state };
        let state = if check.ok && check.unknown.is_some() { "unknown" } else { state };
        let mut notes: Vec<String> = check.differences.iter().map(ToString::to_string).collect();
        notes.extend(check.error.clone());
        notes.extend(check.unknown.clone());
        [check.region.to_string(), check.variant.to_string(), state.to_owned(), notes.join("; ")]
    };
    ui::table(["region", "layer", "state", ""], checks.into_iter().map(line))
}

pub(super) fn show(ui: &Ui, checks: &[Check]) -> Result<(), Failure> {
    if ui.json() {
        ui.result(serde_json::to_string_pretty(checks).map_err(Failure::new)?);
    } else {
        ui.result(table(checks));
    }
    let bad = checks.iter().filter(|check| !check.ok).count();
    if checks.is_empty() {
        return Err(Failure::message(Code::Failed, "layers.json lists no region at all")
            .hint("publish with `publisher publish --execute`"));
    }
    if bad > 0 {
        let text = format!("{bad} of {} layer versions are not as layers.json says", checks.len());
        return Err(Failure::message(Code::Failed, text)
            .hint("`publisher publish` shows how to repair them; with --execute it repairs them"));
    }
    let unknown = checks.iter().filter(|check| check.unknown.is_some());
    let regions: BTreeSet<&str> = unknown.clone().map(|check| check.region.as_str()).collect();
    if unknown.count() == checks.len() {
        let text = "the other account could not check any layer";
        return Err(Failure::message(Code::Failed, text)
            .hint("choose an account that has regions of layers.json enabled"));
    }
    if !regions.is_empty() {
        let regions: Vec<&str> = regions.into_iter().collect();
        ui.warning(format_args!(
            "not proven for the other account, which does not have these regions enabled: {}",
            regions.join(" ")
        ));
    }
    ui.status("Verified", format!("{} layer versions are as layers.json says", checks.len()));
    Ok(())
}
