//! Prints the plan of a run over many functions, its progress, and its result.

use crate::{
    attach::{function_state::FunctionState, layer_list::ListChange},
    commands::{
        attach::bulk::row::{Outcome, RegionPlan, Row},
        common::account,
    },
    failure::{Code, Failure},
    ui::{self, Ui},
};
use serde::Serialize;
use std::{collections::BTreeMap, path::Path};

/// Why functions were not reached.
pub(crate) const THROTTLED: &str = "AWS throttles the requests in this region";
pub(crate) const INTERRUPTED: &str = "the run was interrupted before its turn";
pub(crate) const CUT_OFF: &str =
    "the run was interrupted while it was being changed; the next run looks at it";
/// How many names a warning lists.
const NAMES: usize = 10;

/// The result as `--json` prints it.
#[derive(Serialize)]
struct Report<'a> {
    account: &'a str,
    dry_run: bool,
    /// The state file; null in a plan.
    state: Option<&'a Path>,
    /// The number of functions for each outcome.
    totals: BTreeMap<Outcome, usize>,
    functions: Vec<&'a Row>,
}

/// Prints the plan, and how to carry it out.
pub(crate) fn planned(ui: &Ui, plans: &[RegionPlan], account: &str) -> Result<(), Failure> {
    let rows: Vec<&Row> = plans.iter().flat_map(|plan| &plan.rows).collect();
    print(ui, account, &rows, None)?;
    let totals = totals(rows.iter().copied());
    if totals.contains_key(&Outcome::Planned) {
        let again = account::execute_command();
        let text = format!("{}; nothing was changed; to carry it out:  {again}", words(&totals));
        ui.status("Planned", text);
    } else {
        ui.status("Finished", format!("{}: nothing to do", words(&totals)));
    }
    conclusion(&totals, false, false)
}

/// Prints the result of a run, and how to take it back.
pub(crate) fn carried_out(
    ui: &Ui,
    account: &str,
    rows: &[Row],
    state: &Path,
    is_undo: bool,
    is_throttled: bool,
) -> Result<(), Failure> {
    let all: Vec<&Row> = rows.iter().collect();
    print(ui, account, &all, Some(state))?;
    let totals = totals(rows.iter());
    ui.status("Finished", words(&totals));
    let has_changed = totals.contains_key(&Outcome::Updated) || totals.contains_key(&Outcome::Unknown);
    if has_changed && !is_undo {
        let file = state.display();
        ui.status(
            "State",
            format!("{file}; to put everything back:  publisher attach --undo {file} --execute"),
        );
    }
    conclusion(&totals, true, is_throttled)
}

fn print(ui: &Ui, account: &str, rows: &[&Row], state: Option<&Path>) -> Result<(), Failure> {
    if ui.json() {
        let (totals, functions) = (totals(rows.iter().copied()), rows.to_vec());
        let report = Report { account, dry_run: state.is_none(), state, totals, functions };
        ui.result(serde_json::to_string_pretty(&report).map_err(Failure::new)?);
    } else if !rows.is_empty() {
        ui.result(table(rows.iter().copied()));
    }
    Ok(())
}

/// The functions as a table.
pub(crate) fn table<'a>(rows: impl IntoIterator<Item = &'a Row>) -> String {
    let rows = rows.into_iter().map(|row| {
        let arch = row.arch.map(|arch| arch.to_string()).unwrap_or_default();
        let mut notes: Vec<String> = row.why.iter().cloned().collect();
        notes.extend(row.managed_by.iter().map(|tool| format!("deployed by {tool}")));
        notes.extend(
            row.aliases.iter().map(|alias| format!("alias {} is version {}", alias.name, alias.version)),
        );
        [
            row.region.to_string(),
            row.name().to_owned(),
            row.runtime.clone(),
            arch,
            outcome(row),
            short(&row.before),
            if row.before == row.after { "=".to_owned() } else { short(&row.after) },
            notes.join("; "),
        ]
    });
    ui::table(
        ["region", "function", "runtime", "arch", "change", "layers before", "layers after", "note"],
        rows,
    )
}

/// What happens to a function, as one word.
fn outcome(row: &Row) -> String {
    let change = match row.action {
        ListChange::None => "variables",
        ListChange::Append => "add",
        ListChange::Replace => "replace",
        ListChange::Remove => "remove",
        ListChange::Restore => "put back",
    };
    match row.outcome {
        Outcome::Planned => change.to_owned(),
        other => word(other).to_owned(),
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Planned => "to change",
        Outcome::Unchanged => "unchanged",
        Outcome::Skipped => "skipped",
        Outcome::Refused => "refused",
        Outcome::Updated => "updated",
        Outcome::Failed => "failed",
        Outcome::Deleted => "deleted",
        Outcome::NotBegun => "not begun",
        Outcome::Unknown => "unknown",
    }
}

/// Layers by name and version, and the variables of the layer.
fn short(state: &FunctionState) -> String {
    let layer = |arn: &String| {
        let mut parts = arn.rsplit(':');
        let version = parts.next().unwrap_or_default();
        format!("{}:{version}", parts.next().unwrap_or_default())
    };
    let layers = state.layers.iter().map(layer);
    let wrapper = state.exec_wrapper.iter().map(|path| format!("wrapper={path}"));
    let settings = state
        .settings
        .iter()
        .map(|(name, value)| format!("{}={value}", name.strip_prefix("SENTRY_EXTENSION_").unwrap_or(name)));
    let all: Vec<String> = layers.chain(wrapper).chain(settings).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(" ") }
}

/// Prints that a function has ended.
pub(crate) fn ended(ui: &Ui, row: &Row, ended: usize, total: usize) {
    let verb = match row.outcome {
        Outcome::Updated => "Updated",
        Outcome::Unchanged => "Unchanged",
        Outcome::Deleted => "Deleted",
        Outcome::NotBegun => "Throttled",
        _ => "Failed",
    };
    let why = row.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    ui.status(verb, format!("{ended}/{total} {} {}{why}", row.region, row.name()));
}

/// Warns of what the change does not reach, and of what would take it back.
pub(crate) fn advise(ui: &Ui, plan: &RegionPlan, is_detach: bool) {
    let rows = || plan.rows.iter().filter(|row| row.outcome == Outcome::Planned);
    let managed = rows().filter_map(|row| Some(format!("{} ({})", row.name(), row.managed_by.as_ref()?)));
    warn(
        ui,
        plan,
        &managed.collect::<Vec<_>>(),
        "a template or module deploys these functions, and reverts the change at the next \
         deployment: change it there too, `publisher arn --format` has the lines",
    );
    let aliased = rows().filter(|row| !row.aliases.is_empty()).map(|row| {
        let aliases = row.aliases.iter().map(|alias| format!("{} → {}", alias.name, alias.version));
        format!("{} ({})", row.name(), aliases.collect::<Vec<_>>().join(", "))
    });
    warn(
        ui,
        plan,
        &aliased.collect::<Vec<_>>(),
        "aliases of these functions point to published versions, which keep their layers: \
         publish a new version and point the alias to it",
    );
    if !is_detach {
        let lacking = rows().filter(|row| row.lacks_dsn).map(|row| row.name().to_owned());
        warn(
            ui,
            plan,
            &lacking.collect::<Vec<_>>(),
            "these functions have no SENTRY_DSN, which says where the data goes",
        );
    }
}

fn warn(ui: &Ui, plan: &RegionPlan, names: &[String], what: &str) {
    if names.is_empty() {
        return;
    }
    let shown: Vec<&str> = names.iter().take(NAMES).map(String::as_str).collect();
    let more = names.len().saturating_sub(NAMES);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    ui.warning(format!("{}: {what}: {}{more}", plan.region, shown.join(", ")));
}

fn totals<'a>(rows: impl Iterator<Item = &'a Row>) -> BTreeMap<Outcome, usize> {
    let mut totals = BTreeMap::new();
    for row in rows {
        *totals.entry(row.outcome).or_default() += 1;
    }
    totals
}

fn words(totals: &BTreeMap<Outcome, usize>) -> String {
    let all: usize = totals.values().sum();
    let parts: Vec<String> =
        totals.iter().map(|(outcome, count)| format!("{count} {}", word(*outcome))).collect();
    format!("{all} functions: {}", if parts.is_empty() { "none".to_owned() } else { parts.join(", ") })
}

/// The exit code, and what to do next.
fn conclusion(
    totals: &BTreeMap<Outcome, usize>,
    is_execution: bool,
    is_throttled: bool,
) -> Result<(), Failure> {
    let count = |outcome| totals.get(&outcome).copied().unwrap_or_default();
    let (refused, failed) = (count(Outcome::Refused), count(Outcome::Failed));
    let open = count(Outcome::NotBegun) + count(Outcome::Unknown);
    if open > 0 {
        let why = if is_throttled { "AWS throttles" } else { "interrupted" };
        let text = format!("{why}: {open} functions are not done");
        return Err(Failure::message(Code::Incomplete, text)
            .hint(format!("run the same command again to resume:\n  {}", account::same_command())));
    }
    if refused + failed == 0 {
        return Ok(());
    }
    let text = format!("{} functions are not as they should be; the table says why", refused + failed);
    let next = if is_execution {
        "put them right, or leave them out; the others are done"
    } else {
        "put them right, or leave them out; with --execute, the others are changed nevertheless"
    };
    Err(Failure::message(Code::Failed, text).hint(next))
}
