//! The layer calls of one region.

use crate::aws::{
    audience::Reader,
    calls::unless,
    error::{CallError, CallErrorKind},
    partition::RegionName,
    policy::{self, Policy},
    rate_limit::Reservation,
    s3::Staged,
    session::Session,
    upload::Upload,
};
use aws_sdk_lambda::{
    Client,
    config::retry::RetryConfig,
    types::{Architecture, LayerVersionContentInput, Runtime, S3ObjectStorageMode},
};
use std::sync::Arc;
use tokio::time::Instant;

const LAYERS: &str = "ListLayers";
const LIST: &str = "ListLayerVersions";
const GET: &str = "GetLayerVersion";
const POLICY: &str = "GetLayerVersionPolicy";
const PUBLISH: &str = "PublishLayerVersion";
const PERMIT: &str = "AddLayerVersionPermission";
const FORBID: &str = "RemoveLayerVersionPermission";
const DELETE: &str = "DeleteLayerVersion";
const SETTINGS: &str = "GetAccountSettings";
const BY_ARN: &str = "GetLayerVersionByArn";

/// A layer version as AWS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayerVersion {
    /// Its number.
    pub(crate) number: i64,
    /// With the number at its end.
    pub(crate) arn: String,
    /// Base64 of the zip's sha256.
    pub(crate) code_sha256: String,
    /// The zip's size.
    pub(crate) size: i64,
    /// `CompatibleArchitectures`.
    pub(crate) architectures: Vec<String>,
    /// `CompatibleRuntimes`.
    pub(crate) runtimes: Vec<String>,
    /// `LicenseInfo`.
    pub(crate) license: String,
    /// `Description`.
    pub(crate) description: String,
    /// Where to download the zip, for a while.
    pub(crate) location: Option<String>,
    /// Who may use it.
    pub(crate) policy: Policy,
}

/// A number and its description: what a list tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// The version's number.
    pub(crate) number: i64,
    /// `Description`.
    pub(crate) description: String,
}

/// How the zip gets to Lambda.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ZipSource<'a> {
    /// With the request.
    Direct,
    /// From a bucket in the same region.
    Bucket(&'a Staged),
}

/// None at all is not the same as an empty list.
fn runtimes(names: &[String]) -> Option<Vec<Runtime>> {
    (!names.is_empty()).then(|| names.iter().map(|name| Runtime::from(name.as_str())).collect())
}

/// One region's layers.
#[derive(Clone, Debug)]
pub(crate) struct RegionLayers {
    client: Client,
    session: Arc<Session>,
}

impl RegionLayers {
    /// A client of its own for a region, with its own share of requests per second.
    pub(crate) fn new(session: &Arc<Session>, region: &RegionName) -> Self {
        Self { client: session.lambda(region), session: Arc::clone(session) }
    }

    /// The names of all layers that the account has here.
    pub(crate) async fn names(&self) -> Result<Vec<String>, CallError> {
        self.session
            .call(|| async {
                let mut pages = self.client.list_layers().into_paginator().send();
                let mut names = Vec::new();
                while let Some(page) = pages.next().await {
                    let page = page.map_err(|error| CallError::new(LAYERS, &error))?;
                    names.extend(
                        page.layers().iter().filter_map(|layer| layer.layer_name()).map(str::to_owned),
                    );
                }
                Ok(names)
            })
            .await
    }

    /// All versions of a layer, newest first; none where there is no such layer.
    pub(crate) async fn list(&self, layer: &str) -> Result<Vec<Listed>, CallError> {
        self.session.call(|| self.list_once(layer)).await
    }

    async fn list_once(&self, layer: &str) -> Result<Vec<Listed>, CallError> {
        let mut pages = self.client.list_layer_versions().layer_name(layer).into_paginator().send();
        let mut versions = Vec::new();
        while let Some(page) = pages.next().await {
            let page = match page.map_err(|error| CallError::new(LIST, &error)) {
                Ok(page) => page,
                Err(error) if error.kind == CallErrorKind::NotFound => break,
                Err(error) => return Err(error),
            };
            versions.extend(page.layer_versions().iter().map(|version| Listed {
                number: version.version(),
                description: version.description().unwrap_or_default().to_owned(),
            }));
        }
        // The order of the answer is not promised.
        versions.sort_by_key(|version| std::cmp::Reverse(version.number));
        Ok(versions)
    }

    /// Everything about one version, its policy included; `None` where there is no such version.
    pub(crate) async fn read(&self, layer: &str, number: i64) -> Result<Option<LayerVersion>, CallError> {
        let request = || self.client.get_layer_version().layer_name(layer).version_number(number).send();
        let answer = unless(CallErrorKind::NotFound, self.session.send(GET, request).await)?;
        let Some(answer) = answer else { return Ok(None) };
        let content = answer.content().ok_or_else(|| CallError::incomplete(GET, "Content"))?;
        Ok(Some(LayerVersion {
            number: answer.version(),
            arn: answer.layer_version_arn().unwrap_or_default().to_owned(),
            code_sha256: content.code_sha256().unwrap_or_default().to_owned(),
            size: content.code_size(),
            architectures: answer.compatible_architectures().iter().map(|a| a.as_str().to_owned()).collect(),
            runtimes: answer.compatible_runtimes().iter().map(|r| r.as_str().to_owned()).collect(),
            license: answer.license_info().unwrap_or_default().to_owned(),
            description: answer.description().unwrap_or_default().to_owned(),
            location: content.location().map(str::to_owned),
            policy: self.policy_of(layer, number).await?,
        }))
    }

    async fn policy_of(&self, layer: &str, number: i64) -> Result<Policy, CallError> {
        let request =
            || self.client.get_layer_version_policy().layer_name(layer).version_number(number).send();
        let answer = unless(CallErrorKind::NotFound, self.session.send(POLICY, request).await)?;
        let document = answer.as_ref().and_then(|answer| answer.policy());
        Ok(document.map_or_else(Policy::default, Policy::read))
    }

    /// What somebody else sees of a version: its `CodeSha256`.
    pub(crate) async fn sha256_by_arn(&self, arn: &str) -> Result<String, CallError> {
        let request = || self.client.get_layer_version_by_arn().arn(arn).send();
        let answer = self.session.send(BY_ARN, request).await?;
        let sha256 = answer.content().and_then(|content| content.code_sha256());
        Ok(sha256.ok_or_else(|| CallError::incomplete(BY_ARN, "CodeSha256"))?.to_owned())
    }

    /// The architectures that somebody's version says it is for; none: it does not say.
    pub(crate) async fn architectures_by_arn(&self, arn: &str) -> Result<Vec<String>, CallError> {
        let request = || self.client.get_layer_version_by_arn().arn(arn).send();
        let answer = self.session.send(BY_ARN, request).await?;
        Ok(answer.compatible_architectures().iter().map(|arch| arch.as_str().to_owned()).collect())
    }

    /// Bytes of code that the region still has room for.
    pub(crate) async fn code_storage_left(&self) -> Result<i64, CallError> {
        let answer = self.session.send(SETTINGS, || self.client.get_account_settings().send()).await?;
        match (answer.account_limit(), answer.account_usage()) {
            (Some(limit), Some(usage)) => Ok(limit.total_code_size() - usage.total_code_size()),
            _ => Err(CallError::incomplete(SETTINGS, "the limit or the usage")),
        }
    }

    /// Publishes, once: the API has no token that would make a repetition harmless, so the SDK must not retry,
    /// and after an ambiguous error the caller has to look before it tries again.
    pub(crate) async fn publish(
        &self,
        layer: &str,
        upload: &Upload,
        way: ZipSource<'_>,
        reservation: Option<Reservation>,
    ) -> Result<i64, CallError> {
        let begun = Instant::now();
        let once = aws_sdk_lambda::config::Config::builder()
            .retry_config(RetryConfig::disabled())
            .timeout_config(self.session.timeouts.upload(upload.bytes()));
        let request = self.client.publish_layer_version().layer_name(layer);
        let answer = match way {
            ZipSource::Direct => {
                let request = request.customize().interceptor(upload.fill(reservation));
                request.config_override(once).send().await
            }
            ZipSource::Bucket(staged) => {
                let content = LayerVersionContentInput::builder()
                    .s3_bucket(&staged.bucket)
                    .s3_key(&staged.key)
                    .s3_object_storage_mode(S3ObjectStorageMode::Copy)
                    .build();
                request
                    .content(content)
                    .description(&upload.label.description)
                    .license_info(upload.label.license)
                    .compatible_architectures(Architecture::from(upload.label.arch.name()))
                    .set_compatible_runtimes(runtimes(&upload.label.runtimes))
                    .customize()
                    .config_override(once)
                    .send()
                    .await
            }
        };
        let answer = match answer.map_err(|error| CallError::new(PUBLISH, &error)) {
            Ok(answer) => answer,
            Err(error) => {
                if error.kind == CallErrorKind::Expired {
                    self.session.credentials.expired(begun).await;
                }
                return Err(error);
            }
        };
        if answer.version() < 1 {
            return Err(CallError::incomplete(PUBLISH, "a version"));
        }
        Ok(answer.version())
    }

    /// Lets somebody use a version. That the statement is there already is no error here; what it says is
    /// for the caller to read back.
    pub(crate) async fn permit(
        &self,
        layer: &str,
        number: i64,
        id: &str,
        who: &Reader,
    ) -> Result<(), CallError> {
        let request = || {
            let request = self
                .client
                .add_layer_version_permission()
                .layer_name(layer)
                .version_number(number)
                .statement_id(id)
                .action(policy::ACTION);
            let request = match who {
                Reader::Everybody => request.principal("*"),
                Reader::Account(account) => request.principal(account.as_str()),
                Reader::Organization(organization) => {
                    request.principal("*").organization_id(organization.as_str())
                }
            };
            request.send()
        };
        let permitted = self.session.while_busy(|| self.session.send(PERMIT, request)).await;
        unless(CallErrorKind::Conflict, permitted).map(drop)
    }

    /// Takes a statement away. That it is gone already is no error.
    pub(crate) async fn forbid(&self, layer: &str, number: i64, id: &str) -> Result<(), CallError> {
        let request = || {
            let request = self.client.remove_layer_version_permission();
            request.layer_name(layer).version_number(number).statement_id(id).send()
        };
        let forbidden = self.session.while_busy(|| self.session.send(FORBID, request)).await;
        unless(CallErrorKind::NotFound, forbidden).map(drop)
    }

    /// Deletes a version. Functions that have it keep it; nobody can attach it any more.
    pub(crate) async fn delete(&self, layer: &str, number: i64) -> Result<(), CallError> {
        let request = || self.client.delete_layer_version().layer_name(layer).version_number(number).send();
        self.session.while_busy(|| self.session.send(DELETE, request)).await.map(drop)
    }
}
