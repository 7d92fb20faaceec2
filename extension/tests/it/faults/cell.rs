//! One cell of the matrix: an extension under the scripted Lambda, an upstream with one fault, and the checks.

use crate::support::{
    UNREACHED, deliveries,
    extension::Extension,
    lambda_api::{LambdaApi, Subscription},
    resolver::{Answers, NAME, Resolver},
    scripted_upstream::{Behavior, ScriptedUpstream},
    sdk::{KEY, TUNNEL, report},
};
use serde_json::Value;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// The message that the extension logs for each failed try.
const FAILED: &str = "upstream could not take an envelope";

/// A fault of upstream.
#[derive(Clone, Debug)]
pub struct Fault {
    pub name: &'static str,
    pub behavior: Behavior,
    pub tls: bool,
    /// The fault of the name server, if the fault is not one of the upstream itself.
    pub names: Option<Answers>,
    /// Whether envelopes that are sent during the fault are rejected for good.
    pub rejects: bool,
    /// Whether a try ends at once, so that there is time for another before the environment ends.
    pub quick: bool,
    /// Whether the fault makes a try fail. If not, the first try delivers.
    pub fails: bool,
}

/// The counts of a cell.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub accepted: u64,
    pub delivered: u64,
    pub rejected: u64,
    pub dropped: u64,
    pub unanswered: u64,
    /// The number of complete requests that reached upstream.
    pub arrived: usize,
    /// The number of them whose envelope upstream may have received before.
    pub twice: usize,
    /// The longest time from an INVOKE to the next `/next`.
    pub held: Duration,
    /// The time from SHUTDOWN to the end of the process.
    pub ended: Duration,
}

pub struct Cell {
    pub fault: Fault,
    pub upstream: ScriptedUpstream,
    pub api: LambdaApi,
    extension: Extension,
    resolver: Option<Resolver>,
    /// Whether Lambda sends telemetry when the function is done.
    telemetry: bool,
    asked: usize,
    sent: Vec<String>,
    held: Duration,
}

impl Cell {
    /// Starts an environment, and waits for its first `/next`.
    pub async fn start(fault: Fault) -> Self {
        Self::start_with(fault, &[], false).await
    }

    /// Starts an environment that holds an invocation until its envelopes are delivered.
    pub async fn start_holding(fault: Fault) -> Self {
        Self::start_with(fault, &[("SENTRY_EXTENSION_FLUSH", "end")], true).await
    }

    async fn start_with(fault: Fault, env: &[(&str, &str)], telemetry: bool) -> Self {
        let upstream = ScriptedUpstream::start(fault.tls).await;
        let api = LambdaApi::start().await;
        if telemetry {
            api.telemetry(Subscription::Accepted);
        }
        let (host, resolver) = match fault.names {
            Some(answers) => (NAME, Some(Resolver::start(answers).await)),
            None => ("127.0.0.1", None),
        };
        if let Some(resolver) = &resolver {
            resolver.learn();
        }
        let dsn = upstream.dsn(host, KEY);
        let ca = upstream.ca_file().map(|path| path.to_str().unwrap().to_owned()).unwrap_or_default();
        let own =
            [("SENTRY_DSN", &*dsn), ("SENTRY_EXTENSION_CA_BUNDLE", &*ca), ("SENTRY_EXTENSION_LOG", "debug")];
        let extension = Extension::in_lambda(&api, &[&own[..], env].concat());
        api.asked(1).await;
        let (asked, sent, held) = (1, Vec::new(), Duration::ZERO);
        Self { fault, upstream, api, extension, resolver, telemetry, asked, sent, held }
    }

    /// Starts the fault.
    pub async fn fail(&self) {
        if let Some(resolver) = &self.resolver {
            resolver.forget();
            // An open connection needs no name lookup, so it has to be cut.
            self.upstream.cut();
        }
        self.upstream.behave(self.fault.behavior.clone()).await;
    }

    /// Ends the fault.
    pub async fn recover(&self) {
        if let Some(resolver) = &self.resolver {
            resolver.learn();
        }
        self.upstream.recover().await;
    }

    /// Reports an error as the function does. The extension has to accept it, whatever upstream does.
    pub async fn send(&mut self) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let marker = format!("m{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let status = report(TUNNEL, &marker).await;
        assert_eq!(status, 200, "{marker}");
        self.sent.push(marker.clone());
        marker
    }

    /// Runs an invocation that reports this number of errors. Its deadline is far away, so that only a bound of the
    /// extension itself can end a hold. Returns what the extension waited for before the next `/next`.
    pub async fn invoke(&mut self, errors: usize) -> String {
        let start = Instant::now();
        let request = format!("request-{}", self.asked);
        if self.telemetry {
            self.api.started(&request).await;
        }
        self.api.invoke_as(&request, UNREACHED);
        for _ in 0..errors {
            self.send().await;
        }
        if self.telemetry {
            self.api.done(&request).await;
        }
        self.asked += 1;
        let held = self.api.asked(self.asked).await.saturating_duration_since(start);
        self.held = self.held.max(held);
        let line = self.extension.log.wait_for(&format!("\"flush\",\"request\":\"{request}\"")).await;
        let line: Value = serde_json::from_str(&line).unwrap();
        line["waited_for"].as_str().unwrap().to_owned()
    }

    /// Waits until the extension has logged this number of failed tries.
    pub async fn failed(&self, tries: usize) {
        self.extension.log.wait_for_lines(FAILED, tries).await;
    }

    /// Waits until upstream has taken every envelope that it does not reject.
    pub async fn recovered(&self) {
        let expected: Vec<String> = self.sent.iter().filter(|m| !self.is_refused(m)).cloned().collect();
        self.upstream.wait_until_taken(&expected).await;
    }

    /// Waits until the extension has logged this number of deliveries. Their connection is idle again then.
    pub async fn delivered(&self, enough: usize) {
        deliveries::wait_for(&self.extension.log, enough).await;
    }

    fn is_refused(&self, marker: &str) -> bool {
        self.fault.rejects && self.upstream.fates().get(marker).is_some_and(|fate| fate.refused > 0)
    }

    /// Sends SHUTDOWN, waits for the end, and compares the final counts with what upstream counted. If `recovers` is
    /// set, upstream recovers meanwhile.
    pub async fn shut_down(self, all_arrives: bool, recovers: bool) -> Counts {
        let log = self.extension.log.clone();
        let start = Instant::now();
        // The extension takes at most two seconds of this time, also where it reads the event late.
        self.api.shutdown("spindown", Duration::from_secs(6));
        if recovers {
            log.wait_for("\"shutting down\"").await;
            if self.fault.fails && self.fault.quick {
                // Upstream fails once more before it recovers.
                self.failed(log.text().matches(FAILED).count() + 1).await;
            }
            self.recover().await;
        }
        let final_counts = self.extension.final_counts().await;
        let ended = start.elapsed();
        for bad in ["panicked", "\"panic\""] {
            assert!(!log.contains(bad), "{}", log.text());
        }
        let violations = self.api.violations();
        assert!(violations.is_empty(), "{violations:?}");
        let line: Value = serde_json::from_str(&log.wait_for("\"message\":\"envelopes\"").await).unwrap();
        let unanswered = line["unanswered"].as_u64().unwrap();
        let [accepted, delivered, rejected, dropped] = final_counts;

        let fates = self.upstream.fates();
        let sum = |count: fn(&crate::support::scripted_upstream::Fate) -> usize| {
            fates.values().map(count).sum::<usize>()
        };
        let twice: usize = fates.values().map(|f| (f.taken + f.unanswered).saturating_sub(1)).sum();
        let counts = Counts {
            accepted,
            delivered,
            rejected,
            dropped,
            unanswered,
            arrived: sum(|f| f.taken + f.refused + f.unanswered),
            twice,
            held: self.held,
            ended,
        };
        let state = format!("{counts:?}\n{fates:?}\n{}", log.text());
        assert_eq!(accepted, self.sent.len() as u64, "not all was accepted: {state}");
        for (marker, fate) in &fates {
            assert!(self.sent.contains(marker), "{marker} was never sent: {state}");
            assert!(fate.taken <= 1, "{marker} was taken {} times: {state}", fate.taken);
        }
        // The extension has to count every lost response, because only a lost response may cause a second delivery.
        assert!(sum(|f| f.unanswered) as u64 <= unanswered, "an answer was lost uncounted: {state}");
        let taken = fates.values().filter(|f| f.taken > 0).count() as u64;
        if all_arrives {
            assert_eq!((delivered, dropped), (taken, 0), "{state}");
            assert_eq!(delivered + rejected, accepted, "{state}");
        }
        // The extension counts an envelope that upstream took as delivered, or its response as lost.
        assert!(delivered <= taken && taken <= delivered + unanswered, "{state}");
        let refused = fates.values().filter(|f| f.taken == 0 && f.refused > 0).count() as u64;
        assert!(rejected <= refused && (!self.fault.rejects || rejected == refused), "{state}");
        counts
    }
}
