//! The ARNs in the form that each tool wants: what a user copies into a template, a module or an app.
//!
//! All are made from one `ArnTable`, and the tests give each of them to the tool that it is for.

pub(crate) mod arn_table;
mod cdk;
mod cloudformation;
mod registry;
mod serverless;
mod terraform;

use crate::{
    aws::{layer_arn::LayerArn, partition::RegionName},
    model::{arch::Arch, variant::LayerKind},
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What there is to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// One ARN a line
    Text,
    /// Region, architecture, version and ARN
    Json,
    /// A table
    Markdown,
    /// A SAM template with `Mappings`
    Sam,
    /// A CloudFormation template with `Mappings`
    Cloudformation,
    /// A function for CDK apps in TypeScript
    Cdk,
    /// A function for CDK apps in Python
    CdkPython,
    /// `locals`, and a function that uses them
    Terraform,
    /// A serverless.yml for the Serverless Framework
    Serverless,
    /// The files of Sentry's release registry, by path
    Registry,
}

/// Layer versions of one kind, by region and architecture.
#[derive(Clone, Debug)]
pub(crate) struct ArnTable {
    /// What they are, for a comment.
    pub(crate) title: String,
    /// The release, where it is known.
    pub(crate) version: Option<String>,
    /// What they carry.
    pub(crate) kind: LayerKind,
    /// What to attach.
    pub(crate) rows: BTreeMap<RegionName, RegionArns>,
    /// The runtimes that each is for; none named: all.
    pub(crate) runtimes: BTreeMap<Arch, Vec<String>>,
}

/// One region's layer versions.
pub(crate) type RegionArns = BTreeMap<Arch, LayerArn>;

/// A snippet, and what its reader should know.
#[derive(Debug)]
pub(crate) struct Snippet {
    /// Without a newline at its end.
    pub(crate) text: String,
    /// What could not be put into it.
    pub(crate) notes: Vec<String>,
}

/// There is no such snippet of these layers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnippetError {
    /// Cannot be written as JSON.
    #[error("cannot write JSON")]
    Json(#[from] serde_json::Error),
    /// The format wants to know the release.
    #[error(
        "the release registry lists releases, and AWS does not say which release its newest versions are of"
    )]
    NoRelease,
    /// The format has no room for other partitions.
    #[error("the release registry has layers of the partition aws only, and none of these is in it")]
    NoCommercialRegion,
}

#[derive(Serialize)]
struct ArnEntry<'a> {
    region: &'a RegionName,
    arch: Arch,
    version: i64,
    arn: String,
}

impl ArnTable {
    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Every layer version, by region and architecture.
    pub(crate) fn arns(&self) -> impl Iterator<Item = (&RegionName, Arch, &LayerArn)> {
        self.rows.iter().flat_map(|(region, row)| row.iter().map(move |(arch, arn)| (region, *arch, arn)))
    }

    /// A map of maps in some format: `open` begins a region, `close` ends it.
    fn map(
        &self,
        open: impl Fn(&RegionName) -> String,
        entry: impl Fn(&RegionArns, Arch, &LayerArn) -> String,
        close: &str,
    ) -> String {
        let region = |(region, row): (&RegionName, &RegionArns)| {
            let entries: String = row.iter().map(|(arch, arn)| entry(row, *arch, arn) + "\n").collect();
            format!("{}\n{entries}{close}", open(region))
        };
        self.rows.iter().map(region).collect()
    }

    /// The architectures that there are.
    fn arches(&self) -> BTreeSet<Arch> {
        self.arns().map(|(_, arch, _)| arch).collect()
    }

    /// The one to show in an example.
    fn example_arch(&self) -> Arch {
        self.arches().first().copied().unwrap_or(Arch::Arm64)
    }

    /// A comment's text: what this is and where it is from.
    fn comment(&self, format: &str) -> String {
        let title: String = self.title.chars().filter(|c| !c.is_control()).collect();
        format!("{title}: the ARNs of the layers, by `publisher arn --format {format}`.")
    }
}

impl Format {
    /// Writes it.
    pub(crate) fn render(self, table: &ArnTable) -> Result<Snippet, SnippetError> {
        let text = match self {
            Self::Text => table.arns().map(|(_, _, arn)| arn.to_string()).collect::<Vec<_>>().join("\n"),
            Self::Json => json(table)?,
            Self::Markdown => markdown(table),
            Self::Sam => cloudformation::sam(table),
            Self::Cloudformation => cloudformation::plain(table),
            Self::Cdk => cdk::typescript(table),
            Self::CdkPython => cdk::python(table),
            Self::Terraform => terraform::render(table),
            Self::Serverless => serverless::render(table),
            Self::Registry => return registry::render(table),
        };
        Ok(Snippet { text: text.trim_end().to_owned(), notes: Vec::new() })
    }
}

fn json(table: &ArnTable) -> Result<String, SnippetError> {
    let entries: Vec<ArnEntry<'_>> = table
        .arns()
        .map(|(region, arch, arn)| ArnEntry { region, arch, version: arn.version, arn: arn.to_string() })
        .collect();
    Ok(serde_json::to_string_pretty(&entries)?)
}

fn markdown(table: &ArnTable) -> String {
    let cells = |row: &RegionArns| row.iter().map(|(arch, arn)| (*arch, arn.to_string())).collect();
    arn_table::table(&table.rows.iter().map(|(region, row)| (region, cells(row))).collect())
}
