//! The real Sentry's Relay in a layer under AWS's emulator, with a Python function that uses Sentry's SDK.

use super::CONFIG;
use crate::support::{case::Case, function::Function, netns::isolated, tools, tools::Arch};
use serde_json::{Value, json};

#[test]
fn errors_of_a_python_function_pass_it_and_all_are_counted() {
    isolated(|| async {
        let function = Function::python("python-zero", "test")
            .wrapped()
            .env("INTEGRATION", "yes")
            .env("SENTRY_EXTENSION_RELAY", "only")
            .env("SENTRY_EXTENSION_LOG", "debug")
            .layered("relay/relay", 0o755, std::fs::read(tools::sentry_relay()).unwrap())
            .layered("relay/config.yml", 0o644, CONFIG);
        let mut case = Case::deploy(Arch::NATIVE, function).await;
        for _ in 0..3 {
            case.invoke(json!({ "fails": false })).await;
        }
        let event = case.arrives("event", "/exception/values/0/value").await;
        let agent = event.headers.get("user-agent").and_then(|agent| agent.to_str().ok());
        assert!(agent.is_some_and(|agent| agent.starts_with("sentry.python/")), "{agent:?}");
        case.rie.terminate();
        let (log, sentry) = case.ended().await;
        let counts =
            log.text().lines().find(|line| line.contains(r#""message":"envelopes""#)).map(str::to_owned);
        let counts: Value = serde_json::from_str(&counts.expect("no counts")).unwrap();
        assert_eq!(counts["delivered"], counts["accepted"], "{counts}");
        let events = sentry.received().iter().filter(|one| one.envelope.item("event").is_some()).count();
        assert_eq!(events, 3, "{}", log.text());
        assert!(!log.contains("Sentry's Relay has failed"), "{}", log.text());
    });
}
