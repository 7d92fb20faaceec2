//! Opens the session with an AWS account: region, credentials and HTTP client are determined once.
//!
//! The usual AWS variables and files apply. Metadata services are asked with a short timeout, so a machine without one
//! is not held up.

use crate::aws::{
    ca_bundle::{CaBundle, CaBundleError},
    credentials::RenewableCredentials,
    error::CallError,
    http::{self, Timeouts},
    partition::{Partition, RegionName},
    rate_limit,
    sign_in::{Profiles, is_signed_out},
};
use aws_config::{
    AppName, BehaviorVersion, Region, SdkConfig,
    default_provider::credentials::DefaultCredentialsChain,
    environment::EnvironmentVariableRegionProvider,
    identity::IdentityCache,
    imds::{self, client::error::ImdsError},
    meta::region::RegionProviderChain,
    profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider},
    provider_config::ProviderConfig,
};
use aws_credential_types::{Credentials, provider::error::CredentialsError};
use aws_sdk_lambda::config::{
    ProvideCredentials, SharedCredentialsProvider, SharedHttpClient, retry::RetryConfig,
};
use std::{collections::BTreeSet, error::Error, sync::OnceLock, time::Duration};

/// The maximum number of attempts of a call that may be repeated. The pauses between them double, with jitter.
const MAX_ATTEMPTS: u32 = 5;
const METADATA_SERVICE_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest wait for credentials. A credential process or a sign-in service may take a while.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_mins(1);

/// How to reach AWS, on the command line.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AwsOptions {
    /// Send requests here instead of to AWS (also `AWS_ENDPOINT_URL`, which signing in heeds too)
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint_url: Option<String>,

    /// Use this profile of ~/.aws/config and ~/.aws/credentials (also `AWS_PROFILE`)
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// How long to wait for an answer; uploads get more, by their size
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
}

impl AwsOptions {
    /// Returns the same options with another profile.
    #[must_use]
    pub(crate) fn with_profile(&self, name: &str) -> Self {
        Self { profile: Some(name.to_owned()), ..self.clone() }
    }
}

/// Why no session could be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// No source has credentials.
    #[error(
        "no AWS credentials: neither the environment nor a profile, a web identity or a metadata service has any"
    )]
    NoCredentials,
    /// The named profile does not exist or has no credentials.
    #[error("the profile `{0}` does not exist, or has no credentials")]
    Profile(String),
    /// A source of credentials was found, but it failed.
    #[error("cannot load AWS credentials")]
    Credentials(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A person has to sign in, in a browser.
    #[error("no user is signed in, or the session has expired")]
    SignedOut {
        /// The command that signs in.
        command: String,
        /// The error of the source of credentials.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The configured certificate authorities cannot be loaded.
    #[error(transparent)]
    CaBundle(#[from] CaBundleError),
    /// AWS does not accept the credentials.
    #[error("AWS does not accept these credentials")]
    Refused(#[source] CallError),
    /// The time of the signature differs too much from the time of AWS.
    #[error("AWS does not accept the time of this machine's clock")]
    Clock(#[source] CallError),
    /// There was no connection, or no usable answer.
    #[error("cannot reach AWS{at} to ask whose credentials these are")]
    Unreachable {
        /// The words "at URL" with a leading space if an endpoint is configured. Otherwise it is empty.
        at: String,
        /// The failed call.
        #[source]
        source: CallError,
    },
    /// The account is in an unknown partition.
    #[error("the credentials belong to `{0}`, which is in no partition that this version knows")]
    Partition(String),
}

impl SessionError {
    /// Tells the user what to do next.
    pub(crate) fn next(&self) -> String {
        let advice = match self {
            Self::SignedOut { command, .. } => return format!("sign in, then run it again:\n  {command}"),
            Self::CaBundle(_) => "name a file with certificates in PEM, or unset it",
            Self::Clock(_) => {
                "set the clock (e.g. `timedatectl set-ntp true`), then run it again; the keys may be right"
            }
            Self::NoCredentials => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with --profile or AWS_PROFILE,\n\
                 or sign in first, e.g. with `aws sso login`"
            }
            Self::Profile(_) => {
                "look for it in ~/.aws/config and ~/.aws/credentials (or where AWS_CONFIG_FILE and\n\
                 AWS_SHARED_CREDENTIALS_FILE point), or name another with --profile"
            }
            Self::Credentials(_) => {
                "correct the profile or variable that it names, or choose another with --profile"
            }
            Self::Refused(_) => {
                "they are wrong or expired: renew them (e.g. `aws sso login`), or choose others with --profile;\n\
                 `aws sts get-caller-identity` shows whether they work"
            }
            Self::Unreachable { source, .. } if source.message().contains("certificate") => {
                "name the certificate authority of the endpoint, or of the proxy on the way, with AWS_CA_BUNDLE or\n\
                 with ca_bundle in the profile, then run it again"
            }
            Self::Unreachable { .. } => {
                "check the network, --endpoint-url and AWS_ENDPOINT_URL, then run it again"
            }
            Self::Partition(_) => "use credentials of aws, aws-cn, aws-us-gov or aws-eusc",
        };
        advice.to_owned()
    }
}

/// The configuration from which all clients are made.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// The SDK's configuration: credentials, timeouts and endpoint.
    pub(crate) config: SdkConfig,
    /// The HTTP client. Each region wraps it with its own rate limit.
    pub(crate) http: SharedHttpClient,
    /// The credentials that sign the requests.
    pub(crate) credentials: RenewableCredentials,
    /// The timeouts of the calls.
    pub(crate) timeouts: Timeouts,
    /// Whether the credentials have a session token.
    pub(crate) is_temporary: bool,
    /// The regions that the account has enabled, once its list has been read.
    pub(crate) enabled: OnceLock<BTreeSet<RegionName>>,
}

impl Session {
    /// Creates a Lambda client for a region, with its own limit of requests per second.
    pub(crate) fn lambda(&self, region: &RegionName) -> aws_sdk_lambda::Client {
        let config = aws_sdk_lambda::config::Builder::from(&self.config)
            .region(Region::new(region.to_string()))
            .http_client(rate_limit::paced(self.http.clone()))
            .build();
        aws_sdk_lambda::Client::from_conf(config)
    }

    /// Finds the region and the credentials. `partition_hint` is a region in which the work will be done. Its partition
    /// decides the region if the environment names none, or one in another partition, where these credentials cannot
    /// be known.
    pub(crate) async fn open(
        options: &AwsOptions,
        partition_hint: Option<&RegionName>,
    ) -> Result<Self, SessionError> {
        let profiles = Profiles::load(options.profile.as_deref()).await;
        let http = http::client(CaBundle::find(profiles.as_ref().and_then(Profiles::ca_bundle))?);
        let region = home_region(options, partition_hint).await;
        let timeouts = Timeouts::seconds(options.timeout);
        let (source, first) = credentials(options, &http, region.clone(), profiles.as_ref()).await?;
        let credentials = RenewableCredentials::new(source);
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(region)
            .http_client(http.clone())
            .timeout_config(timeouts.calls())
            .stalled_stream_protection(timeouts.stalled_stream_protection())
            .retry_config(RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS))
            // The SDK's cache is off because `RenewableCredentials` caches the credentials.
            .identity_cache(IdentityCache::no_cache())
            .credentials_provider(credentials.clone());
        if let Ok(name) =
            AppName::new(concat!("sentry-lambda-extension-publisher-", env!("CARGO_PKG_VERSION")))
        {
            loader = loader.app_name(name);
        }
        if let Some(profile) = &options.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(url) = &options.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        Ok(Self {
            config: loader.load().await,
            http,
            credentials,
            timeouts,
            is_temporary: first.session_token().is_some(),
            enabled: OnceLock::new(),
        })
    }
}

/// Returns the region that the environment or the profile names.
pub(crate) async fn configured_region(options: &AwsOptions) -> Option<Region> {
    let mut profile = ProfileFileRegionProvider::builder();
    if let Some(name) = &options.profile {
        profile = profile.profile_name(name);
    }
    let environment = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new());
    environment.or_else(profile.build()).region().await
}

async fn home_region(options: &AwsOptions, partition_hint: Option<&RegionName>) -> Region {
    let set = configured_region(options).await;
    let partition = |region: &Region| region.as_ref().parse::<RegionName>().ok().map(|name| name.partition());
    let home = partition_hint.map_or(Partition::Aws, RegionName::partition).home();
    match set {
        Some(set)
            if partition_hint.is_none() || partition(&set) == partition_hint.map(RegionName::partition) =>
        {
            set
        }
        // This is not the region of the work itself. If that region is down, the others can still go on.
        _ => Region::new(home),
    }
}

/// Finds the source of credentials, and loads them once so that missing credentials are told apart from a missing
/// network.
async fn credentials(
    options: &AwsOptions,
    http: &SharedHttpClient,
    region: Region,
    profiles: Option<&Profiles>,
) -> Result<(SharedCredentialsProvider, Credentials), SessionError> {
    let config =
        ProviderConfig::without_region().with_http_client(http.clone()).with_region(Some(region.clone()));
    let provider = if let Some(name) = &options.profile {
        // The user asked for this profile on the command line, so keys in the environment must not override it.
        let profile = ProfileFileCredentialsProvider::builder().configure(&config).profile_name(name);
        SharedCredentialsProvider::new(profile.build())
    } else {
        let metadata = imds::Client::builder()
            .configure(&config)
            .max_attempts(1)
            .connect_timeout(METADATA_SERVICE_TIMEOUT)
            .read_timeout(METADATA_SERVICE_TIMEOUT)
            .operation_timeout(2 * METADATA_SERVICE_TIMEOUT)
            .build();
        let chain = DefaultCredentialsChain::builder().configure(config).region(region).imds_client(metadata);
        SharedCredentialsProvider::new(chain.build().await)
    };
    match tokio::time::timeout(CREDENTIALS_TIMEOUT, provider.provide_credentials()).await {
        Ok(Ok(first)) => Ok((provider, first)),
        Ok(Err(error)) => Err(no_credentials(error, options, profiles)),
        Err(late) => Err(SessionError::Credentials(late.into())),
    }
}

fn no_credentials(
    error: CredentialsError,
    options: &AwsOptions,
    profiles: Option<&Profiles>,
) -> SessionError {
    if let Some(command) = profiles.and_then(Profiles::command).filter(|_| is_signed_out(&error)) {
        return SessionError::SignedOut { command, source: error.into() };
    }
    let profile = options.profile.clone().or_else(|| std::env::var("AWS_PROFILE").ok());
    let none = profile.map_or(SessionError::NoCredentials, SessionError::Profile);
    match error {
        CredentialsError::CredentialsNotLoaded(_) => none,
        // The metadata service is the last source that is asked. If it fails, no earlier source had credentials.
        error if error.source().is_some_and(<dyn Error>::is::<ImdsError>) => none,
        error => SessionError::Credentials(error.into()),
    }
}
