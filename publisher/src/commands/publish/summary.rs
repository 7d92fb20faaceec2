//! The summary of a run for the page of a GitHub Actions job.

use crate::{
    artifacts::layers_manifest::LayersManifest,
    publish::report::{self, Row},
    snippets::arn_table::arn_table,
};

/// The plan as Markdown or, after an execution, the ARNs to attach and the rows that failed.
pub(super) fn markdown(
    version: &str,
    execute: bool,
    layers: Option<&LayersManifest>,
    rows: &[Row],
) -> String {
    // The fence has five backticks, so that no message in the table can end it.
    let block = |rows: &[Row]| format!("`````text\n{}\n`````", report::table(rows));
    let count = report::summary(rows);
    if !execute {
        return format!("### Plan for {version}: {count}\n\n{}", block(rows));
    }
    let failed: Vec<Row> = rows.iter().filter(|row| row.error.is_some()).cloned().collect();
    let mut parts = vec![format!("### Layers of {version}: {count}")];
    parts.extend(layers.map(arn_table));
    if !failed.is_empty() {
        parts.push("Not done:".to_owned());
        parts.push(block(&failed));
    }
    parts.join("\n\n")
}
