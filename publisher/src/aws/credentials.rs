//! Credentials for the whole run. They are kept while they are valid and loaded again when they are not.

use aws_credential_types::{Credentials, provider::error::CredentialsError, provider::future};
use aws_sdk_lambda::config::{ProvideCredentials, SharedCredentialsProvider};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{sync::Mutex, time::Instant};

/// Credentials are renewed this long before they expire, so that no request is signed with credentials that expire on
/// its way.
const RENEW_BEFORE_EXPIRY: Duration = Duration::from_mins(2);
/// Credentials are kept at least this long. Otherwise a source that returns credentials close to their expiry would be
/// asked for every request.
const MIN_RENEWAL_INTERVAL: Duration = Duration::from_secs(20);

/// A source of credentials, and the credentials that it returned last.
///
/// The SDK's own cache keeps credentials until the expiry time that they state. Some state none (a credential process
/// need not), and a session can be ended early. So this cache also drops credentials when AWS answers that they have
/// expired.
#[derive(Clone, Debug)]
pub(crate) struct RenewableCredentials {
    source: SharedCredentialsProvider,
    loaded: Arc<Mutex<Option<LoadedCredentials>>>,
}

#[derive(Debug)]
struct LoadedCredentials {
    credentials: Credentials,
    loaded_at: Instant,
}

impl LoadedCredentials {
    fn is_usable(&self) -> bool {
        let ends_soon =
            self.credentials.expiry().is_some_and(|end| end < SystemTime::now() + RENEW_BEFORE_EXPIRY);
        !ends_soon || self.loaded_at.elapsed() < MIN_RENEWAL_INTERVAL
    }
}

impl RenewableCredentials {
    /// Creates the cache. It does not ask the source for credentials yet.
    pub(crate) fn new(source: SharedCredentialsProvider) -> Self {
        Self { source, loaded: Arc::default() }
    }

    /// Reports that a request which began at `started` was refused because its credentials had expired. Credentials
    /// that were loaded at that time or before are dropped. If many requests are refused together, only the first
    /// report drops the credentials, so they are renewed once for all.
    pub(crate) async fn report_expired(&self, started: Instant) {
        let mut loaded = self.loaded.lock().await;
        if loaded.as_ref().is_some_and(|loaded| loaded.loaded_at <= started) {
            *loaded = None;
        }
    }

    async fn get(&self) -> Result<Credentials, CredentialsError> {
        let mut loaded = self.loaded.lock().await;
        if let Some(loaded) = loaded.as_ref().filter(|loaded| loaded.is_usable()) {
            return Ok(loaded.credentials.clone());
        }
        let credentials = self.source.provide_credentials().await?;
        *loaded = Some(LoadedCredentials { credentials: credentials.clone(), loaded_at: Instant::now() });
        Ok(credentials)
    }
}

impl ProvideCredentials for RenewableCredentials {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.get())
    }
}
