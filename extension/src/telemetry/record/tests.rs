use super::*;
use std::time::{Duration, UNIX_EPOCH};

fn events(body: &str) -> Vec<PlatformEvent> {
    Record::batch(body.as_bytes()).into_iter().map(|record| record.event).collect()
}

fn end(id: &str, status: &str) -> InvocationEnd {
    InvocationEnd { request: RequestId::new(id), status: status.to_owned(), ..InvocationEnd::default() }
}

#[test]
fn what_lambda_sends() {
    let body = r#"[
        {"time":"2026-11-25T10:00:00.010Z","type":"platform.initStart",
         "record":{"initializationType":"on-demand","phase":"init","runtimeVersion":"python:3.13.v58",
         "functionName":"orders","functionVersion":"$LATEST","instanceId":"2026/11/25/[$LATEST]0f3c",
         "instanceMaxMemory":268435456}},
        {"time":"2026-11-25T10:00:00.410Z","type":"platform.initRuntimeDone",
         "record":{"initializationType":"on-demand","phase":"init","status":"success"}},
        {"time":"2026-11-25T10:00:00.415Z","type":"platform.initReport",
         "record":{"initializationType":"on-demand","phase":"init","metrics":{"durationMs":405.2}}},
        {"time":"2026-11-25T10:00:00.415Z","type":"platform.telemetrySubscription",
         "record":{"state":"Subscribed"}},
        {"time":"2026-11-25T10:00:00.420Z","type":"platform.start",
         "record":{"requestId":"r1","version":"$LATEST","tracing":{"type":"X-Amzn-Trace-Id",
         "value":"Root=1-67d448e8-3ae320be0e2cdf2f53ccdaba;Parent=35465b3a9e2f7c6a;Sampled=0"}}},
        {"time":"2026-11-25T10:00:02.000Z","type":"platform.runtimeDone",
         "record":{"requestId":"r1","status":"error","errorType":"Runtime.ExitError",
         "metrics":{"durationMs":2.5,"producedBytes":0},"spans":[{"name":"responseLatency",
         "start":"2026-11-25T10:00:01.000Z","durationMs":3},{}]}},
        {"time":"2026-11-25T10:00:02.000Z","type":"platform.report",
         "record":{"requestId":"r1","status":"success","metrics":{"durationMs":2.5,"billedDurationMs":3,
         "memorySizeMB":128,"maxMemoryUsedMB":61,"initDurationMs":405.2}}},
        {"time":"2026-11-25T10:00:02.000Z","type":"platform.logsDropped","record":{"droppedRecords":1}}
    ]"#;
    let trace = "Root=1-67d448e8-3ae320be0e2cdf2f53ccdaba;Parent=35465b3a9e2f7c6a;Sampled=0".to_owned();
    let init = |status: Option<&str>, duration_ms| PhaseEnd {
        status: status.map(str::to_owned),
        duration_ms,
        ..PhaseEnd::default()
    };
    let metrics = InvocationMetrics { duration_ms: Some(2.5), ..InvocationMetrics::default() };
    assert_eq!(
        events(body),
        [
            PlatformEvent::InitStart(InitStart {
                initialization_type: "on-demand".to_owned(),
                phase: InitPhase::Init,
                runtime_version: Some("python:3.13.v58".to_owned()),
                instance: Some("2026/11/25/[$LATEST]0f3c".to_owned()),
            }),
            PlatformEvent::InitRuntimeDone(init(Some("success"), None)),
            PlatformEvent::InitReport(init(None, Some(405.2))),
            PlatformEvent::Start(InvocationStart { request: RequestId::new("r1"), trace: Some(trace) }),
            PlatformEvent::RuntimeDone(InvocationEnd {
                error_type: Some("Runtime.ExitError".to_owned()),
                metrics: InvocationMetrics { produced_bytes: Some(0.0), ..metrics },
                ..end("r1", "error")
            }),
            PlatformEvent::Report(InvocationEnd {
                metrics: InvocationMetrics {
                    billed_duration_ms: Some(3.0),
                    memory_size_mb: Some(128.0),
                    max_memory_used_mb: Some(61.0),
                    init_duration_ms: Some(405.2),
                    ..metrics
                },
                ..end("r1", "success")
            }),
            PlatformEvent::Dropped,
        ]
    );
    let first = UNIX_EPOCH + Duration::from_millis(1_795_600_800_010);
    assert_eq!(Record::batch(body.as_bytes())[0].time, Some(first));
}

#[test]
fn an_odd_record_costs_only_itself() {
    let deep = "[".repeat(500) + &"]".repeat(500);
    let odd = r#"[7, null, {}, {"type":7}, {"type":"platform.runtimeDone"}, {"type":"function","record":"text"},
        {"type":"platform.runtimeDone","record":{"requestId":7}}, {"type":"platform.new","record":{}},
        {"type":"platform.runtimeDone","record":DEEP}, {"type":"platform.report","record":"text"},
        {"time":7,"type":"platform.runtimeDone",
         "record":{"requestId":"r2","status":[],"metrics":7,"spans":{},"tracing":""}},
        {"time":"soon","type":"platform.report",
         "record":{"requestId":"r3","metrics":{"durationMs":"7","maxMemoryUsedMB":-1}}}]"#;
    let expected =
        [PlatformEvent::RuntimeDone(end("r2", "unknown")), PlatformEvent::Report(end("r3", "unknown"))];
    assert_eq!(events(&odd.replace("DEEP", &deep)), expected);
    for body in [&b""[..], b"{}", b"[", b"\xff", b"null", b"<html>"] {
        assert_eq!(Record::batch(body), []);
    }
}

#[test]
fn broken_json_costs_only_itself() {
    let whole = r#"{"type":"platform.runtimeDone","record":{"requestId":"r1","status":"timeout"}}"#;
    let timeout = PlatformEvent::RuntimeDone(end("r1", "timeout"));
    assert_eq!(events(&format!("[{whole},{{\"type\":")), std::slice::from_ref(&timeout));
    let invalid =
        [b"[{\"type\":\"function\",\"record\":\"\xff\"},".as_slice(), whole.as_bytes(), b"]"].concat();
    assert_eq!(Record::batch(&invalid).len(), 1);
    assert_eq!(events(&format!("[{whole}")), std::slice::from_ref(&timeout));
    // JSON has no control characters as they are.
    let control = "{\"time\":\"\",\"type\":\"function\",\"record\":\"\u{1}\"}";
    let whole = whole.replace("{\"type\"", "{\"time\":\"\",\"type\"");
    assert_eq!(events(&format!("[{control},{whole}]")), [timeout]);
}

#[test]
fn faults_are_text_or_objects() {
    let fault = |request: Option<&str>, text: &str| {
        PlatformEvent::Fault(PlatformFault { request: request.map(RequestId::new), text: text.to_owned() })
    };
    let body = r#"[
        {"type":"platform.fault","record":"RequestId: r1 Process exited before completing request\n"},
        {"type":"platform.fault",
         "record":{"requestId":"r2",
         "message":"RequestId: r2 Error: Runtime exited with error: signal: killed"}},
        {"type":"platform.fault","record":"Runtime exited"},
        {"type":"platform.fault","record":7}
    ]"#;
    assert_eq!(
        events(body),
        [
            fault(Some("r1"), "Process exited before completing request"),
            fault(Some("r2"), "Error: Runtime exited with error: signal: killed"),
            fault(None, "Runtime exited"),
        ]
    );
}
