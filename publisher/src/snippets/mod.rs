//! The ARNs in the format of each tool, for a user to copy into a template, a module or an app.
//!
//! All snippets are made from one `ArnTable`, and the tests run each of them through the tool that it is for.

pub(crate) mod arn_table;
mod cdk;
mod cloudformation;
mod dockerfile;
pub(crate) mod registry;
mod serverless;
mod terraform;

use crate::{
    artifacts::layers_manifest::OtherLayer,
    aws::{layer_arn::LayerArn, partition::RegionName},
    model::{arch::Arch, variant::LayerKind},
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The formats that a user can choose.
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
    /// A Dockerfile for a function from a container image, which takes no layers
    Dockerfile,
    /// The files of Sentry's release registry, by path
    Registry,
}

/// Layer versions of one kind, by region and architecture.
#[derive(Clone, Debug)]
pub(crate) struct ArnTable {
    /// What the layers are, for the comment in the snippet.
    pub(crate) title: String,
    /// The release, if it is known.
    pub(crate) version: Option<String>,
    /// That the release was yanked, and when and why.
    pub(crate) yanked: Option<String>,
    pub(crate) kind: LayerKind,
    /// Set if the layers are not the extension's.
    pub(crate) other: Option<OtherLayer>,
    /// The ARNs to attach.
    pub(crate) rows: BTreeMap<RegionName, RegionArns>,
    /// The runtimes that each layer is for. An empty list means all runtimes.
    pub(crate) runtimes: BTreeMap<Arch, Vec<String>>,
}

/// One region's layer versions.
pub(crate) type RegionArns = BTreeMap<Arch, LayerArn>;

/// Settings of the extension: the names of environment variables, and their values. Both consist of characters that
/// mean nothing in a quoted text of any of the formats.
pub(crate) type Settings = BTreeMap<String, String>;

/// A snippet and the notes for its reader.
#[derive(Debug)]
pub(crate) struct Snippet {
    /// The snippet, without a newline at its end.
    pub(crate) text: String,
    /// Notes on what the snippet leaves out.
    pub(crate) notes: Vec<String>,
}

/// Why these layers cannot be written in a format.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnippetError {
    #[error("cannot write JSON")]
    Json(#[from] serde_json::Error),
    /// The format requires the release, which is unknown.
    #[error(
        "the release registry lists releases, and AWS does not say which release its newest versions are of"
    )]
    NoRelease,
    /// The format supports the partition `aws` only.
    #[error("the release registry has layers of the partition aws only, and none of these is in it")]
    NoCommercialRegion,
    /// The registry lists layers by a name of its own.
    #[error("layers.json has no name for the release registry")]
    NoCanonicalName,
    /// The format shows how to use the extension.
    #[error("{0:?} is a template for the extension, and these layers are not the extension's")]
    ExtensionOnly(Format),
}

impl SnippetError {
    /// What to do next, if that is not obvious.
    pub(crate) fn next(&self) -> Option<&'static str> {
        match self {
            Self::NoCanonicalName => {
                Some("publish with --canonical aws-layer:NAME; a run that finds everything published adds it")
            }
            Self::ExtensionOnly(_) => Some("other layers have the formats text, json, markdown and registry"),
            Self::Json(_) | Self::NoRelease | Self::NoCommercialRegion => None,
        }
    }
}

#[derive(Serialize)]
struct ArnEntry<'a> {
    region: &'a RegionName,
    arch: Arch,
    version: i64,
    arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    yanked: Option<&'a str>,
}

impl ArnTable {
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Every layer version, by region and architecture.
    pub(crate) fn arns(&self) -> impl Iterator<Item = (&RegionName, Arch, &LayerArn)> {
        self.rows.iter().flat_map(|(region, row)| row.iter().map(move |(arch, arn)| (region, *arch, arn)))
    }

    /// Renders the table as a map of maps: `open` begins a region, `entry` adds an ARN, and `close` ends the region.
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

    /// The architectures that occur in the table.
    fn arches(&self) -> BTreeSet<Arch> {
        self.arns().map(|(_, arch, _)| arch).collect()
    }

    /// The architecture that an example uses.
    fn example_arch(&self) -> Arch {
        self.arches().first().copied().unwrap_or(Arch::Arm64)
    }

    /// The text of the comment in a snippet: what it contains and which command made it.
    fn comment(&self, format: &str) -> String {
        format!("{}: the ARNs of the layers, by `publisher arn --format {format}`.", self.plain_title())
    }

    /// The title on one line, whatever the release is called.
    fn plain_title(&self) -> String {
        self.title.chars().filter(|c| !c.is_control()).collect()
    }
}

impl Format {
    /// Renders the table in this format, with the settings where it has a place for them.
    pub(crate) fn render(self, table: &ArnTable, settings: &Settings) -> Result<Snippet, SnippetError> {
        let is_for_all = matches!(self, Self::Text | Self::Json | Self::Markdown | Self::Registry);
        if table.other.is_some() && !is_for_all {
            return Err(SnippetError::ExtensionOnly(self));
        }
        let mut notes = Vec::new();
        if is_for_all && !settings.is_empty() {
            let list: Vec<String> = settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
            notes.push(format!(
                "this format has no place for settings; set them as environment variables of the function: {}",
                list.join(" ")
            ));
        }
        let text = match self {
            Self::Text => text(table),
            Self::Json => json(table)?,
            Self::Markdown => markdown(table),
            Self::Sam => cloudformation::sam(table, settings),
            Self::Cloudformation => cloudformation::plain(table, settings),
            Self::Cdk => cdk::typescript(table, settings),
            Self::CdkPython => cdk::python(table, settings),
            Self::Terraform => terraform::render(table, settings),
            Self::Serverless => serverless::render(table, settings),
            Self::Dockerfile => dockerfile::render(table, settings),
            Self::Registry => {
                let registry = registry::render(table)?;
                notes.extend(registry.notes);
                registry.text
            }
        };
        Ok(Snippet { text: text.trim_end().to_owned(), notes })
    }
}

fn text(table: &ArnTable) -> String {
    let mut arns: Vec<String> = table.arns().map(|(_, _, arn)| arn.to_string()).collect();
    // A layer for both architectures is printed once.
    arns.dedup();
    arns.join("\n")
}

fn json(table: &ArnTable) -> Result<String, SnippetError> {
    let entries: Vec<ArnEntry<'_>> = table
        .arns()
        .map(|(region, arch, arn)| {
            let yanked = table.yanked.as_deref();
            ArnEntry { region, arch, version: arn.version, arn: arn.to_string(), yanked }
        })
        .collect();
    Ok(serde_json::to_string_pretty(&entries)?)
}

/// The settings as lines of a map, each with this indentation, and with this between name and value and at the end.
fn setting_lines(settings: &Settings, indentation: &str, between: &str, end: &str) -> String {
    let line = |(name, value): (&String, &String)| format!("{indentation}{name}{between}\"{value}\"{end}\n");
    settings.iter().map(line).collect()
}

/// The text with a backslash before each character that Markdown may take for markup.
fn escaped(text: &str) -> String {
    text.chars().flat_map(|c| c.is_ascii_punctuation().then_some('\\').into_iter().chain([c])).collect()
}

fn markdown(table: &ArnTable) -> String {
    let cells = |row: &RegionArns| row.iter().map(|(arch, arn)| (*arch, arn.to_string())).collect();
    let rows = arn_table::table(&table.rows.iter().map(|(region, row)| (region, cells(row))).collect());
    match &table.yanked {
        Some(_) => format!("**{}**\n\n{rows}", escaped(&table.title)),
        None => rows,
    }
}
