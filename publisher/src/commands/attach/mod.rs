//! `publisher attach`: attaches the layer to a function, replaces it by another version, or removes it.

mod bulk;
mod change;
mod choice;
mod explain;
mod image;
mod name;
mod plan;
mod show;
mod single;
mod wrapper;

use crate::{
    attach::{
        insight_setting::InsightSettings,
        selection::{NamePattern, TagFilter},
    },
    aws::{layer_arn::LayerArn, regions::RegionPattern},
    commands::common::{
        account::{self, AccountOptions},
        execute::ExecuteOptions,
        manifest_source::ManifestOptions,
    },
    failure::{Code, Failure},
    model::variant::LayerKind,
    ui::Ui,
};
use name::FunctionName;
use std::{collections::BTreeMap, path::PathBuf};

/// Arguments of `publisher attach`.
#[derive(Clone, clap::Args)]
pub(crate) struct Attach {
    /// The functions' names or ARNs
    #[arg(value_name = "FUNCTION", required_unless_present_any = ["tags", "patterns", "undo"])]
    functions: Vec<FunctionName>,

    /// All functions with this tag; KEY alone for any value; if given again, those that have all of them
    #[arg(long = "tag", value_name = "KEY=VALUE", conflicts_with = "functions")]
    tags: Vec<TagFilter>,

    /// All functions whose name matches, e.g. `orders-*`; if given again, those that match any of them
    #[arg(long = "match", value_name = "PATTERN", conflicts_with = "functions")]
    patterns: Vec<NamePattern>,

    /// Where the functions are, patterns like `eu-*` too; else the region of the ARN, of `AWS_REGION` or of the profile
    #[arg(long, visible_alias = "region", value_name = "REGION,…", value_delimiter = ',')]
    regions: Vec<RegionPattern>,

    /// Put back what a run over many functions has changed, by its state file
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "functions", "tags", "patterns", "regions", "relay", "latest", "layer_arn", "detach", "exec_wrapper",
        "insights", "state",
    ])]
    undo: Option<PathBuf>,

    /// Record here what a run over many functions changes [default: a file in the folder of layers.json, which the
    /// same command uses again]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    /// Set settings of the extension in the same update: faults, errors, logs, logs-budget, spans, metrics, monitor
    #[arg(long, value_name = "SETTING=VALUE,…", conflicts_with = "detach")]
    insights: Vec<InsightSettings>,

    /// The layer that carries Sentry's own Relay as well
    #[arg(long)]
    relay: bool,

    /// Ask AWS for the newest version instead of reading it from layers.json; only the layer's owner may
    #[arg(long)]
    latest: bool,

    /// This very layer version, whatever layers.json says
    #[arg(long, value_name = "ARN", conflicts_with_all = ["latest", "relay"])]
    layer_arn: Option<LayerArn>,

    /// Take the layer away instead, in whatever version and variant it is there, and leave all others
    #[arg(long, conflicts_with_all = ["latest", "relay", "exec_wrapper"])]
    detach: bool,

    /// Start the runtime through the layer's wrapper too, so that code needs no change
    #[arg(long)]
    exec_wrapper: bool,

    #[command(flatten)]
    act: ExecuteOptions,

    /// How long to wait for updates of the function, this one and others'
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = clap::value_parser!(u64).range(1..=3600))]
    wait: u64,

    #[command(flatten)]
    source: ManifestOptions,

    #[command(flatten)]
    account_options: AccountOptions,
}

impl Attach {
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        if let Some(file) = &self.undo {
            return account::runtime()?.block_on(self.undo(ui, file));
        }
        let manifest = if self.layer_arn.is_some() { None } else { Some(self.source.open()?) };
        if let Some(manifest) = manifest.as_ref().filter(|manifest| manifest.other_layer.is_some()) {
            let text = format!("layers.json is of {}, which is not the extension", manifest.what());
            return Err(Failure::message(Code::Usage, text)
                .hint("attach it by its ARN, which `publisher arn` prints: --layer-arn ARN"));
        }
        let runtime = account::runtime()?;
        if let Some((name, region)) = self.single() {
            return runtime.block_on(self.attach_one(ui, manifest.as_ref(), name, region));
        }
        if InsightSettings::are_for_one_function(&self.insights) {
            return Err(Failure::message(
                Code::Usage,
                "a monitor is of one function: many would share its check-ins",
            )
            .hint("name one function, or leave out --insights monitor=…"));
        }
        runtime.block_on(self.attach_many(ui, manifest))
    }

    fn kind(&self) -> LayerKind {
        if self.relay { LayerKind::Relay } else { LayerKind::Plain }
    }

    /// The values of `--insights`, by the names of their variables.
    fn settings(&self) -> BTreeMap<String, String> {
        InsightSettings::variables(&self.insights)
    }
}
