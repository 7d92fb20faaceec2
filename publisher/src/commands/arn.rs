//! `publisher arn`: prints the ARNs that users attach. It reads `layers.json` or, with `--latest`, asks AWS.

use crate::{
    artifacts::layers_manifest::LayersManifest,
    attach::insight_setting::InsightSettings,
    aws::{
        audience::AccountId,
        identity::Identity,
        partition::RegionName,
        regions::{RegionChoice, RegionPattern},
        session::{AwsOptions, Session},
    },
    commands::common::{
        account, manifest,
        manifest_source::ManifestOptions,
        newest_version::{self, LayerQuery},
    },
    failure::{Code, Failure, chain},
    model::{
        arch::Arch,
        layer_name::{self, LayerName},
        variant::LayerKind,
    },
    snippets::{ArnTable, Format, RegionArns},
    ui::Ui,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    iter::repeat,
};

/// Arguments of `publisher arn`.
#[derive(clap::Args)]
pub(crate) struct Arn {
    /// Only these regions'; patterns like `eu-*` too
    #[arg(long, visible_alias = "region", value_name = "REGION,…", value_delimiter = ',')]
    regions: Vec<RegionPattern>,

    /// Only this architecture's
    #[arg(long, value_enum)]
    arch: Option<Arch>,

    /// The layers that carry Sentry's own Relay as well
    #[arg(long)]
    relay: bool,

    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,

    /// Write settings of the extension into the template, as environment variables: faults, errors, logs, logs-budget,
    /// spans, metrics, monitor
    #[arg(long, value_name = "SETTING=VALUE,…")]
    insights: Vec<InsightSettings>,

    #[command(flatten)]
    source: ManifestOptions,

    /// Ask AWS for the newest versions instead of reading them from layers.json; only the layers' owner may
    #[arg(long)]
    latest: bool,

    /// Whose layers, where it is not the account in layers.json
    #[arg(long, value_name = "ID", requires = "latest")]
    account: Option<AccountId>,

    /// The layers' names, where they are not those of layers.json; {arch} is filled in
    #[arg(long, value_name = "TEMPLATE", requires = "latest")]
    layer_name: Option<String>,

    /// Print them even if the release was yanked; each format carries the mark
    #[arg(long)]
    include_yanked: bool,

    #[command(flatten)]
    aws: AwsOptions,
}

impl Arn {
    fn kind(&self) -> LayerKind {
        if self.relay { LayerKind::Relay } else { LayerKind::Plain }
    }

    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let table = if self.latest {
            account::runtime()?.block_on(self.newest(ui))?
        } else {
            let manifest = self.source.open()?;
            let arns = if self.include_yanked { manifest::arns_even_if_yanked } else { manifest::arns };
            let table = arns(&manifest, self.kind(), &self.regions, self.arch)?;
            let lacks = |wanted: &&RegionPattern| !table.rows.keys().any(|region| wanted.matches(region));
            if let Some(lacking) = self.regions.iter().find(lacks) {
                return Err(manifest::missing_layer(&manifest, self.kind(), Some(lacking), self.arch));
            }
            if table.is_empty() {
                return Err(manifest::missing_layer(&manifest, self.kind(), None, self.arch));
            }
            table
        };
        let format = if ui.json() { Format::Json } else { self.format };
        let settings = InsightSettings::variables(&self.insights);
        let snippet = format.render(&table, &settings).map_err(|error| {
            let next = error.next();
            next.into_iter().fold(Failure::new(error), Failure::hint)
        })?;
        ui.result(snippet.text);
        if let Some(yanked) = &table.yanked {
            ui.warning(format!("this release was {yanked}"));
        }
        for note in snippet.notes {
            ui.status("Note", note);
        }
        Ok(())
    }

    async fn newest(&self, ui: &Ui) -> Result<ArnTable, Failure> {
        let manifest = self.source.open_if_any()?;
        let names = self.layer_names(manifest.as_ref())?;
        let (session, identity) = account::open_session_of_any_account(
            ui,
            &self.aws,
            self.regions.first().map(RegionPattern::region_in_partition).as_ref(),
        )
        .await?;
        let owner = self.owner(manifest.as_ref(), &identity)?;
        let regions = self.regions(ui, manifest.as_ref(), &session, &identity).await?;
        let mut queries = Vec::new();
        for (arch, name) in &names {
            if self.arch.is_some_and(|only| only != *arch) {
                continue;
            }
            for region in &regions {
                let region = region.clone();
                let account = owner.clone();
                let name = name.clone();
                queries.push(LayerQuery { region, arch: *arch, account, name });
            }
        }
        let mut rows: BTreeMap<RegionName, RegionArns> = BTreeMap::new();
        for (arch, arn) in newest_version::newest(&session, &identity, queries).await? {
            if let Some(manifest) = manifest.as_ref().filter(|_| !self.include_yanked) {
                manifest::refuse_yanked_version(manifest, &arn)?;
            }
            rows.entry(arn.region.clone()).or_default().insert(arch, arn);
        }
        if rows.is_empty() {
            let names: Vec<_> = names.iter().map(|(_, name)| name.as_str()).collect();
            let text = format!("the account {} has no version of {}", owner.as_str(), names.join(" or "));
            return Err(Failure::message(Code::Failed, text)
                .hint("name it with --account and --layer-name, or leave out --regions and --arch"));
        }
        let what = manifest.as_ref().map_or("Sentry Lambda extension", LayersManifest::what);
        let title = format!("{what}, the newest versions that AWS lists");
        Ok(ArnTable {
            title,
            version: None,
            yanked: None,
            kind: self.kind(),
            other: manifest.and_then(|manifest| manifest.other_layer),
            rows,
            runtimes: BTreeMap::new(),
        })
    }

    /// The names of the layers: those of `--layer-name`, else those in the manifest, else the default names.
    fn layer_names(&self, manifest: Option<&LayersManifest>) -> Result<Vec<(Arch, LayerName)>, Failure> {
        if let (None, Some(manifest)) = (&self.layer_name, manifest) {
            let layers = manifest.layers(self.kind()).iter();
            let names = layers.flat_map(|(it, layer)| it.arches().iter().zip(repeat(&layer.name)));
            return Ok(names.map(|(arch, name)| (*arch, name.clone())).collect());
        }
        let template = self.layer_name.as_deref().unwrap_or(layer_name::default_template(self.kind()));
        let names = layer_name::names(template, "0.0.0");
        Ok(names.map_err(|error| Failure::message(Code::Usage, chain(&error)))?.to_vec())
    }

    /// The owner of the layers: the account of `--account`, else the one in the manifest, else that of the credentials.
    fn owner(&self, manifest: Option<&LayersManifest>, identity: &Identity) -> Result<AccountId, Failure> {
        if let Some(account) = &self.account {
            return Ok(account.clone());
        }
        let recorded = manifest.and_then(|manifest| manifest.accounts.get(&identity.partition));
        AccountId::try_from(recorded.unwrap_or(&identity.account).clone()).map_err(Failure::new)
    }

    /// The regions to ask: that of `--regions`, else those in the manifest, else all regions of the account.
    async fn regions(
        &self,
        ui: &Ui,
        manifest: Option<&LayersManifest>,
        session: &Session,
        identity: &Identity,
    ) -> Result<Vec<RegionName>, Failure> {
        let exact = |pattern: &RegionPattern| match pattern {
            RegionPattern::Exact(region) => Some(region.clone()),
            RegionPattern::Glob(_) => None,
        };
        if let Some(named) = self.regions.iter().map(exact).collect::<Option<Vec<_>>>()
            && !named.is_empty()
        {
            return Ok(named);
        }
        let layers = manifest.iter().flat_map(|manifest| manifest.layers(self.kind()).values());
        let recorded: BTreeSet<&RegionName> = layers
            .flat_map(|layer| layer.regions.keys())
            .filter(|region| region.partition() == identity.partition)
            .collect();
        let regions = if self.regions.is_empty() {
            recorded.into_iter().map(|region| RegionPattern::Exact(region.clone())).collect()
        } else {
            self.regions.clone()
        };
        let choice = RegionChoice { regions, optional: Vec::new(), exclude: Vec::new() };
        let selection = account::select(ui, session, identity, &choice).await?;
        let enabled = selection.targets.into_iter().filter(|target| target.disabled.is_none());
        Ok(enabled.map(|target| target.region).collect())
    }
}
