//! The layer calls of one region.

use super::{
    budget,
    error::{CallError, Kind},
    http,
    partition::RegionName,
    policy::{self, Grant},
    session::Session,
    upload::Upload,
};
use aws_sdk_lambda::{
    Client,
    config::{Region, retry::RetryConfig},
};

const LIST: &str = "ListLayerVersions";
const GET: &str = "GetLayerVersion";
const POLICY: &str = "GetLayerVersionPolicy";
const PUBLISH: &str = "PublishLayerVersion";
const PERMIT: &str = "AddLayerVersionPermission";

/// A layer version as AWS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its number.
    pub number: i64,
    /// With the number at its end.
    pub arn: String,
    /// Base64 of the zip's sha256.
    pub code_sha256: String,
    /// The zip's size.
    pub size: i64,
    /// `CompatibleArchitectures`.
    pub architectures: Vec<String>,
    /// `LicenseInfo`.
    pub license: String,
    /// `Description`.
    pub description: String,
    /// Who may use it.
    pub grant: Grant,
}

/// A number and its description: what a list tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The version's number.
    pub number: i64,
    /// `Description`.
    pub description: String,
}

/// One region's layers.
#[derive(Clone, Debug)]
pub struct RegionLayers {
    client: Client,
}

impl RegionLayers {
    /// A client of its own for a region, with its own share of requests per second.
    pub fn new(session: &Session, region: &RegionName) -> Self {
        let config = aws_sdk_lambda::config::Builder::from(&session.config)
            .region(Region::new(region.to_string()))
            .http_client(budget::paced(session.http.clone()))
            .build();
        Self { client: Client::from_conf(config) }
    }

    /// All versions of a layer, newest first; none where there is no such layer.
    pub async fn list(&self, layer: &str) -> Result<Vec<Listed>, CallError> {
        let mut pages = self.client.list_layer_versions().layer_name(layer).into_paginator().send();
        let mut versions = Vec::new();
        while let Some(page) = pages.next().await {
            let page = match page.map_err(|error| CallError::new(LIST, &error)) {
                Ok(page) => page,
                Err(error) if error.kind == Kind::NotFound => break,
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
    pub async fn read(&self, layer: &str, number: i64) -> Result<Option<Version>, CallError> {
        let answer = self.client.get_layer_version().layer_name(layer).version_number(number).send().await;
        let answer = match answer.map_err(|error| CallError::new(GET, &error)) {
            Ok(answer) => answer,
            Err(error) if error.kind == Kind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let content = answer.content().ok_or_else(|| CallError::incomplete(GET, "Content"))?;
        Ok(Some(Version {
            number: answer.version(),
            arn: answer.layer_version_arn().unwrap_or_default().to_owned(),
            code_sha256: content.code_sha256().unwrap_or_default().to_owned(),
            size: content.code_size(),
            architectures: answer.compatible_architectures().iter().map(|a| a.as_str().to_owned()).collect(),
            license: answer.license_info().unwrap_or_default().to_owned(),
            description: answer.description().unwrap_or_default().to_owned(),
            grant: self.grant_of(layer, number).await?,
        }))
    }

    async fn grant_of(&self, layer: &str, number: i64) -> Result<Grant, CallError> {
        let answer =
            self.client.get_layer_version_policy().layer_name(layer).version_number(number).send().await;
        match answer.map_err(|error| CallError::new(POLICY, &error)) {
            Ok(answer) => Ok(answer.policy().map_or(Grant::Missing, policy::grant)),
            Err(error) if error.kind == Kind::NotFound => Ok(Grant::Missing),
            Err(error) => Err(error),
        }
    }

    /// Publishes, once: the API has no token that would make a repetition harmless, so the SDK must not retry,
    /// and after an ambiguous error the caller has to look before it tries again.
    pub async fn publish(&self, layer: &str, upload: &Upload) -> Result<i64, CallError> {
        let body = upload.share().ok_or_else(|| CallError::incomplete(PUBLISH, "a body"))?;
        let once = aws_sdk_lambda::config::Config::builder()
            .retry_config(RetryConfig::disabled())
            .timeout_config(http::upload_timeouts(upload.bytes()));
        let answer = self
            .client
            .publish_layer_version()
            .layer_name(layer)
            .customize()
            .mutate_request(move |request| body.fill(request))
            .config_override(once)
            .send()
            .await
            .map_err(|error| CallError::new(PUBLISH, &error))?;
        if answer.version() < 1 {
            return Err(CallError::incomplete(PUBLISH, "a version"));
        }
        Ok(answer.version())
    }

    /// Lets everybody use a version. That the statement is there already is no error here; what it says is
    /// for the caller to read back.
    pub async fn make_public(&self, layer: &str, number: i64) -> Result<(), CallError> {
        let answer = self
            .client
            .add_layer_version_permission()
            .layer_name(layer)
            .version_number(number)
            .statement_id(policy::STATEMENT)
            .action(policy::ACTION)
            .principal("*")
            .send()
            .await;
        match answer.map_err(|error| CallError::new(PERMIT, &error)) {
            Ok(_) => Ok(()),
            Err(error) if error.kind == Kind::Conflict => Ok(()),
            Err(error) => Err(error),
        }
    }
}
