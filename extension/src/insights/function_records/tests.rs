use super::*;
use crate::config::FunctionLogs;
use crate::protocol::LogLevel;
use crate::telemetry::{InvocationEnd, InvocationStart};
use serde_json::json;
use std::time::Duration;

const ONE: &str = "8442603f-da10-42d2-bf58-c33a31978aad";
const OTHER: &str = "11111111-da10-42d2-bf58-c33a31978aad";
const UNKNOWN: &str = "99999999-da10-42d2-bf58-c33a31978aad";

fn records(is_managed: bool) -> FunctionRecords {
    let (config, _) = crate::config::Config::read(|_| None, crate::config::Overrides::default());
    let function_logs = Some(FunctionLogs { level: LogLevel::Trace, budget: usize::MAX });
    let settings = InsightsSettings { function_logs, ..config.insights };
    FunctionRecords::new(&settings, &Function::default(), is_managed, "0".repeat(31) + "1").unwrap()
}

fn start(request: &str) -> Record {
    let event = PlatformEvent::Start(InvocationStart { request: RequestId::new(request), trace: None });
    Record { time: None, event }
}

fn write(records: &mut FunctionRecords, record: &Value) {
    let json = record.to_string();
    records.function(FunctionRecord { time: None, json: &json }, || {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1)
    });
}

/// The invocations of all logs that wait, and the names of their other attributes.
fn invocations(records: &mut FunctionRecords) -> Vec<String> {
    let container = records.container(|_| None, None, None).unwrap();
    let payload = container.envelope.split(|b| *b == b'\n').nth(2).unwrap();
    let payload: Value = serde_json::from_slice(payload).unwrap();
    let of =
        |log: &Value| log["attributes"]["faas.invocation_id"]["value"].as_str().unwrap_or("none").to_owned();
    payload["items"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn a_line_belongs_to_the_invocation_that_has_begun_last_or_to_the_one_that_it_names() {
    let mut records = records(false);
    write(&mut records, &"during init".into());
    records.platform(&start(ONE));
    write(&mut records, &"first".into());
    records.platform(&start(OTHER));
    write(&mut records, &"second".into());
    write(&mut records, &format!("2026-11-25T10:00:00.010Z\t{ONE}\tINFO\tlate").into());
    write(&mut records, &json!({ "level": "INFO", "message": "late", "requestId": ONE }));
    // The id of a request to the function is none of Lambda's.
    write(&mut records, &json!({ "level": "INFO", "message": "own", "requestId": UNKNOWN }));
    write(&mut records, &format!("[INFO]\t2026-11-25T10:00:00.010Z\t{UNKNOWN}\tnever told of").into());
    assert_eq!(invocations(&mut records), ["none", ONE, OTHER, ONE, ONE, OTHER, UNKNOWN]);
}

#[test]
fn after_a_loss_the_last_invocation_is_not_guessed() {
    let mut records = records(false);
    records.platform(&start(ONE));
    records.platform(&Record { time: None, event: PlatformEvent::Dropped });
    write(&mut records, &"whose?".into());
    write(&mut records, &json!({ "message": "named", "requestId": UNKNOWN }));
    assert_eq!(invocations(&mut records), ["none", UNKNOWN]);
}

#[test]
fn nothing_is_guessed_where_invocations_overlap() {
    let mut records = records(true);
    records.platform(&start(ONE));
    records.platform(&start(OTHER));
    write(&mut records, &"whose?".into());
    write(&mut records, &json!({ "message": "named", "requestId": ONE }));
    assert_eq!(invocations(&mut records), ["none", ONE]);
}

#[test]
fn what_waits_is_sent_at_the_end_of_an_invocation_or_a_little_later() {
    let mut records = records(false);
    assert_eq!(records.batch_ended(), AfterBatch::Nothing);
    write(&mut records, &"text".into());
    assert_eq!((records.batch_ended(), records.batch_ended()), (AfterBatch::SendLater, AfterBatch::Nothing));
    records.platform(&Record { time: None, event: PlatformEvent::RuntimeDone(InvocationEnd::default()) });
    assert_eq!(records.batch_ended(), AfterBatch::Send);
    records.timer_ended();
    assert_eq!(records.batch_ended(), AfterBatch::SendLater);
    records.ending();
    assert_eq!(records.batch_ended(), AfterBatch::Send);
}
