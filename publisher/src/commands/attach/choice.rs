//! Chooses the layer version: from the manifest, from AWS's list of versions, or by the ARN that the user gave.

use crate::{
    artifacts::layers_manifest::LayersManifest,
    attach::layer_list::Family,
    aws::{
        audience::AccountId, error::CallError, functions::Function, identity::Identity, layer_arn::LayerArn,
        layers::RegionLayers, partition::RegionName, regions::RegionPattern, session::Session,
    },
    commands::{
        attach::Attach,
        common::{manifest, newest_version},
    },
    failure::{Code, Failure},
    model::arch::Arch,
    ui::Ui,
};
use std::sync::Arc;

impl Attach {
    /// The layers that replace each other: a function needs at most one of them.
    pub(super) fn family(
        &self,
        manifest: Option<&LayersManifest>,
        region: &RegionName,
    ) -> Result<Family, Failure> {
        let Some(manifest) = manifest else {
            let arn = self.layer_arn.as_ref();
            let names = arn.map(|arn| arn.name.to_string()).into_iter().collect();
            return Ok(Family { account: arn.map(|arn| arn.account.clone()), names });
        };
        let owner = manifest.accounts.get(&region.partition()).cloned();
        let account = owner.map(AccountId::try_from).transpose().map_err(Failure::new)?;
        Ok(Family { account, names: manifest::names(manifest) })
    }

    /// The ARN of the layer version to attach.
    pub(super) async fn layer(
        &self,
        ui: &Ui,
        manifest: Option<&LayersManifest>,
        region: &RegionName,
        function: &Function,
        session: &Arc<Session>,
        identity: &Identity,
    ) -> Result<LayerArn, Failure> {
        let arch = function.arch;
        if let Some(arn) = &self.layer_arn {
            if arn.region != *region {
                let text = format!("{arn} is in {}, and the function in {region}", arn.region);
                return Err(Failure::message(Code::Failed, text)
                    .hint("layers are attached in their own region only; nothing was changed"));
            }
            let layers = RegionLayers::new(session, region);
            compare_arch(ui, arn, arch, &layers.architectures_by_arn(&arn.to_string()).await)?;
            return Ok(arn.clone());
        }
        let Some(manifest) = manifest else {
            return Err(Failure::message(Code::Usage, "there is no layer to attach"));
        };
        if !self.latest {
            let here = RegionPattern::Exact(region.clone());
            let table = manifest::arns(manifest, self.kind(), std::slice::from_ref(&here), Some(arch))?;
            let found = table.arns().next().map(|(_, _, arn)| arn.clone());
            return found
                .ok_or_else(|| manifest::missing_layer(manifest, self.kind(), Some(&here), Some(arch)));
        }
        let subject = manifest::layer_query(manifest, self.kind(), region, arch)?;
        let found = newest_version::newest(session, identity, vec![subject]).await?;
        let found = found.into_iter().next().map(|(_, arn)| arn);
        if let Some(arn) = &found {
            manifest::refuse_yanked_version(manifest, arn)?;
        }
        found.ok_or_else(|| {
            let text = format!("AWS lists no version of the {arch} layer in {region}");
            Failure::message(Code::Failed, text).hint("publish it there with `publisher publish --execute`")
        })
    }
}

/// Fails if the layer is for another architecture, because its binary would keep the function from starting.
fn compare_arch(
    ui: &Ui,
    arn: &LayerArn,
    arch: Arch,
    found: &Result<Vec<String>, CallError>,
) -> Result<(), Failure> {
    match found {
        Ok(arches) if arches.is_empty() || arches.iter().any(|name| name == arch.name()) => Ok(()),
        Ok(arches) => {
            let text = format!("{arn} is for {}, and the function is {arch}", arches.join(" and "));
            Err(Failure::message(Code::Failed, text)
                .hint("name the layer of that architecture; nothing was changed"))
        }
        Err(error) => {
            ui.warning(format!("the architecture of {arn} is not known ({error}); the function is {arch}"));
            Ok(())
        }
    }
}
