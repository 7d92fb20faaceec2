//! Attacks the client of the Extensions API with answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs
)]

use super::{ApiError, Event, Events, ExtensionId, ExtensionName, ExtensionsApi, RuntimeApi};
use crate::fuzzing::harness::{MemoryStream, run};
use crate::guarded_stream::GuardedStream;
use crate::http::handshake;
use crate::lifecycle::silence_guard::SilenceGuard;
use hyper::header::HeaderValue;

/// An answer of any kind gives a bounded event or an error. The input is an event, and the answer to a registration
/// and to `/event/next`.
pub fn extensions_api(data: &[u8]) {
    check(Event::parse(data));
    run(async {
        if let Ok(mut api) = connected(data).await {
            let id = ExtensionId(HeaderValue::from_static("id"));
            match api.next(&id, || ()).await {
                Ok(event) => check(Some(event)),
                Err(ApiError::Refused(_, text)) => assert!(text.chars().count() <= 300),
                Err(_) => {}
            }
        }
        if let Ok(mut api) = connected(data).await {
            let name = ExtensionName("sentry-lambda-extension".to_owned());
            if let Ok(id) = api.register(&name, Events::InvokeAndShutdown).await {
                assert!(id.0.len() <= data.len());
            }
        }
    });
}

async fn connected(answer: &[u8]) -> Result<ExtensionsApi, hyper::Error> {
    let mut api = ExtensionsApi::new(RuntimeApi("127.0.0.1:1".to_owned()));
    let stream = GuardedStream::new(MemoryStream::server(answer), SilenceGuard::new(api.phase.clone()));
    api.connection = Some(handshake(Box::new(stream)).await?);
    Ok(api)
}

fn check(event: Option<Event>) {
    match event {
        Some(Event::Invoke { request, arn, trace, .. }) => {
            assert!(request.to_string().len() <= 64);
            assert!([arn, trace].into_iter().flatten().all(|text| text.len() <= 256));
        }
        Some(Event::Shutdown { reason: text, .. } | Event::Unknown(text)) => assert!(text.len() <= 64),
        None => {}
    }
}
