//! The life of the real Sentry's Relay: killed, frozen, and ended.

use super::{READY, process, start};
use crate::relay::delivery_test::{SECOND, markers};
use crate::support::netns::isolated;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

#[test]
fn killed_five_times_in_a_stream_of_envelopes() {
    isolated(|| async {
        let (mut test, _layer) = start(&[("SENTRY_EXTENSION_FLUSH", "continuous")]).await;
        let mut sent = Vec::new();
        for round in 0..5 {
            let some = markers(&format!("round-{round}"), 20);
            let (before, after) = some.split_at(10);
            test.invoke(before).await;
            kill(Pid::from_raw(process(&test)), Signal::SIGKILL).unwrap();
            test.invoke(after).await;
            if round < 4 {
                test.log().wait_for_lines(READY, round + 2).await;
            }
            sent.extend(some);
        }
        test.upstream.wait_until_taken(&sent).await;
        let (counts, upstream) = test.shut_down().await;
        let fates = upstream.fates();
        assert_eq!((counts.accepted, counts.delivered, counts.dropped), (100, 100, 0));
        assert_eq!(fates.len(), 100);
        // An envelope had left Sentry's Relay only if it had come back, so none was sent twice.
        assert!(fates.values().all(|fate| fate.taken == 1), "{fates:?}");
    });
}

#[test]
fn thirty_freezes_with_all_connections_cut() {
    isolated(|| async {
        let (mut test, _layer) = start(&[("SENTRY_EXTENSION_FLUSH", "continuous")]).await;
        let sent = markers("frozen", 30);
        for marker in &sent {
            test.invoke(std::slice::from_ref(marker)).await;
            let relay = Pid::from_raw(process(&test));
            kill(relay, Signal::SIGSTOP).unwrap();
            test.extension.freeze();
            test.upstream.reset().await;
            tokio::time::sleep(SECOND / 20).await;
            kill(relay, Signal::SIGCONT).unwrap();
            test.extension.thaw();
        }
        test.upstream.wait_until_taken(&sent).await;
        let log = test.log();
        let (counts, upstream) = test.shut_down().await;
        assert_eq!((counts.accepted, counts.delivered, counts.dropped), (30, 30, 0));
        assert_eq!(upstream.fates().len(), 30);
        assert!(!log.contains("is started again"), "{}", log.text());
    });
}

#[test]
fn an_idle_one_ends_by_itself_and_leaves_no_process() {
    isolated(|| async {
        let (test, _layer) = start(&[]).await;
        let relay = process(&test);
        let (counts, _) = test.shut_down().await;
        assert_eq!(counts.accepted, 0);
        assert!(!std::path::Path::new(&format!("/proc/{relay}")).exists(), "it still runs");
    });
}
