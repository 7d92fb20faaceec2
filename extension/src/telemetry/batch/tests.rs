use super::*;
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

/// Writes down what it hears.
#[derive(Debug, Default)]
struct Listener(Mutex<Vec<String>>);

impl Listener {
    fn add(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }
}

impl Observer for Listener {
    fn wants_function_records(&self) -> bool {
        true
    }

    fn platform(&self, records: Vec<Record>) {
        self.add(format!("{} of the platform", records.len()));
    }

    fn function(&self, record: FunctionRecord<'_>) {
        let millis = record.time.map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_millis());
        self.add(format!("{} {}", millis.unwrap_or_default(), record.json));
    }

    fn dropped(&self, dropped: DroppedRecords) {
        self.add(format!("{} records, {} bytes dropped", dropped.records, dropped.bytes));
    }

    fn unreadable(&self) {
        self.add("unreadable".to_owned());
    }

    fn batch_ended(&self) {}
}

fn observed(body: impl AsRef<[u8]>) -> Vec<String> {
    let listener = Listener::default();
    let mut before = 0;
    read(body.as_ref(), &mut |records| before += records.len(), &listener);
    let observed = listener.0.into_inner().unwrap();
    let of_platform =
        observed.iter().filter_map(|what| what.strip_suffix(" of the platform")?.parse::<usize>().ok());
    assert_eq!(of_platform.sum::<usize>(), before);
    observed
}

const TIME: &str = "2026-11-25T10:00:00.010Z";

fn line(record: &str) -> String {
    format!(r#"{{"time":"{TIME}","type":"function","record":{record}}}"#)
}

fn start(id: &str) -> String {
    format!(r#"{{"time":"{TIME}","type":"platform.start","record":{{"requestId":"{id}"}}}}"#)
}

#[test]
fn lines_and_records_of_the_platform_keep_their_order() {
    let at = UNIX_EPOCH + Duration::from_millis(1_795_600_800_010);
    let at = at.duration_since(UNIX_EPOCH).unwrap().as_millis();
    let batch = [&*line("\"a\\n\""), &start("1"), &start("2"), &line("{\"b\": 1}"), &start("3")].join(",");
    assert_eq!(
        observed(format!("[{batch}]")),
        [
            format!("{at} \"a\\n\""),
            "2 of the platform".to_owned(),
            format!("{at} {{\"b\": 1}}"),
            "1 of the platform".to_owned(),
        ]
    );
}

#[test]
fn what_lambda_dropped_is_told_with_its_numbers() {
    let dropped = r#"[{"type":"platform.logsDropped","record":{"reason":"slow","droppedRecords":7,"droppedBytes":900}},
        {"type":"platform.logsDropped","record":"many"}]"#;
    assert_eq!(
        observed(dropped),
        ["7 records, 900 bytes dropped", "0 records, 0 bytes dropped", "2 of the platform"]
    );
}

#[test]
fn an_odd_element_costs_only_itself() {
    let deep = "[".repeat(500) + &"]".repeat(500);
    let elements = [
        "7",
        "null",
        "{}",
        r#"{"type":7}"#,
        r#"{"type":"function"}"#,
        r#"{"type":"function","record":null}"#,
        &line("\"a\""),
        r#"{"time":7,"type":"function","record":"b"}"#,
        r#"{"type":"function","record":"c","type":"function"}"#,
        &format!(r#"{{"type":"function","record":{deep}}}"#),
        r#"{"type":"function","time":"soon","record":"d"}"#,
    ];
    let observed = observed(format!("[{}]", elements.join(",")));
    let text: Vec<&str> = observed.iter().map(|what| what.split_once(' ').unwrap().1).collect();
    assert_eq!(text, ["\"a\"", "\"b\"", &*deep, "\"d\""]);
}

#[test]
fn what_comes_before_broken_json_counts_and_the_rest_is_known_to_be_lost() {
    assert_eq!(observed(format!("[{},{{\"type\":", line("\"a\""))), ["1795600800010 \"a\"", "unreadable"]);
    let invalid = [b"[", line("\"a\"").as_bytes(), b",", &line("\"b\"").into_bytes()].concat();
    let at = invalid.iter().rposition(|b| *b == b'b').unwrap();
    let mut invalid = [&invalid[..], b"]"].concat();
    invalid[at] = 0xff;
    assert_eq!(observed(invalid), ["1795600800010 \"a\"", "1795600800010 \"\u{fffd}\""]);
    for body in [&b""[..], b"{}", b"[", b"\xff", b"null", b"<html>"] {
        assert_eq!(observed(body), ["unreadable"], "{body:?}");
    }
    assert_eq!(observed("[]"), [""; 0]);
}

#[test]
fn broken_json_in_the_middle_is_known_to_be_lost_where_it_was() {
    let broken = line("\"\u{1}\"").replace("\"function", "\"other");
    let batch = [&*start("1"), &broken, &line("\"b\""), "{\"time\":}", &start("2"), &start("3")].join(",");
    let at = "1795600800010";
    assert_eq!(
        observed(format!("[{batch}]")),
        ["1 of the platform", "unreadable", &format!("{at} \"b\""), "unreadable", "2 of the platform"]
    );
}
