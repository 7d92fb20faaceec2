//! Publishes under any answers of Lambda, and kills the publisher at any request. The API is a model in this process,
//! and the clock moves only by waiting.

mod lambda;

use crate::{
    aws::{
        audience::Audience,
        credentials::RenewableCredentials,
        http::Timeouts,
        rate_limit::InFlight,
        regions::Target,
        session::Session,
        upload::{Label, Upload},
    },
    failure::Failure,
    model::{
        digest::Digest,
        layer_arch::LayerArch,
        layer_name::LayerName,
        variant::{LayerKind, Variant},
    },
    publish::{
        final_check,
        interrupt::Interrupt,
        journal::{Journal, JournalError},
        plan::{Wanted, license},
        progress::Progress,
        report::Row,
        run::{self, LayerOptions, Observer},
        write_context::WriteContext,
    },
};
use aws_credential_types::Credentials;
use aws_sdk_lambda::config::{
    BehaviorVersion, Region, SharedCredentialsProvider, SharedHttpClient, retry::RetryConfig,
};
use lambda::{Fate, Lambda, Version};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

const ACCOUNT: &str = "123456789012";
const ZIP: &[u8] = b"the bytes of a layer";
const VARIANT: Variant = Variant { arch: LayerArch::Arm64, kind: LayerKind::Plain };
/// A request without an answer takes effect within this time, in milliseconds. At the end of a run, the publisher looks
/// 10 s after its last.
const LATEST_EFFECT: u64 = 9000;

struct Quiet;

impl Observer for Quiet {
    fn planned(&mut self, _: &[Row]) -> Result<(), Failure> {
        Ok(())
    }
    fn progress(&mut self, _: &Progress) {}
    fn ended(&mut self, _: &Row) {}
}

/// Everything that a run needs.
struct Release {
    session: Arc<Session>,
    wanted: Wanted,
    upload: Upload,
    options: LayerOptions,
    target: Target,
}

impl Release {
    fn new(lambda: &Lambda) -> Self {
        let credentials = Credentials::new("a", "b", None, None, "test");
        let credentials = RenewableCredentials::new(SharedCredentialsProvider::new(credentials));
        let http = SharedHttpClient::new(lambda.clone());
        let timeouts = Timeouts::seconds(30);
        let config = aws_config::SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .http_client(http.clone())
            .timeout_config(timeouts.calls())
            .stalled_stream_protection(timeouts.stalled_stream_protection())
            .retry_config(RetryConfig::standard().with_max_attempts(5))
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()))
            .build();
        let session =
            Session { config, http, credentials, timeouts, is_temporary: false, enabled: OnceLock::new() };
        let digest = Digest::of(ZIP);
        let layer = LayerName::try_from("SentryLambdaExtension-arm64".to_owned()).unwrap();
        let label = Label {
            description: format!("sha256 {}", digest.short()),
            license: license(LayerKind::Plain).to_owned(),
            arch: Some(LayerArch::Arm64),
            runtimes: Vec::new(),
        };
        Self {
            session: Arc::new(session),
            wanted: Wanted {
                variant: VARIANT,
                layer,
                digest,
                size: ZIP.len() as u64,
                runtimes: Vec::new(),
                license: license(LayerKind::Plain).to_owned(),
                audience: Audience::public(),
            },
            upload: Upload::new(ZIP.into(), label).unwrap(),
            options: LayerOptions {
                owner: ACCOUNT.parse().unwrap(),
                bucket: None,
                named: false,
                publish_again: false,
            },
            target: Target { region: "eu-west-1".parse().unwrap(), required: true, disabled: None },
        }
    }

    /// Runs `publish --execute` to its end.
    async fn publish(&self, journal: Journal) -> Row {
        let write = WriteContext {
            uploads: BTreeMap::from([(VARIANT, self.upload.clone())]),
            in_flight: InFlight::new(4, 64),
            journal,
            interrupt: Interrupt::never(),
            keep_s3: false,
        };
        let (targets, wanted) = (std::slice::from_ref(&self.target), std::slice::from_ref(&self.wanted));
        let mut quiet = Quiet;
        let run = run::publish_all(&self.session, targets, wanted, &self.options, Some(&write), &mut quiet);
        let mut results = run.await.unwrap();
        final_check::check_unanswered(&mut results, &write).await;
        results.remove(0).row
    }
}

/// Opens the journal as the next run does. The tasks of a killed run hold it until the runtime has dropped them.
async fn open_journal(path: &Path) -> Journal {
    for _ in 0..1000 {
        match Journal::open(path.to_owned(), ACCOUNT) {
            Err(JournalError::Busy(_)) => tokio::task::yield_now().await,
            journal => return journal.unwrap(),
        }
    }
    panic!("the killed run still has the journal");
}

/// Adds half a line to the journal, as a machine that loses its power while it writes may leave it.
fn tear(path: &Path) {
    let text = std::fs::read(path).unwrap();
    let last = text.split_inclusive(|byte| *byte == b'\n').next_back().unwrap_or_default();
    std::fs::write(path, [&text, &last[..last.len() / 2]].concat()).unwrap();
}

/// What is there in the end.
struct End {
    row: Row,
    versions: Vec<Version>,
    /// Whether a request took effect, or still may, after the publisher looked for the last time.
    is_unseen: bool,
    requests: String,
}

/// Publishes again and again: as long as the script goes on, and once more without disturbances.
async fn publish_until_done(publishes: &[Fate], others: &[Fate], is_torn: bool) -> End {
    let lambda = Lambda::default();
    lambda.script(publishes, others);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("publish.journal");
    let release = Release::new(&lambda);
    loop {
        let journal = open_journal(&path).await;
        let is_last = lambda.is_calm();
        if is_last {
            lambda.script(&[], &[]);
        }
        let row = tokio::select! {
            biased;
            row = release.publish(journal) => row,
            () = lambda.killed() => {
                if is_torn {
                    tear(&path);
                }
                continue;
            }
        };
        if is_last {
            let (versions, is_unseen) = (lambda.versions(), lambda.changed_after_the_last_list());
            return End { row, versions, is_unseen, requests: lambda.requests() };
        }
    }
}

/// Runs on a clock that only waiting moves.
fn on_a_paused_clock<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(work)
}

/// Fates of requests. For one that publishes, all troubles are likely.
fn fate(calm: u32) -> impl Strategy<Value = Fate> {
    let refusals =
        [(429, "TooManyRequestsException"), (503, "ServiceUnavailableException"), (500, "ServiceException")];
    let late = || (0..LATEST_EFFECT).prop_map(Duration::from_millis);
    prop_oneof![
        calm => Just(Fate::Answered),
        1 => Just(Fate::Stale),
        1 => prop::sample::select(refusals.to_vec()).prop_map(|(status, code)| Fate::Refused(status, code)),
        1 => Just(Fate::Lost),
        1 => Just(Fate::AnswerLost),
        1 => Just(Fate::AnswerIs503),
        1 => Just(Fate::AnswerIsHalf),
        1 => Just(Fate::Hangs),
        2 => late().prop_map(Fate::Late),
        1 => Just(Fate::KilledBefore),
        1 => Just(Fate::KilledAfter),
        2 => late().prop_map(Fate::KilledThenLate),
    ]
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

/// A request of a killed run takes effect between the last look of the next run and its own request. The next run is
/// killed, too, before it can look for duplicates. Both requests have made a version then, and none is unanswered.
#[test]
fn two_versions_of_two_killed_runs_become_one() {
    for milliseconds in (6800..7800).step_by(20) {
        for killed in 8..=11 {
            let publishes = [Fate::KilledThenLate(Duration::from_millis(milliseconds))];
            let mut others = vec![Fate::Answered; killed];
            others.push(Fate::KilledBefore);
            let end = on_a_paused_clock(publish_until_done(&publishes, &others, false));
            assert!(end.row.done, "{:?}\n{}", end.row, end.requests);
            assert_eq!(end.versions.len(), 1, "{milliseconds} ms, {killed}: {}", end.requests);
        }
    }
}

proptest! {
    #![proptest_config(config(100))]

    #[test]
    fn whatever_lambda_answers_and_whenever_it_is_killed_no_version_is_left_twice(
        publishes in prop::collection::vec(fate(1), 0..6),
        others in prop::collection::vec(fate(100), 0..60),
        is_torn in any::<bool>(),
    ) {
        let end = on_a_paused_clock(publish_until_done(&publishes, &others, is_torn));
        let End { row, versions, is_unseen, requests } = end;
        prop_assert!(row.done, "{:?}\n{}", row, requests);
        prop_assert!(!is_unseen, "a request took effect that nobody looked for\n{}", requests);
        prop_assert_eq!(versions.len(), 1, "{:?}\n{}", versions, requests);
        prop_assert!(versions[0].policy.contains_key("public"));
    }
}

proptest! {
    #![proptest_config(config(40))]

    #[test]
    fn other_bytes_than_were_sent_are_never_granted_and_never_published_over(
        publishes in prop::collection::vec(fate(1), 0..3),
        others in prop::collection::vec(fate(100), 0..40),
        is_torn in any::<bool>(),
    ) {
        let publishes: Vec<Fate> = publishes.into_iter().chain([Fate::OtherBytes]).collect();
        let end = on_a_paused_clock(publish_until_done(&publishes, &others, is_torn));
        let End { row, versions, requests, .. } = end;
        let (right, wrong): (Vec<_>, Vec<_>) = versions.iter().partition(|version| version.is_as_sent);
        prop_assert!(wrong.iter().all(|version| version.policy.is_empty()), "{:?}\n{}", versions, requests);
        prop_assert!(right.len() <= 1 && wrong.len() <= 1, "{:?}\n{}", versions, requests);
        prop_assert!(!row.done || right.len() == 1, "{:?}\n{}", row, requests);
    }
}
