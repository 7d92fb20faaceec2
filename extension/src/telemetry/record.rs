//! What Lambda tells in a telemetry batch, read leniently: whatever is odd is passed over, never an error.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>

use crate::lifecycle::event::RequestId;
use serde_json::Value;

/// A platform event that means something to the extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// The function was started for a request.
    Start(RequestId),
    /// The runtime is through with a request.
    RuntimeDone(InvocationEnd),
    /// All are through with a request. On Managed Instances this is the only word of a request's end.
    Report(InvocationEnd),
    /// Of the init phase: `Start`, `RuntimeDone`, `Report`.
    Init(String),
    /// Of a restore from a snapshot: `Start`, `RuntimeDone`, `Report`.
    Restore(String),
    /// Some records never came.
    Dropped,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InvocationEnd {
    pub(super) request: RequestId,
    /// `success`, `failure`, `error`, `timeout`.
    pub(super) status: String,
    /// What went wrong, where Lambda knows.
    pub(super) error_type: Option<String>,
}

impl Record {
    /// The known records of a batch, in their order.
    pub(super) fn batch(body: &[u8]) -> Vec<Self> {
        match serde_json::from_slice(body) {
            Ok(Value::Array(records)) => records.iter().filter_map(Self::read).collect(),
            _ => Vec::new(),
        }
    }

    fn read(value: &Value) -> Option<Self> {
        let kind = value.get("type")?.as_str()?.strip_prefix("platform.")?;
        let text = |name: &str| value.pointer(name).and_then(Value::as_str);
        let request = || text("/record/requestId").map(RequestId::new);
        let end = || {
            let status = short(text("/record/status").unwrap_or("unknown"));
            Some(InvocationEnd {
                request: request()?,
                status,
                error_type: text("/record/errorType").map(short),
            })
        };
        Some(match kind {
            "start" => Self::Start(request()?),
            "runtimeDone" => Self::RuntimeDone(end()?),
            "report" => Self::Report(end()?),
            "logsDropped" => Self::Dropped,
            _ => match (kind.strip_prefix("init"), kind.strip_prefix("restore")) {
                (Some(phase), _) => Self::Init(short(phase)),
                (_, Some(phase)) => Self::Restore(short(phase)),
                _ => return None,
            },
        })
    }
}

fn short(text: &str) -> String {
    text.chars().take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lambda_sends() {
        let body = br#"[
            {"time":"2024-10-12T00:00:00.000Z","type":"platform.initStart","record":{"initializationType":"on-demand","phase":"init"}},
            {"time":"2024-10-12T00:00:00.000Z","type":"platform.initRuntimeDone","record":{"status":"success"}},
            {"time":"2024-10-12T00:00:00.000Z","type":"platform.telemetrySubscription","record":{"state":"Subscribed"}},
            {"time":"2024-10-12T00:00:00.000Z","type":"platform.restoreStart","record":{}},
            {"time":"2024-10-12T00:00:01.000Z","type":"platform.start","record":{"requestId":"r1","version":"$LATEST"}},
            {"time":"2024-10-12T00:00:02.000Z","type":"platform.runtimeDone","record":{"requestId":"r1","status":"error","errorType":"Runtime.ExitError","metrics":{"durationMs":2.5}}},
            {"time":"2024-10-12T00:00:02.000Z","type":"platform.report","record":{"requestId":"r1","metrics":{"maxMemoryUsedMB":61}}},
            {"time":"2024-10-12T00:00:02.000Z","type":"platform.logsDropped","record":{"droppedRecords":1}}
        ]"#;
        let end = |status: &str, error_type: Option<&str>| InvocationEnd {
            request: RequestId::new("r1"),
            status: status.to_owned(),
            error_type: error_type.map(str::to_owned),
        };
        assert_eq!(
            Record::batch(body),
            [
                Record::Init("Start".to_owned()),
                Record::Init("RuntimeDone".to_owned()),
                Record::Restore("Start".to_owned()),
                Record::Start(RequestId::new("r1")),
                Record::RuntimeDone(end("error", Some("Runtime.ExitError"))),
                Record::Report(end("unknown", None)),
                Record::Dropped,
            ]
        );
    }

    #[test]
    fn what_nobody_should_send_costs_only_itself() {
        let odd = br#"[7, null, {}, {"type":7}, {"type":"platform.runtimeDone"}, {"type":"function","record":"text"},
            {"type":"platform.runtimeDone","record":{"requestId":7}}, {"type":"platform.new","record":{}},
            {"type":"platform.runtimeDone","record":{"requestId":"r2"}}]"#;
        let done =
            InvocationEnd { request: RequestId::new("r2"), status: "unknown".to_owned(), error_type: None };
        assert_eq!(Record::batch(odd), [Record::RuntimeDone(done)]);
        for body in [&b""[..], b"{}", b"[", b"\xff", b"null", b"<html>"] {
            assert_eq!(Record::batch(body), []);
        }
    }
}
