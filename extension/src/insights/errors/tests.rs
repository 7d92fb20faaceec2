use super::*;
use crate::insights::lines::NamedRequest;
use crate::telemetry::FunctionRecord;
use serde_json::{Value, json};

/// The errors in the records of a file. Those of Python and Node were written by AWS's runtime clients; the others are
/// as the sources of those clients format them.
fn errors_in(records: &str, runtime: &str) -> Vec<UncaughtError> {
    let records: Vec<Value> = serde_json::from_str(records).unwrap();
    let mut errors = Errors::default();
    let mut current = "init".to_owned();
    for record in records {
        let json = record.to_string();
        let output = FunctionRecord { time: None, json: &json }.output();
        let line = Line::read(&output).unwrap();
        // A record without a request is of the one before it.
        match &line.request {
            Some(NamedRequest::ByRuntime(id)) => (*id).clone_into(&mut current),
            Some(NamedRequest::ByField(_, id)) if !id.is_empty() => (**id).clone_into(&mut current),
            _ => {}
        }
        // The runtime ends after an error in init, and starts anew.
        let is_init = record.to_string().contains("missing");
        let request = RequestId::new(if is_init { "init" } else { &current });
        errors.take(&line, Some(&request), SystemTime::UNIX_EPOCH, runtime);
    }
    errors.ended(|_| true)
}

/// Type, value and frames of each exception.
fn described(error: &UncaughtError) -> Vec<(String, String, Vec<String>)> {
    let frame = |frame: &frame::Frame| {
        let name =
            [&frame.module, &frame.function].into_iter().flatten().map(String::as_str).collect::<Vec<_>>();
        let place = frame.path.as_deref().unwrap_or("?");
        let line = frame.line.map(|line| format!(":{line}")).unwrap_or_default();
        format!("{} {place}{line}{}", name.join("."), if frame.in_app { " in app" } else { "" })
    };
    let of = |one: &Exception| (one.kind.clone(), one.value.clone(), one.frames.iter().map(frame).collect());
    error.exceptions.iter().map(of).collect()
}

fn exception(kind: &str, value: &str, frames: &[&str]) -> (String, String, Vec<String>) {
    (kind.to_owned(), value.to_owned(), frames.iter().map(|&frame| frame.to_owned()).collect())
}

macro_rules! records {
    ($name:literal) => {
        include_str!(concat!("../../../tests/records/", $name, ".json"))
    };
}

const CART: &str = "cart is empty:\n nothing in it";

#[test]
fn python() {
    for records in [records!("python-text"), records!("python-json")] {
        let errors = errors_in(records, "python:3.13.v58");
        let languages: Vec<_> = errors.iter().map(|error| error.language).collect();
        assert_eq!(languages, [Language::Python; 2], "{errors:#?}");
        let frames = ["handler /var/task/app.py:13 in app", "outer /var/task/app.py:16 in app"];
        assert_eq!(described(&errors[0]), [exception("RuntimeError", CART, &frames)]);
        assert_eq!(errors[0].exceptions[0].frames[0].code.as_deref(), Some("outer()"));
        let missing = "Unable to import module 'missing': No module named 'missing'";
        assert_eq!(described(&errors[1]), [exception("Runtime.ImportModuleError", missing, &[])]);
    }
}

#[test]
fn node() {
    for records in [records!("node-text"), records!("node-json")] {
        let errors = errors_in(records, "nodejs:22.v40");
        let ids: Vec<String> =
            errors.iter().map(|error| error.request.as_ref().unwrap().to_string()).collect();
        // The first invocation has only logged an error, and written more lines after it.
        assert!(ids.len() == 2 && ids[0].ends_with('2') && ids[1].ends_with('3'), "{errors:#?}");
        assert!(errors.iter().all(|error| error.language == Language::Node));
        let frames = [
            "process.processTicksAndRejections node:internal/process/task_queues:95",
            "Runtime.handleOnceNonStreaming /var/runtime/index.mjs:1427",
            "Runtime.handler /var/task/index.mjs:14 in app",
            "fails /var/task/index.mjs:3 in app",
        ];
        assert_eq!(described(&errors[0]), [exception("CartError", CART, &frames)]);
        let frames = [
            "process.processTimers node:internal/timers:519",
            "listOnTimeout node:internal/timers:581",
            "Timeout._onTimeout /var/task/index.mjs:15 in app",
        ];
        assert_eq!(described(&errors[1]), [exception("Error", "later", &frames)]);
    }
}

#[test]
fn java() {
    for records in [records!("java-text"), records!("java-json")] {
        let errors = errors_in(records, "java:21.v30");
        assert_eq!(errors.len(), 1, "{errors:#?}");
        assert_eq!(errors[0].language, Language::Java);
        let cause = ["shop.Orders.fails Orders.java:28 in app", "java.util.ArrayList.get ArrayList.java:427"];
        let thrown = [
            "java.lang.reflect.Method.invoke ?",
            "shop.Orders.handleRequest Orders.java:12 in app",
            "shop.Orders.fails Orders.java:30 in app",
        ];
        assert_eq!(
            described(&errors[0]),
            [
                exception("java.lang.IllegalStateException", "no", &cause),
                exception("shop.CartException", "cart is empty", &thrown)
            ]
        );
    }
}

#[test]
fn dotnet() {
    for records in [records!("dotnet-text"), records!("dotnet-json")] {
        let errors = errors_in(records, "dotnet:8.v20");
        assert_eq!(errors.len(), 1, "{errors:#?}");
        assert_eq!(errors[0].language, Language::DotNet);
        let inner = [
            "Shop.Orders.Fails /src/Orders.cs:28 in app",
            "System.Linq.ThrowHelper.ThrowNoElementsException ?",
        ];
        let outer = [
            "Amazon.Lambda.RuntimeSupport.Bootstrap.UserCodeLoader.Invoke ?",
            "Shop.Orders.Handle /src/Orders.cs:12 in app",
            "Shop.Orders.Fails /src/Orders.cs:30 in app",
        ];
        assert_eq!(
            described(&errors[0]),
            [
                exception("System.InvalidOperationException", "no", &inner),
                exception("Shop.CartException", "cart is empty", &outer)
            ]
        );
    }
}

#[test]
fn ruby_and_go() {
    for records in [records!("ruby-text"), records!("ruby-json")] {
        let errors = errors_in(records, "ruby:3.4.v5");
        assert_eq!(errors.len(), 1, "{errors:#?}");
        assert_eq!(errors[0].language, Language::Ruby);
        let frames = ["handler /var/task/app.rb:5 in app", "fails /var/task/app.rb:12 in app"];
        assert_eq!(described(&errors[0]), [exception("CartError", "cart is empty", &frames)]);
    }
    let errors = errors_in(records!("go-text"), "provided:al2023.v90");
    assert_eq!((errors.len(), errors[0].language), (1, Language::Go));
    let frames = [
        "goexit runtime/asm_amd64.s:1700",
        "lambdaHandler.Invoke github.com/aws/aws-lambda-go@v1.49.0/lambda/handler.go:24",
        "handler orders/main.go:12 in app",
        "fails orders/main.go:30 in app",
    ];
    assert_eq!(described(&errors[0]), [exception("errorString", "cart is empty", &frames)]);
    let bare = json!([json!({ "errorMessage": "no", "errorType": "errorString" }).to_string()]).to_string();
    assert_eq!(errors_in(&bare, "")[0].language, Language::Go);
}

#[test]
fn what_the_function_logs_about_an_error_is_no_uncaught_one() {
    let id = "8442603f-da10-42d2-bf58-c33a31978aad";
    let records = json!([
        format!("[ERROR]\t2026-11-25T10:00:00.010Z\t{id}\thandled\nTraceback (most recent call last):\n  x"),
        "[ERROR] Traceback (most recent call last):",
        "[ERROR] not a type, but text: no\nTraceback (most recent call last):",
        "[INFO] ValueError: no\nTraceback (most recent call last):",
        { "level": "ERROR", "message": "handled", "logger": "root", "errorType": "ValueError",
            "errorMessage": "no", "stackTrace": ["x"] },
        { "level": "ERROR", "errorType": "ValueError", "errorMessage": "no", "more": 1 },
        { "errorType": 7, "errorMessage": "no" },
        format!("2026-11-25T10:00:00.010Z\t{id}\tERROR\tInvoke Error \t{{not json}}"),
        format!("2026-11-25T10:00:00.010Z\t{id}\tERROR\tOther \t{{\"errorType\":\"E\"}}"),
        format!("2026-11-25T10:00:00.010Z\t{id}\tfail\tcould not do it\nSystem.Exception: no\n   at A.B()"),
        "text\n\tat a.b(C.java:1)",
        "text: a.B\nother\n\tat a.b(C.java:1)",
    ]);
    assert_eq!(errors_in(&records.to_string(), "python"), []);
}

#[test]
fn one_error_an_invocation_and_not_before_its_end() {
    let mut errors = Errors::default();
    let [one, other] = ["1", "2"].map(RequestId::new);
    let take = |errors: &mut Errors, request: Option<&RequestId>, text: &str| {
        let output = crate::telemetry::FunctionOutput::Text(text.into());
        errors.take(&Line::read(&output).unwrap(), request, SystemTime::UNIX_EPOCH, "python");
    };
    for request in [&one, &other, &one] {
        take(&mut errors, Some(request), "[ERROR] ValueError: no\nTraceback (most recent call last):");
        take(&mut errors, Some(request), "more");
    }
    assert_eq!(errors.ended(|_| false), []);
    let ended = errors.ended(|request| request == Some(&other));
    assert_eq!(ended.iter().map(UncaughtError::kind).collect::<Vec<_>>(), ["ValueError"]);
    assert!(errors.is_waiting());
    for n in 0..100 {
        let request = RequestId::new(&n.to_string());
        take(&mut errors, Some(&request), "[ERROR] ValueError: no\nTraceback (most recent call last):");
    }
    assert_eq!(errors.ended(|_| true).len(), MOST_WAITING);
}
