//! Tests what the log says when Sentry refuses envelopes for good.

use super::delivery_test::{DeliveryTest, markers};
use crate::support::{netns::isolated, scripted_upstream::Behavior, sdk::KEY};
use serde_json::Value;

/// Returns the lines of the levels `warn` and `error`.
fn warnings_and_errors(log: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| matches!(line["level"].as_str(), Some("warn" | "error"))).collect()
}

#[test]
fn each_kind_of_refusal_is_said_once_with_its_reason() {
    isolated(|| async {
        let mut test = DeliveryTest::start(&[]).await;
        let host = test.upstream.address().to_string();
        let mut rejected = 0;
        for (status, headers) in [
            (401, "x-sentry-error: bad signature\r\n"),
            (403, "x-sentry-error: event submission rejected with_reason: ProjectId\r\n"),
            (404, ""),
            (413, "x-sentry-error: too large\r\n"),
            (301, "location: https://elsewhere.example/\r\n"),
        ] {
            test.upstream.behave(Behavior::Answer(status, headers)).await;
            let sent = markers(&format!("refused-{status}"), 3);
            test.invoke(&sent).await;
            let refused = |all: &[crate::support::scripted_upstream::Arrival]| {
                sent.iter().all(|marker| all.iter().any(|one| one.marker == *marker))
            };
            test.upstream.wait_until("three refusals", refused).await;
            rejected += 3;
        }
        // The same status for another reason is another kind.
        test.upstream.behave(Behavior::Answer(403, "x-sentry-error: another reason\r\n")).await;
        test.invoke(&markers("another", 1)).await;
        let log = test.log();
        let (counts, _) = test.shut_down().await;
        assert_eq!((counts.rejected, counts.delivered), (rejected + 1, 0));
        let lines = warnings_and_errors(&log.text());
        let of =
            |status: u16| -> Vec<&Value> { lines.iter().filter(|line| line["status"] == status).collect() };
        for (status, error) in [(401, "bad signature"), (404, ""), (413, "too large"), (301, "")] {
            let said = of(status);
            assert_eq!(said.len(), 1, "{status}: {}", log.text());
            assert!(said[0]["upstream"].as_str().unwrap().contains(&host), "{said:?}");
            assert_eq!(said[0]["sentry_error"].as_str().unwrap_or_default(), error, "{said:?}");
        }
        assert_eq!(of(403).len(), 2, "{}", log.text());
        let last = lines
            .iter()
            .find(|line| line["message"] == "envelopes")
            .expect("the last line is warnings_and_errors");
        let reasons = last["reasons"].as_str().unwrap();
        for reason in ["http_401=3", "http_403=4", "http_404=3", "http_413=3", "http_301=3"] {
            assert!(reasons.contains(reason), "{reasons}");
        }
    });
}

#[test]
fn refusals_with_ever_new_reasons_are_bounded_and_name_no_key() {
    isolated(|| async {
        let test = DeliveryTest::start(&[("SENTRY_EXTENSION_LOG", "info")]).await;
        for n in 0..100 {
            let header: &'static str =
                Box::leak(format!("x-sentry-error: {n} {KEY} {}\r\n", "x".repeat(5000)).into_boxed_str());
            test.upstream.behave(Behavior::Answer(403, header)).await;
            test.reports(&markers(&format!("odd-{n}"), 1)).await;
            test.upstream.wait_until("the refusal", |all| all.len() > n).await;
        }
        let log = test.log();
        let (counts, _) = test.shut_down().await;
        assert_eq!(counts.rejected, 100);
        let lines = warnings_and_errors(&log.text());
        assert!(lines.len() <= 40, "{} lines", lines.len());
        assert!(log.text().lines().all(|line| line.len() < 1000), "{}", log.text());
        assert!(!log.contains(KEY), "{}", log.text());
    });
}

#[test]
fn a_good_end_is_no_warning() {
    isolated(|| async {
        let mut test = DeliveryTest::start(&[]).await;
        let sent = markers("fine", 2);
        test.invoke(&sent).await;
        test.upstream.wait_until_taken(&sent).await;
        let log = test.log();
        test.shut_down().await;
        let line = log.wait_for("\"envelopes\"").await;
        assert!(line.contains("\"level\":\"info\"") && line.contains("\"reasons\":\"none\""), "{line}");
    });
}
