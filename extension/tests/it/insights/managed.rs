//! Faults on Lambda Managed Instances, under AWS's emulator in its mode for them: it sends real records, requests
//! overlap, and the report is the only record of their end.

use super::{faults, kind};
use crate::support::{
    function::Function,
    netns::isolated,
    rie::Rie,
    sdk::KEY,
    sentry::{Sentry, Transport},
    tools::Arch,
};
use serde_json::json;
use std::time::Duration;

/// Lets a request end like this, and returns RIE's answer. RIE refuses requests until one of the runtime's workers has
/// asked for one.
async fn ends(rie: &Rie, end: &str) -> String {
    loop {
        let (_, body) = rie.invoke_beside_others(&json!({ "end": end })).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        if !body.contains("Runtime.Unavailable") {
            return body;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn overlapping_requests_are_told_apart() {
    isolated(|| async {
        let sentry = Sentry::start(Transport::Tls).await;
        let function =
            Function::managed(4).env("AWS_LAMBDA_FUNCTION_TIMEOUT", "5").reports_to(&sentry, KEY, "42");
        let rie = Rie::start(Arch::NATIVE, function).await;
        // Each of the two ends when both run, and the first one runs all the time.
        let (late, one, other) =
            tokio::join!(ends(&rie, "timeout"), ends(&rie, "together"), ends(&rie, "together"));
        assert!(late.contains("Sandbox.Timedout"), "{late}");
        assert_eq!([&*one, &*other], [r#""done""#; 2]);
        sentry.wait_for("the time-out", |_| !faults(&sentry.received()).is_empty()).await;
        let exit = ends(&rie, "exit").await;
        assert!(exit.contains("Runtime.ExitError"), "{exit}");
        rie.terminate();
        let log = rie.ended().await;
        assert!(!log.contains("panicked"), "{}", log.text());
        let told = faults(&sentry.received());
        assert_eq!(told.iter().map(kind).collect::<Vec<_>>(), ["timeout", "exit"], "{told:#?}");
        let evidence = &told[0]["exception"]["values"][0]["mechanism"]["data"]["evidence"];
        assert_eq!(evidence, "platform.report=timeout; platform.report.errorType=Sandbox.Timedout");
        assert_ne!(told[0]["tags"]["aws_request_id"], told[1]["tags"]["aws_request_id"]);
        assert!(sentry.violations().is_empty(), "{:?}", sentry.violations());
    });
}
