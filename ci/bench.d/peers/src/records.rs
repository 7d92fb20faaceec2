//! The platform's records, as Lambda's Telemetry API posts them.

const TRACING: &str = concat!(
    r#"{"type":"X-Amzn-Trace-Id","#,
    r#""value":"Root=1-67d448e8-3ae320be0e2cdf2f53ccdaba;Parent=35465b3a9e2f7c6a;Sampled=0"}"#
);
const TIME: &str = "2026-01-01T00:00:00.000Z";

/// The identifier of the nth request.
pub(crate) fn id(number: u64) -> String {
    format!("8442603f-da10-42d2-bf58-{number:012x}")
}

/// A platform record, with what all of them have around the members of this one.
fn record(kind: &str, request: &str, members: &str) -> String {
    let record = format!(r#"{{"requestId":"{request}",{members},"tracing":{TRACING}}}"#);
    format!(r#"{{"time":"{TIME}","type":"platform.{kind}","record":{record}}}"#)
}

pub(crate) fn start(request: &str) -> String {
    record("start", request, r#""version":"$LATEST""#)
}

pub(crate) fn runtime_done(request: &str, status: &str) -> String {
    let span = |name: &str| format!(r#"{{"name":"{name}","start":"{TIME}","durationMs":1.234}}"#);
    let spans = ["responseLatency", "responseDuration", "runtimeOverhead"].map(span).join(",");
    let metrics = r#"{"durationMs":12.345,"producedBytes":42}"#;
    record("runtimeDone", request, &format!(r#""status":"{status}","metrics":{metrics},"spans":[{spans}]"#))
}

/// Lambda sends it after `/next`, so it arrives within the next invocation.
pub(crate) fn report(request: &str) -> String {
    let metrics = r#"{"durationMs":12.345,"billedDurationMs":13,"memorySizeMB":128,"maxMemoryUsedMB":61}"#;
    let spans = format!(r#"[{{"name":"extensionOverhead","start":"{TIME}","durationMs":1.234}}]"#);
    record("report", request, &format!(r#""status":"success","metrics":{metrics},"spans":{spans}"#))
}
