//! Credentials that last as long as the run: kept while they are good, asked for again once they are not.

use aws_credential_types::{Credentials, provider::error::CredentialsError, provider::future};
use aws_sdk_lambda::config::{ProvideCredentials, SharedCredentialsProvider};
use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{sync::Mutex, time::Instant};

/// Renewed this long before they end: no request should be signed with what ends on its way.
const EARLY: Duration = Duration::from_mins(2);
/// A source that hands out what is about to end is not asked for each request.
const AGAIN: Duration = Duration::from_secs(20);

/// A source of credentials and what it gave last.
///
/// The SDK's own cache keeps credentials for as long as they say. Some say nothing (a credential process need
/// not), and a session can be ended early: so AWS's answer that they have expired counts as well.
#[derive(Clone, Debug)]
pub(crate) struct Renewable {
    source: SharedCredentialsProvider,
    held: Arc<Mutex<Option<Held>>>,
}

#[derive(Debug)]
struct Held {
    credentials: Credentials,
    since: Instant,
}

impl Held {
    fn good(&self) -> bool {
        let ends_soon = self.credentials.expiry().is_some_and(|end| end < SystemTime::now() + EARLY);
        !ends_soon || self.since.elapsed() < AGAIN
    }
}

impl Renewable {
    /// Nothing is asked for yet.
    pub(crate) fn new(source: SharedCredentialsProvider) -> Self {
        Self { source, held: Arc::default() }
    }

    /// A request begun then was refused because its credentials had expired: those that were there by then
    /// are not used again. (Of many such requests, the first one renews for all.)
    pub(crate) async fn expired(&self, begun: Instant) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|held| held.since <= begun) {
            *held = None;
        }
    }

    async fn get(&self) -> Result<Credentials, CredentialsError> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| held.good()) {
            return Ok(held.credentials.clone());
        }
        let credentials = self.source.provide_credentials().await?;
        *held = Some(Held { credentials: credentials.clone(), since: Instant::now() });
        Ok(credentials)
    }
}

impl ProvideCredentials for Renewable {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.get())
    }
}
