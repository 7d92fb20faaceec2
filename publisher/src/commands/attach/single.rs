//! `publisher attach` for one function: shows it before and after, and changes it.

use crate::{
    artifacts::layers_manifest::LayersManifest,
    aws::{
        functions::RegionFunctions, partition::RegionName, regions::RegionPattern, session::configured_region,
    },
    commands::{
        attach::{
            Attach,
            change::FunctionUpdater,
            image,
            name::FunctionName,
            plan::{self, Goal},
            show::{self, AttachReport},
        },
        common::account,
    },
    failure::{Code, Failure},
    ui::Ui,
};
use std::time::Duration;

impl Attach {
    /// The function and the region, if the command line names one function alone.
    pub(super) fn single(&self) -> Option<(&FunctionName, Option<&RegionName>)> {
        let [name] = &self.functions[..] else { return None };
        let region = match &self.regions[..] {
            [] => None,
            [RegionPattern::Exact(region)] => Some(region),
            _ => return None,
        };
        self.state.is_none().then_some((name, region))
    }

    pub(super) async fn attach_one(
        &self,
        ui: &Ui,
        manifest: Option<&LayersManifest>,
        name: &FunctionName,
        region: Option<&RegionName>,
    ) -> Result<(), Failure> {
        let region = self.region_of(name, region).await?;
        let (session, identity) = account::open_session(ui, &self.account_options, Some(&region)).await?;
        let functions = RegionFunctions::new(&session, &region);
        let updater = FunctionUpdater {
            functions: &functions,
            name,
            region: &region,
            account: &identity.account,
            wait: Duration::from_secs(self.wait),
            quiet: false,
            announce: None,
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
                manifest.and_then(|manifest| manifest.layer_for(self.kind(), function.arch));
            if let Some(runtimes) = layer_of_release.and_then(|layer| layer.runtimes.as_ref()) {
                show::compare_runtimes(ui, &function, runtimes);
            }
            Goal::Attached { layer, wrapper: self.exec_wrapper, settings: self.settings() }
        };
        let outcome = if self.act.execute {
            updater.reach(ui, &goal, &family).await?
        } else {
            plan::preview(&function, &goal, &family)?
        };
        let layer = match &goal {
            Goal::Attached { layer, .. } => Some(layer.to_string()),
            Goal::Detached | Goal::Restored { .. } => None,
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

    async fn region_of(
        &self,
        name: &FunctionName,
        asked: Option<&RegionName>,
    ) -> Result<RegionName, Failure> {
        if let (Some(asked), Some(named)) = (asked, &name.region)
            && asked != named
        {
            let text = format!("--regions is {asked}, and the function's ARN says {named}");
            return Err(Failure::message(Code::Usage, text).hint("leave out --regions"));
        }
        if let Some(region) = name.region.as_ref().or(asked) {
            return Ok(region.clone());
        }
        self.configured_region().await
    }

    /// The region of `AWS_REGION` or of the profile.
    pub(super) async fn configured_region(&self) -> Result<RegionName, Failure> {
        let set = configured_region(&self.account_options.aws).await;
        let set = set.ok_or_else(|| {
            Failure::message(Code::Usage, "it is not clear in which region the function is")
                .hint("name it with --regions, AWS_REGION or the profile, or give the function's ARN")
        })?;
        set.as_ref().parse().map_err(Failure::new)
    }
}
