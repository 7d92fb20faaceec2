//! A table for release notes: a row for each region, a column for each architecture.

use super::Table;

pub fn render(table: &Table) -> String {
    let arches = table.arches();
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let head = std::iter::once("Region".to_owned()).chain(arches.iter().map(ToString::to_string)).collect();
    let rule = vec!["---".to_owned(); arches.len() + 1];
    let rows = table.rows.iter().map(|(region, row)| {
        let cell = |arch| row.get(arch).map_or_else(|| "–".to_owned(), |arn| format!("`{arn}`"));
        line(std::iter::once(format!("`{region}`")).chain(arches.iter().map(cell)).collect())
    });
    [line(head), line(rule)].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}
