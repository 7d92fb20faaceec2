//! `publisher arn`: what a user attaches, from `dist/layers.json` alone or, with `--latest`, from AWS.

use crate::{
    artifacts::layers_manifest::{LayersError, LayersManifest},
    aws::{
        audience::AccountId,
        layer_arn::{BadLayerArn, LayerArn},
        partition::RegionName,
        regions::{RegionChoice, RegionPattern},
        session::AwsOptions,
    },
    commands::common::{
        account,
        newest_version::{self, LayerQuery},
    },
    failure::{Code, Failure, chain},
    model::{arch::Arch, layer_name, variant::LayerKind},
    snippets::{ArnTable, Format, RegionArns},
    ui::Ui,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Arguments of `publisher arn`.
#[derive(clap::Args)]
pub(crate) struct Arn {
    /// Only this region's
    #[arg(long)]
    region: Option<RegionName>,

    /// Only this architecture's
    #[arg(long, value_enum)]
    arch: Option<Arch>,

    /// The layers that carry Sentry's own Relay as well
    #[arg(long)]
    relay: bool,

    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,

    /// The folder with layers.json
    #[arg(long, value_name = "DIR", default_value = "dist")]
    dist: PathBuf,

    /// Ask AWS for the newest versions instead of reading them from layers.json; only the layers' owner may
    #[arg(long)]
    latest: bool,

    /// Whose layers, where it is not the account in layers.json
    #[arg(long, value_name = "ID", requires = "latest")]
    account: Option<AccountId>,

    /// The layers' names, where they are not those of layers.json; {arch} is filled in
    #[arg(long, value_name = "TEMPLATE", requires = "latest")]
    layer_name: Option<String>,

    #[command(flatten)]
    aws: AwsOptions,
}

impl Arn {
    fn kind(&self) -> LayerKind {
        if self.relay { LayerKind::Relay } else { LayerKind::Plain }
    }

    /// Does it.
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let table = if self.latest {
            account::runtime()?.block_on(self.newest(ui))?
        } else {
            let manifest = open_manifest(&self.dist)?;
            let table = table(&manifest, self.kind(), self.region.as_ref(), self.arch)?;
            if table.is_empty() {
                return Err(absent(&manifest, self.kind(), self.region.as_ref(), self.arch));
            }
            table
        };
        let format = if ui.json() { Format::Json } else { self.format };
        let snippet = format.render(&table).map_err(Failure::new)?;
        ui.result(snippet.text);
        for note in snippet.notes {
            ui.status("Note", note);
        }
        Ok(())
    }

    async fn newest(&self, ui: &Ui) -> Result<ArnTable, Failure> {
        let manifest = match LayersManifest::open(&self.dist) {
            Err(LayersError::NotPublished(_)) => None,
            _ => Some(open_manifest(&self.dist)?),
        };
        let names: Vec<_> = match (&self.layer_name, &manifest) {
            (None, Some(manifest)) => {
                manifest.layers(self.kind()).iter().map(|(arch, layer)| (*arch, layer.name.clone())).collect()
            }
            (template, _) => {
                let template = template.as_deref().unwrap_or(layer_name::usual(self.kind()));
                let names = layer_name::names(template, "0.0.0");
                names.map_err(|error| Failure::message(Code::Usage, chain(&error)))?.to_vec()
            }
        };
        let (session, identity) = account::enter_as(ui, &self.aws, self.region.as_ref()).await?;
        let owner =
            manifest.as_ref().and_then(|manifest| manifest.accounts.get(&identity.partition)).cloned();
        let owner =
            AccountId::try_from(owner.unwrap_or_else(|| identity.account.clone())).map_err(Failure::new)?;
        let owner = self.account.clone().unwrap_or(owner);
        let regions = if let Some(region) = &self.region {
            vec![region.clone()]
        } else {
            let known = manifest.iter().flat_map(|manifest| manifest.layers(self.kind()).values());
            let known: BTreeSet<_> = known.flat_map(|layer| layer.regions.keys()).collect();
            let ours = known.into_iter().filter(|region| region.partition() == identity.partition);
            let regions = ours.map(|region| RegionPattern::Exact(region.clone())).collect();
            let choice = RegionChoice { regions, optional: Vec::new(), exclude: Vec::new() };
            let selection = account::select(ui, &session, &identity, &choice).await?;
            let on = selection.targets.into_iter().filter(|target| target.disabled.is_none());
            on.map(|target| target.region).collect()
        };
        let subject = |region: &RegionName, (arch, name): &(Arch, layer_name::LayerName)| LayerQuery {
            region: region.clone(),
            arch: *arch,
            account: owner.clone(),
            name: name.clone(),
        };
        let wanted = names.iter().filter(|(arch, _)| self.arch.is_none_or(|only| only == *arch));
        let subjects = wanted.flat_map(|name| regions.iter().map(|region| subject(region, name))).collect();
        let mut rows: BTreeMap<RegionName, RegionArns> = BTreeMap::new();
        for (arch, arn) in newest_version::newest(&session, &identity, subjects).await? {
            rows.entry(arn.region.clone()).or_default().insert(arch, arn);
        }
        if rows.is_empty() {
            let names: Vec<_> = names.iter().map(|(_, name)| name.as_str()).collect();
            let text = format!("the account {} has no version of {}", owner.as_str(), names.join(" or "));
            return Err(Failure::message(Code::Failed, text)
                .hint("name it with --account and --layer-name, or leave out --region and --arch"));
        }
        let title = "Sentry Lambda extension, the newest versions that AWS lists".to_owned();
        Ok(ArnTable { title, version: None, kind: self.kind(), rows, runtimes: BTreeMap::new() })
    }
}

/// Says where it is instead.
pub(crate) fn absent(
    manifest: &LayersManifest,
    kind: LayerKind,
    region: Option<&RegionName>,
    arch: Option<Arch>,
) -> Failure {
    let regions: BTreeSet<&str> = manifest
        .layers(kind)
        .iter()
        .filter(|(it, _)| arch.is_none_or(|wanted| wanted == **it))
        .flat_map(|(_, layer)| layer.regions.keys().map(RegionName::as_str))
        .collect();
    let relay = if kind == LayerKind::Relay { " with Relay" } else { "" };
    let what = arch.map_or_else(|| "the layer".to_owned(), |arch| format!("the {arch} layer"));
    let version = &manifest.version;
    if regions.is_empty() {
        return Failure::message(Code::Failed, format!("{what}{relay} of {version} is in no region"))
            .hint("publish it with `publisher publish --execute`");
    }
    let region = region.map_or_else(|| "any region".to_owned(), ToString::to_string);
    Failure::message(Code::Failed, format!("{what}{relay} of {version} is not in {region}"))
        .hint(format!("it is in: {}", regions.into_iter().collect::<Vec<_>>().join(" ")))
}

/// What all layers of a manifest are called.
pub(crate) fn names(manifest: &LayersManifest) -> BTreeSet<String> {
    let layers = LayerKind::ALL.into_iter().flat_map(|kind| manifest.layers(kind).values());
    layers.map(|layer| layer.name.to_string()).collect()
}

/// The layer whose newest version AWS is to be asked for.
pub(crate) fn subject(
    manifest: &LayersManifest,
    kind: LayerKind,
    region: &RegionName,
    arch: Arch,
) -> Result<LayerQuery, Failure> {
    let layer = manifest.layers(kind).get(&arch);
    let owner = manifest.accounts.get(&region.partition());
    let (Some(layer), Some(owner)) = (layer, owner) else {
        return Err(absent(manifest, kind, Some(region), Some(arch)));
    };
    let account = AccountId::try_from(owner.clone()).map_err(Failure::new)?;
    Ok(LayerQuery { region: region.clone(), arch, account, name: layer.name.clone() })
}

/// What a manifest says, as far as it is wanted.
pub(crate) fn table(
    manifest: &LayersManifest,
    kind: LayerKind,
    region: Option<&RegionName>,
    arch: Option<Arch>,
) -> Result<ArnTable, Failure> {
    let mut rows: BTreeMap<RegionName, RegionArns> = BTreeMap::new();
    let mut runtimes = BTreeMap::new();
    let layers = manifest.layers(kind).iter().filter(|(it, _)| arch.is_none_or(|wanted| wanted == **it));
    for (arch, layer) in layers {
        runtimes.insert(*arch, layer.runtimes.clone().unwrap_or_default());
        for (place, placement) in &layer.regions {
            if region.is_none_or(|wanted| wanted == place) {
                let arn: LayerArn = placement.arn.parse().map_err(damaged)?;
                rows.entry(place.clone()).or_default().insert(*arch, arn);
            }
        }
    }
    let with = if kind == LayerKind::Relay { " with Relay" } else { "" };
    let title = format!("Sentry Lambda extension {}{with}", manifest.version);
    Ok(ArnTable { title, version: Some(manifest.version.clone()), kind, rows, runtimes })
}

fn damaged(error: BadLayerArn) -> Failure {
    Failure::new(error).hint("layers.json was changed by hand: restore it from the history")
}

/// Reads `dist/layers.json`, for every step that needs one.
pub(crate) fn open_manifest(dist: &Path) -> Result<LayersManifest, Failure> {
    LayersManifest::open(dist).map_err(|error| {
        let next = match &error {
            LayersError::NotPublished(_) => {
                "it is written by `publisher publish --execute`; --dist names the folder to look in"
            }
            _ => "restore it from the history, or move it away and run `publisher publish --execute` again",
        };
        Failure::new(error).hint(next)
    })
}
