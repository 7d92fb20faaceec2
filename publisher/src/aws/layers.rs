//! The calls of one region that concern layers.

mod permissions;
mod versions;

pub(crate) use versions::{LayerVersion, ListedVersion, PublishAnswer, VisibleContent, VisibleVersion};

use crate::{
    aws::{
        calls::none_if_error,
        error::{CallError, CallErrorKind},
        partition::RegionName,
        policy::Policy,
        rate_limit::Reservation,
        region_error::RegionError,
        s3::StagedZip,
        session::Session,
        upload::Upload,
        upload_progress::UploadProgress,
    },
    model::layer_arch::LayerArch,
};
use aws_sdk_lambda::{
    Client,
    config::{StalledStreamProtectionConfig, retry::RetryConfig},
    types::{
        Architecture, LayerVersionContentInput, LayerVersionContentOutput, Runtime, S3ObjectStorageMode,
    },
};
use std::sync::Arc;
use tokio::time::Instant;

const LIST_LAYERS: &str = "ListLayers";
const LIST_VERSIONS: &str = "ListLayerVersions";
const GET_VERSION: &str = "GetLayerVersion";
const GET_POLICY: &str = "GetLayerVersionPolicy";
const PUBLISH_VERSION: &str = "PublishLayerVersion";
const DELETE_VERSION: &str = "DeleteLayerVersion";
const GET_SETTINGS: &str = "GetAccountSettings";
const GET_VERSION_BY_ARN: &str = "GetLayerVersionByArn";

/// How the zip is transferred to Lambda.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ZipSource<'a> {
    /// The request contains the zip.
    Direct,
    /// Lambda copies the zip from a bucket in the same region.
    Bucket(&'a StagedZip),
}

/// Returns `None` for an empty list, because Lambda treats an empty list differently from a missing one.
fn runtimes(names: &[String]) -> Option<Vec<Runtime>> {
    (!names.is_empty()).then(|| names.iter().map(|name| Runtime::from(name.as_str())).collect())
}

fn architectures(arch: LayerArch) -> Vec<Architecture> {
    arch.arches().iter().map(|arch| Architecture::from(arch.name())).collect()
}

/// The layer calls of one region.
#[derive(Clone, Debug)]
pub(crate) struct RegionLayers {
    client: Client,
    session: Arc<Session>,
    region: RegionName,
}

impl RegionLayers {
    /// Creates a client for this region. It has its own limit of requests per second.
    pub(crate) fn new(session: &Arc<Session>, region: &RegionName) -> Self {
        Self { client: session.lambda(region), session: Arc::clone(session), region: region.clone() }
    }

    /// Converts the error of one of these calls. The result says whether the credentials are the cause.
    pub(crate) fn in_region(&self, error: CallError) -> RegionError {
        self.session.in_region(&self.region, error)
    }

    /// Lists the names of all layers that the account has in this region.
    pub(crate) async fn names(&self) -> Result<Vec<String>, CallError> {
        self.session
            .call(|| async {
                let mut pages = self.client.list_layers().into_paginator().send();
                let mut names = Vec::new();
                while let Some(page) = pages.next().await {
                    let page = page.map_err(|error| CallError::new(LIST_LAYERS, &error))?;
                    names.extend(
                        page.layers().iter().filter_map(|layer| layer.layer_name()).map(str::to_owned),
                    );
                }
                Ok(names)
            })
            .await
    }

    /// Lists all versions of a layer, newest first. The list is empty if the layer does not exist.
    pub(crate) async fn list(&self, layer: &str) -> Result<Vec<ListedVersion>, CallError> {
        self.session.call(|| self.list_once(layer)).await
    }

    async fn list_once(&self, layer: &str) -> Result<Vec<ListedVersion>, CallError> {
        let mut pages = self.client.list_layer_versions().layer_name(layer).into_paginator().send();
        let mut versions = Vec::new();
        while let Some(page) = pages.next().await {
            let page = match page.map_err(|error| CallError::new(LIST_VERSIONS, &error)) {
                Ok(page) => page,
                Err(error) if error.kind == CallErrorKind::NotFound => break,
                Err(error) => return Err(error),
            };
            versions.extend(page.layer_versions().iter().map(|version| ListedVersion {
                number: version.version(),
                description: version.description().unwrap_or_default().to_owned(),
            }));
        }
        // The API does not promise an order.
        versions.sort_by_key(|version| std::cmp::Reverse(version.number));
        Ok(versions)
    }

    /// Reads one version and its policy. Returns `None` if the version does not exist.
    pub(crate) async fn read(&self, layer: &str, number: i64) -> Result<Option<LayerVersion>, CallError> {
        let request = || self.client.get_layer_version().layer_name(layer).version_number(number).send();
        let answer = none_if_error(CallErrorKind::NotFound, self.session.send(GET_VERSION, request).await)?;
        let Some(answer) = answer else { return Ok(None) };
        let content = answer.content().ok_or_else(|| CallError::incomplete(GET_VERSION, "Content"))?;
        Ok(Some(LayerVersion {
            number: answer.version(),
            arn: answer.layer_version_arn().unwrap_or_default().to_owned(),
            code_sha256: content.code_sha256().unwrap_or_default().to_owned(),
            size: content.code_size(),
            architectures: answer.compatible_architectures().iter().map(|a| a.as_str().to_owned()).collect(),
            runtimes: answer.compatible_runtimes().iter().map(|r| r.as_str().to_owned()).collect(),
            license: answer.license_info().unwrap_or_default().to_owned(),
            description: answer.description().unwrap_or_default().to_owned(),
            policy: self.policy_of(layer, number).await?,
        }))
    }

    async fn policy_of(&self, layer: &str, number: i64) -> Result<Policy, CallError> {
        let request =
            || self.client.get_layer_version_policy().layer_name(layer).version_number(number).send();
        let answer = none_if_error(CallErrorKind::NotFound, self.session.send(GET_POLICY, request).await)?;
        let document = answer.as_ref().and_then(|answer| answer.policy());
        Ok(document.map_or_else(Policy::default, Policy::read))
    }

    /// Reads the zip's hash and download link of a version by its ARN. Every account that may use the version may do
    /// so.
    pub(crate) async fn content_by_arn(&self, arn: &str) -> Result<VisibleContent, CallError> {
        let request = || self.client.get_layer_version_by_arn().arn(arn).send();
        let answer = self.session.send(GET_VERSION_BY_ARN, request).await?;
        let content = answer.content().ok_or_else(|| CallError::incomplete(GET_VERSION_BY_ARN, "Content"))?;
        let sha256 =
            content.code_sha256().ok_or_else(|| CallError::incomplete(GET_VERSION_BY_ARN, "CodeSha256"))?;
        Ok(VisibleContent { code_sha256: sha256.to_owned(), location: content.location().map(str::to_owned) })
    }

    /// Reads all that an account which does not own the layer sees of a version.
    pub(crate) async fn visible_version(&self, arn: &str) -> Result<VisibleVersion, CallError> {
        let request = || self.client.get_layer_version_by_arn().arn(arn).send();
        let answer = self.session.send(GET_VERSION_BY_ARN, request).await?;
        let content = answer.content().ok_or_else(|| CallError::incomplete(GET_VERSION_BY_ARN, "Content"))?;
        let lacks = |what| CallError::incomplete(GET_VERSION_BY_ARN, what);
        Ok(VisibleVersion {
            code_sha256: content.code_sha256().ok_or_else(|| lacks("CodeSha256"))?.to_owned(),
            location: content.location().ok_or_else(|| lacks("Location"))?.to_owned(),
            description: answer.description().unwrap_or_default().to_owned(),
            license: answer.license_info().unwrap_or_default().to_owned(),
        })
    }

    /// Reads the compatible architectures of a version by its ARN. The version may belong to another account. The list
    /// is empty if the version names none.
    pub(crate) async fn architectures_by_arn(&self, arn: &str) -> Result<Vec<String>, CallError> {
        let request = || self.client.get_layer_version_by_arn().arn(arn).send();
        let answer = self.session.send(GET_VERSION_BY_ARN, request).await?;
        Ok(answer.compatible_architectures().iter().map(|arch| arch.as_str().to_owned()).collect())
    }

    /// Returns how many bytes of code the account can still store in this region.
    pub(crate) async fn code_storage_left(&self) -> Result<i64, CallError> {
        let answer = self.session.send(GET_SETTINGS, || self.client.get_account_settings().send()).await?;
        match (answer.account_limit(), answer.account_usage()) {
            (Some(limit), Some(usage)) => Ok(limit.total_code_size() - usage.total_code_size()),
            _ => Err(CallError::incomplete(GET_SETTINGS, "the limit or the usage")),
        }
    }

    /// Publishes a version with a single attempt. The API has no token that would make a repetition harmless, so the
    /// SDK must not retry. After an ambiguous error the caller has to list the versions before it tries again. The
    /// slot of the reservation is held until the answer, and it is told whether the upload succeeded.
    pub(crate) async fn publish(
        &self,
        layer: &str,
        upload: &Upload,
        source: ZipSource<'_>,
        Reservation { slot, bytes }: Reservation,
    ) -> Result<PublishAnswer, CallError> {
        let started = Instant::now();
        let timeouts = self.session.timeouts;
        let single_attempt = aws_sdk_lambda::config::Config::builder().retry_config(RetryConfig::disabled());
        let request = self.client.publish_layer_version().layer_name(layer);
        let progress = UploadProgress::new(upload.bytes());
        let call_error = |error| CallError::new(PUBLISH_VERSION, &error);
        let answer = match source {
            ZipSource::Direct => {
                let request =
                    request.customize().interceptor(upload.body_interceptor(Some(bytes), progress.clone()));
                let single_attempt = single_attempt
                    .timeout_config(timeouts.watched_upload())
                    .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
                tokio::select! {
                    answer = request.config_override(single_attempt).send() => answer.map_err(call_error),
                    () = progress.wait_until_stalled(timeouts) => {
                        Err(CallError::aborted_upload(PUBLISH_VERSION, progress.is_incomplete()))
                    }
                }
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
                    .license_info(&upload.label.license)
                    .set_compatible_architectures(upload.label.arch.map(architectures))
                    .set_compatible_runtimes(runtimes(&upload.label.runtimes))
                    .customize()
                    .config_override(single_attempt.timeout_config(timeouts.upload(0)))
                    .send()
                    .await
                    .map_err(call_error)
            }
        };
        let answer = match answer {
            Ok(answer) => {
                slot.response_received();
                answer
            }
            Err(error) => {
                if matches!(error.kind, CallErrorKind::Stalled | CallErrorKind::Ambiguous) {
                    slot.upload_aborted();
                } else {
                    slot.response_received();
                }
                if error.kind == CallErrorKind::Expired {
                    self.session.credentials.report_expired(started).await;
                }
                return Err(error);
            }
        };
        if answer.version() < 1 {
            return Err(CallError::incomplete(PUBLISH_VERSION, "a version"));
        }
        let content = answer.content();
        Ok(PublishAnswer {
            number: answer.version(),
            arn: answer.layer_version_arn().map(str::to_owned),
            code_sha256: content.and_then(|content| content.code_sha256()).map(str::to_owned),
            // The SDK returns 0 for a missing size. No zip has that size.
            size: content.map(LayerVersionContentOutput::code_size).filter(|size| *size > 0),
        })
    }

    /// Deletes a version. Functions that use it keep it, but it cannot be attached any more.
    pub(crate) async fn delete(&self, layer: &str, number: i64) -> Result<(), CallError> {
        let request = || self.client.delete_layer_version().layer_name(layer).version_number(number).send();
        self.session.while_busy(|| self.session.send(DELETE_VERSION, request)).await.map(drop)
    }
}
