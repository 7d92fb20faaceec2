//! `publisher attach`: attaches the layer to a function, replaces it by another version, or removes it.

mod change;
mod choice;
mod explain;
mod image;
mod name;
mod show;
mod wrapper;

use crate::{
    artifacts::layers_manifest::LayersManifest,
    aws::{
        functions::RegionFunctions, layer_arn::LayerArn, partition::RegionName, session::configured_region,
    },
    commands::common::{
        account::{self, AccountOptions},
        execute::ExecuteOptions,
        manifest,
    },
    failure::{Code, Failure},
    model::variant::LayerKind,
    ui::Ui,
};
use change::{FunctionUpdater, Goal};
use name::FunctionName;
use show::AttachReport;
use std::{path::PathBuf, time::Duration};

/// Arguments of `publisher attach`.
#[derive(clap::Args)]
pub(crate) struct Attach {
    /// The function's name or ARN
    #[arg(value_name = "FUNCTION")]
    function: FunctionName,

    /// Where the function is; else the region of its ARN, of `AWS_REGION` or of the profile
    #[arg(long = "regions", visible_alias = "region", value_name = "REGION")]
    region: Option<RegionName>,

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

    /// The folder with layers.json
    #[arg(long, value_name = "DIR", default_value = "dist")]
    dist: PathBuf,

    #[command(flatten)]
    account_options: AccountOptions,
}

impl Attach {
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let manifest = if self.layer_arn.is_some() { None } else { Some(manifest::open(&self.dist)?) };
        account::runtime()?.block_on(self.attach(ui, manifest.as_ref()))
    }

    async fn attach(&self, ui: &Ui, manifest: Option<&LayersManifest>) -> Result<(), Failure> {
        let region = self.region().await?;
        let (session, identity) = account::open_session(ui, &self.account_options, Some(&region)).await?;
        let functions = RegionFunctions::new(&session, &region);
        let updater = FunctionUpdater {
            functions: &functions,
            name: &self.function,
            region: &region,
            account: &identity.account,
            wait: Duration::from_secs(self.wait),
        };
        let function = updater.read().await?;
        if function.image {
            return Err(image::refused(&function, self.kind()));
        }
        let family = self.family(manifest, &region)?;
        let goal = if self.detach {
            Goal::Detached
        } else {
            let layer = self.layer(ui, manifest, &region, &function, &session, &identity).await?;
            let layer_of_release =
                manifest.and_then(|manifest| manifest.layers(self.kind()).get(&function.arch));
            if let Some(runtimes) = layer_of_release.and_then(|layer| layer.runtimes.as_ref()) {
                show::compare_runtimes(ui, &function, runtimes);
            }
            Goal::Attached { layer, wrapper: self.exec_wrapper }
        };
        let outcome = if self.act.execute {
            updater.reach(ui, &goal, &family).await?
        } else {
            change::preview(&function, &goal, &family)?
        };
        let layer = match &goal {
            Goal::Attached { layer, .. } => Some(layer.to_string()),
            Goal::Detached => None,
        };
        let changed = outcome.changed;
        let after = outcome.after.clone();
        let report = AttachReport {
            function: function.arn.clone(),
            arch: function.arch,
            runtime: function.runtime.clone(),
            layer,
            action: outcome.action,
            changed: changed && self.act.execute,
            dry_run: !self.act.execute,
            before: outcome.before,
            after: outcome.after,
        };
        show::report(ui, &report)?;
        match (changed, self.act.execute) {
            (false, _) => ui.status("Finished", "it is as it should be: nothing to do"),
            (true, false) => {
                ui.status(
                    "Planned",
                    format!("nothing was changed; to carry it out:  {}", account::execute_command()),
                );
            }
            (true, true) => ui.status("Finished", "the change is in effect"),
        }
        if changed {
            show::tell_what_stays(ui);
        }
        if !self.detach {
            show::advise(ui, &function, &after, &family);
        }
        Ok(())
    }

    fn kind(&self) -> LayerKind {
        if self.relay { LayerKind::Relay } else { LayerKind::Plain }
    }

    async fn region(&self) -> Result<RegionName, Failure> {
        if let (Some(asked), Some(named)) = (&self.region, &self.function.region)
            && asked != named
        {
            let text = format!("--regions is {asked}, and the function's ARN says {named}");
            return Err(Failure::message(Code::Usage, text).hint("leave out --regions"));
        }
        if let Some(region) = self.function.region.as_ref().or(self.region.as_ref()) {
            return Ok(region.clone());
        }
        let set = configured_region(&self.account_options.aws).await;
        let set = set.ok_or_else(|| {
            Failure::message(Code::Usage, "it is not clear in which region the function is")
                .hint("name it with --regions, AWS_REGION or the profile, or give the function's ARN")
        })?;
        set.as_ref().parse().map_err(Failure::new)
    }
}
