//! The ARNs in the form that each tool wants: what a user copies into a template, a module or an app.
//!
//! All are made from one `Table`, and the tests give each of them to the tool that it is for.

mod cdk;
mod cloudformation;
mod registry;
mod serverless;
mod terraform;

use crate::{
    arch::Arch,
    aws::{layer_arn::LayerArn, partition::RegionName},
    release::{arn_table, kind::LayerKind},
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What there is to choose from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
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
pub struct Table {
    /// What they are, for a comment.
    pub title: String,
    /// The release, where it is known.
    pub version: Option<String>,
    /// What they carry.
    pub kind: LayerKind,
    /// What to attach.
    pub rows: BTreeMap<RegionName, Row>,
    /// The runtimes that each is for; none named: all.
    pub runtimes: BTreeMap<Arch, Vec<String>>,
}

/// One region's layer versions.
pub type Row = BTreeMap<Arch, LayerArn>;

/// A snippet, and what its reader should know.
#[derive(Debug)]
pub struct Snippet {
    /// Without a newline at its end.
    pub text: String,
    /// What could not be put into it.
    pub notes: Vec<String>,
}

/// There is no such snippet of these layers.
#[derive(Debug, thiserror::Error)]
pub enum SnippetError {
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
struct Entry<'a> {
    region: &'a RegionName,
    arch: Arch,
    version: i64,
    arn: String,
}

impl Table {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Every layer version, by region and architecture.
    pub fn arns(&self) -> impl Iterator<Item = (&RegionName, Arch, &LayerArn)> {
        self.rows.iter().flat_map(|(region, row)| row.iter().map(move |(arch, arn)| (region, *arch, arn)))
    }

    /// A map of maps in some format: `open` begins a region, `close` ends it.
    fn map(
        &self,
        open: impl Fn(&RegionName) -> String,
        entry: impl Fn(&Row, Arch, &LayerArn) -> String,
        close: &str,
    ) -> String {
        let region = |(region, row): (&RegionName, &Row)| {
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
    pub fn render(self, table: &Table) -> Result<Snippet, SnippetError> {
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

fn json(table: &Table) -> Result<String, SnippetError> {
    let entries: Vec<Entry<'_>> = table
        .arns()
        .map(|(region, arch, arn)| Entry { region, arch, version: arn.version, arn: arn.to_string() })
        .collect();
    Ok(serde_json::to_string_pretty(&entries)?)
}

fn markdown(table: &Table) -> String {
    let cells = |row: &Row| row.iter().map(|(arch, arn)| (*arch, arn.to_string())).collect();
    arn_table::table(&table.rows.iter().map(|(region, row)| (region, cells(row))).collect())
}
