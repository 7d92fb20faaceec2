//! The Markdown that `publisher verify --report` writes about what differs, for an issue or a message.

use super::version_check::Check;
use crate::{
    artifacts::{
        atomic_file::AtomicFile,
        layers_manifest::{LastRegions, LayersManifest},
    },
    aws::partition::RegionName,
    failure::Failure,
};
use std::{collections::BTreeSet, fmt::Write, path::Path};

/// The most rows of the table. An issue on GitHub has at most 65,536 characters.
const MAX_ROWS: usize = 100;
/// The most characters of what differs in one row.
const MAX_NOTES: usize = 400;

/// Writes the report. It is empty if nothing differs.
pub(super) fn write(
    file: &Path,
    manifest: &LayersManifest,
    checks: &[Check],
    missing: &LastRegions,
    uncovered: &BTreeSet<RegionName>,
) -> Result<(), Failure> {
    let text = text(manifest, checks, missing, uncovered);
    let written = AtomicFile::of(file).and_then(|temporary| temporary.replace(text.as_bytes()));
    written.map_err(|error| {
        Failure::new(error).hint("name a file in a folder that can be written to: --report FILE")
    })
}

fn text(
    manifest: &LayersManifest,
    checks: &[Check],
    missing: &LastRegions,
    uncovered: &BTreeSet<RegionName>,
) -> String {
    let different: Vec<&Check> = checks.iter().filter(|check| !check.ok).collect();
    let missing = missing.by_region();
    if different.is_empty() && missing.is_empty() && uncovered.is_empty() {
        return String::new();
    }
    let version = &manifest.version;
    let mut text = format!("The published layers of {version} are not as its `layers.json` says.\n");
    // Writing to a string cannot fail.
    if !different.is_empty() {
        let count = (different.len(), checks.len());
        let _ = write!(text, "\n{} of {} layer versions differ:\n\n", count.0, count.1);
        text.push_str("| Region | Layer | What differs |\n| --- | --- | --- |\n");
        for check in different.iter().take(MAX_ROWS) {
            let mut notes: Vec<String> = check.differences.iter().map(ToString::to_string).collect();
            notes.extend(check.error.as_ref().map(|error| format!("it cannot be read: {error}")));
            let _ = writeln!(text, "| {} | {} | {} |", check.region, check.variant, cell(&notes.join("; ")));
        }
        if different.len() > MAX_ROWS {
            let _ = writeln!(text, "\nAnd {} more.", different.len() - MAX_ROWS);
        }
    }
    for (region, variants) in missing {
        let variants: Vec<String> = variants.iter().map(ToString::to_string).collect();
        let variants = variants.join(", ");
        let _ = writeln!(
            text,
            "\nThe last release had layers in {region} ({variants}), and `layers.json` has none."
        );
    }
    for region in uncovered {
        let _ = writeln!(text, "\nThe account has the region {region} enabled, and no layer is there.");
    }
    text
}

/// Text in a cell of a table: short, on one line, and without any markup.
fn cell(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_NOTES).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    // A code span shows everything as it is, except its own delimiter and the table's.
    let plain = short.replace(['\n', '\r'], " ").replace('`', "'").replace('|', "\\|");
    format!("`{plain}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_says_is_no_markup() {
        assert_eq!(cell("a|b\n`@all`"), "`a\\|b '@all'`");
        assert_eq!(cell(&"ü".repeat(500)).chars().count(), MAX_NOTES + 3);
    }

    #[test]
    fn the_report_of_a_whole_partition_fits_into_an_issue() {
        let layer = r#"{"layer_name": "X", "sha256": "00", "code_sha256": "", "size": 1, "regions": {}}"#
            .replace("00", &"0".repeat(64));
        let manifest = format!(
            r#"{{"schema": 1, "version": "1.2.3", "commit": "unknown", "accounts": {{}},
                "toolchain": {{"rustc": "r", "cargo_lambda": "c", "zig": "z", "std": "s"}},
                "layers": {{"arm64": {layer}}}}}"#
        );
        let manifest = LayersManifest::parse(manifest.as_bytes(), Path::new("layers.json")).unwrap();
        let (variant, _) = manifest.all().next().unwrap();
        let check = |_| Check {
            region: "ap-southeast-4".parse().unwrap(),
            variant,
            arn: String::new(),
            ok: false,
            differences: Vec::new(),
            error: Some("AWS says a lot. ".repeat(100)),
            unknown: None,
        };
        let checks: Vec<Check> = (0..150).map(check).collect();
        let text = text(&manifest, &checks, &LastRegions::default(), &BTreeSet::new());
        assert!(text.contains("\n150 of 150 layer versions differ:\n"), "{text}");
        assert!(text.ends_with("\nAnd 50 more.\n") && text.chars().count() < 60_000, "{text}");
    }
}
