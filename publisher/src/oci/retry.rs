//! Sends requests again if the server is busy or does not answer.

use crate::{
    build::relay::client,
    oci::registry_error::{RegistryError, unreachable},
};
use std::{thread, time::Duration};
use ureq::{Body, http::Response};

/// How often a request is sent, if the registry is busy or does not answer.
pub(super) const MAX_ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause that a registry may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Sends a request until there is an answer, and the server is not busy. Repeating it has to do no harm.
pub(super) fn repeated(
    url: &str,
    mut send: impl FnMut() -> Result<Response<Body>, ureq::Error>,
) -> Result<Response<Body>, RegistryError> {
    let mut attempt = 1;
    loop {
        match send() {
            Ok(answer) if is_busy(&answer) && attempt < MAX_ATTEMPTS => pause(attempt, Some(&answer)),
            Err(error) if client::is_transient(&error) && attempt < MAX_ATTEMPTS => {
                pause(attempt, None);
            }
            answer => return answer.map_err(|error| unreachable(url, error)),
        }
        attempt += 1;
    }
}

/// Whether the same request may succeed a moment later.
pub(super) fn is_busy(answer: &Response<Body>) -> bool {
    client::is_transient_status(answer.status().as_u16())
}

/// Waits longer after each attempt, or as long as the answer asks for.
pub(super) fn pause(attempt: u32, answer: Option<&Response<Body>>) {
    let asked = answer.and_then(|answer| answer.headers().get("retry-after")?.to_str().ok()?.parse().ok());
    let pause = asked.map_or(FIRST_PAUSE * 2u32.pow(attempt), Duration::from_secs);
    thread::sleep(pause.min(LONGEST_PAUSE));
}
