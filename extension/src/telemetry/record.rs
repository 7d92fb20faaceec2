//! The records of a telemetry batch. They are read leniently: an unknown or invalid record is skipped and is never an
//! error.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html>

use super::request_id::RequestId;
use serde_json::Value;

/// A platform event that the extension uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// The function was started for a request.
    Start(RequestId),
    /// The runtime is done with a request.
    RuntimeDone(InvocationEnd),
    /// The runtime and all extensions are done with a request. On Managed Instances only this record tells its end.
    Report(InvocationEnd),
    /// A record of the init phase: `Start`, `RuntimeDone` or `Report`.
    Init(String),
    /// A record of a restore from a snapshot: `Start`, `RuntimeDone` or `Report`.
    Restore(String),
    /// Lambda has dropped some records.
    Dropped,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InvocationEnd {
    pub(super) request: RequestId,
    /// The status that Lambda gives: `success`, `failure`, `error` or `timeout`.
    pub(super) status: String,
    /// The type of the error, if Lambda reports one.
    pub(super) error_type: Option<String>,
}

impl Record {
    /// Reads a batch and returns its known records in their order. An invalid batch has none.
    pub(super) fn batch(body: &[u8]) -> Vec<Self> {
        match serde_json::from_slice(body) {
            Ok(Value::Array(records)) => records.iter().filter_map(Self::read).collect(),
            _ => Vec::new(),
        }
    }

    fn read(value: &Value) -> Option<Self> {
        let kind = value.get("type")?.as_str()?.strip_prefix("platform.")?;
        Some(match kind {
            "start" => Self::Start(request(value)?),
            "runtimeDone" => Self::RuntimeDone(InvocationEnd::read(value)?),
            "report" => Self::Report(InvocationEnd::read(value)?),
            "logsDropped" => Self::Dropped,
            _ => match (kind.strip_prefix("init"), kind.strip_prefix("restore")) {
                (Some(phase), _) => Self::Init(short(phase)),
                (_, Some(phase)) => Self::Restore(short(phase)),
                _ => return None,
            },
        })
    }
}

impl InvocationEnd {
    fn read(value: &Value) -> Option<Self> {
        Some(Self {
            request: request(value)?,
            status: short(text(value, "/record/status").unwrap_or("unknown")),
            error_type: text(value, "/record/errorType").map(short),
        })
    }
}

fn request(value: &Value) -> Option<RequestId> {
    text(value, "/record/requestId").map(RequestId::new)
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

fn short(text: &str) -> String {
    text.chars().take(128).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_records_that_lambda_sends() {
        let body = br#"[
            {"time":"2024-10-12T00:00:00.000Z","type":"platform.initStart",
                "record":{"initializationType":"on-demand","phase":"init"}},
            {"time":"2024-10-12T00:00:00.000Z","type":"platform.initRuntimeDone","record":{"status":"success"}},
            {"time":"2024-10-12T00:00:00.000Z","type":"platform.telemetrySubscription","record":{"state":"Subscribed"}},
            {"time":"2024-10-12T00:00:00.000Z","type":"platform.restoreStart","record":{}},
            {"time":"2024-10-12T00:00:01.000Z","type":"platform.start","record":{"requestId":"r1","version":"$LATEST"}},
            {"time":"2024-10-12T00:00:02.000Z","type":"platform.runtimeDone",
                "record":{"requestId":"r1","status":"error","errorType":"Runtime.ExitError","metrics":{"durationMs":2.5}}},
            {"time":"2024-10-12T00:00:02.000Z","type":"platform.report",
                "record":{"requestId":"r1","metrics":{"maxMemoryUsedMB":61}}},
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
    fn skips_only_the_invalid_records_of_a_batch() {
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
