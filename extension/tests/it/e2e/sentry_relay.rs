//! A layer that contains Sentry's Relay, or another file with its name. `/opt` is read-only and the processes run as
//! another user, as in Lambda.

use crate::support::{
    case::Case,
    extension::BINARY,
    function::Function,
    layer::{STAND_IN, Story, of_another_machine},
    log::Log,
    netns::isolated,
    sentry::Sentry,
    tools::Arch,
};
use serde_json::{Value, json};
use std::time::Duration;

const TAKES_OVER: &str = "the built-in relay takes over";

struct Deployed {
    case: Case,
    story: Story,
    _folder: tempfile::TempDir,
}

/// Deploys a layer with this file as Sentry's Relay. `lives` says what the stand-in does in each of its lives.
async fn deploy(binary: impl Into<Vec<u8>>, mode: u32, lives: &[&str]) -> Deployed {
    // Not in /tmp or /var, which are others inside the environment.
    let folder = tempfile::Builder::new().prefix("story-").tempdir_in("/srv").unwrap();
    let story = Story::within(folder.path());
    let function = Function::python("python-zero", "test")
        .wrapped()
        // The integration makes the SDK send everything before the function responds.
        .env("INTEGRATION", "yes")
        .env("SENTRY_EXTENSION_RELAY", "process")
        .layered("relay/relay", mode, binary)
        .layered("relay/config.yml", 0o644, story.configuration(lives, Duration::ZERO));
    Deployed { case: Case::deploy(Arch::NATIVE, function).await, story, _folder: folder }
}

impl Deployed {
    /// Invokes the function, which captures an error. It has to respond at once, whatever Sentry's Relay does.
    async fn invoke(&mut self) {
        self.case.invoke(json!({ "fails": false })).await;
    }

    async fn arrives(&self) {
        self.case.arrives("event", "/exception/values/0/value").await;
    }

    /// Ends the environment. Nothing may be lost, and no process may be killed because it took too long.
    async fn ends(self) -> (Log, Sentry, Vec<Value>) {
        self.case.rie.terminate();
        let (log, sentry) = self.case.ended().await;
        let counts =
            log.text().lines().find(|line| line.contains(r#""message":"envelopes""#)).map(str::to_owned);
        let counts: Value = serde_json::from_str(&counts.expect("no counts")).unwrap();
        assert_ne!(counts["accepted"], 0);
        assert_eq!(
            (&counts["delivered"], &counts["dropped"]),
            (&counts["accepted"], &json!(0)),
            "{}",
            log.text()
        );
        (log, sentry, self.story.events())
    }
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().unwrap()).collect()
}

#[test]
fn an_error_goes_through_sentry_relay_which_ends_with_the_environment() {
    isolated(|| async {
        let mut deployed = deploy(STAND_IN, 0o755, &["ok"]).await;
        deployed.invoke().await;
        deployed.arrives().await;
        let (log, _, events) = deployed.ends().await;
        assert_eq!((&events[0]["user"], &events[0]["read_only"]), (&json!(993), &json!(true)));
        let story = names(&events);
        let at = |name: &str| {
            story.iter().position(|one| *one == name).unwrap_or_else(|| panic!("{name}: {story:?}"))
        };
        assert!(at("post") < at("handed on") && at("handed on") < at("SIGINT"), "{story:?}");
        assert_eq!(story.iter().filter(|name| **name == "started").count(), 1);
        assert!(!log.contains("Sentry's Relay has failed"), "{}", log.text());
    });
}

/// Checks that the built-in relay delivers the error, and that the log names the reason.
async fn falls_back(mut deployed: Deployed, why: &str) -> Vec<Value> {
    deployed.invoke().await;
    deployed.arrives().await;
    let line = deployed.case.rie.log.wait_for(TAKES_OVER).await;
    assert!(line.contains(why), "{line}");
    deployed.ends().await.2
}

#[test]
fn falls_back_if_it_exits_at_once() {
    isolated(|| async {
        let events = falls_back(deploy(STAND_IN, 0o755, &["exit"]).await, "it exited with 1").await;
        assert_eq!(names(&events), ["started"; 5]);
    });
}

#[test]
fn falls_back_if_it_has_the_wrong_architecture() {
    isolated(|| async {
        let foreign = of_another_machine(BINARY);
        falls_back(deploy(foreign, 0o755, &[]).await, "its file cannot be executed here").await;
    });
}

#[test]
fn falls_back_if_it_is_not_executable() {
    isolated(|| async {
        let events =
            falls_back(deploy(STAND_IN, 0o644, &["ok"]).await, "its file cannot be executed here").await;
        assert!(events.is_empty(), "{events:?}");
    });
}

#[test]
fn works_after_a_life_that_was_never_ready() {
    isolated(|| async {
        let mut deployed = deploy(STAND_IN, 0o755, &["never-ready", "ok"]).await;
        deployed.invoke().await;
        deployed.arrives().await;
        let (log, _, events) = deployed.ends().await;
        assert!(log.contains("it was not ready in time"), "{}", log.text());
        assert!(names(&events).contains(&"handed on"));
    });
}

#[test]
fn delivers_directly_if_it_is_never_ready() {
    isolated(|| async {
        let mut deployed = deploy(STAND_IN, 0o755, &["deaf"]).await;
        deployed.invoke().await;
        deployed.story.event("started", 1).await;
        let (_, sentry, events) = deployed.ends().await;
        assert!(!sentry.received().is_empty(), "what Relay did not take has to arrive all the same");
        assert!(!names(&events).contains(&"post"));
    });
}

#[test]
fn is_killed_if_it_ignores_sigint() {
    isolated(|| async {
        let mut deployed = deploy(STAND_IN, 0o755, &["stubborn"]).await;
        deployed.invoke().await;
        deployed.arrives().await;
        let (_, _, events) = deployed.ends().await;
        let story = names(&events);
        assert!(story.contains(&"handed on") && story.last() == Some(&"SIGINT"), "{story:?}");
    });
}
