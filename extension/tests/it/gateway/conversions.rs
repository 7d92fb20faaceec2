//! Tests requests that the extension converts to envelopes.

use super::{Headers, ID, KEY, Setup, auth, base64, gzip, zlib};
use crate::support::envelope::Item;
use hyper::Method;
use serde_json::json;

fn field<'a>(item: &'a Item, name: &str) -> &'a str {
    item.header.get(name).and_then(|value| value.as_str()).unwrap_or_default()
}

/// Makes a multipart form. Each part has a name, perhaps a file name, and content.
fn form(parts: &[(&str, Option<&str>, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, file_name, content) in parts {
        let file = file_name.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        body.extend(format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--x--\r\n");
    body
}

const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=x");

#[tokio::test]
async fn store_requests_become_envelopes() {
    let setup = Setup::new(&[]).await;
    let auth = auth();
    let event = format!("{{\"event_id\":\"{ID}\",\"message\":\"old\"}}");
    let zlib = base64(zlib(event.as_bytes()));
    let cases: [(Headers<'_>, Vec<u8>); 4] = [
        (&[("content-type", "application/json")], event.clone().into()),
        (&[("content-encoding", "gzip")], gzip(event.as_bytes())),
        (&[("content-type", "application/octet-stream")], zlib.clone().into()),
        (&[], base64(&event).into()),
    ];
    for (at, (headers, body)) in cases.into_iter().enumerate() {
        let headers = [headers, &[("x-sentry-auth", &auth)]].concat();
        let answer = setup.post("/api/42/store/", &headers, body).await;
        assert_eq!((answer.status, answer.body), (200, format!("{{\"id\":\"{ID}\"}}")), "{headers:?}");
        setup.sentry.wait_for("it", |_| setup.sentry.received().len() > at).await;
        let one = setup.sentry.received().pop().unwrap();
        assert_eq!(one.envelope.item("event").unwrap().payload, event, "{headers:?}");
        assert_eq!(one.envelope.header["event_id"], ID);
        assert_eq!(
            (one.encoding(), &one.headers["content-type"]),
            (None, &"application/x-sentry-envelope".parse().unwrap())
        );
    }

    // The event is in the query, as in the URL of an image.
    let escaped = zlib.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let transaction = "%7B%22type%22:%22transaction%22%7D";
    for (data, kind) in [(&*escaped, "event"), (transaction, "transaction")] {
        let path = format!("/api/42/store/?sentry_data={data}&sentry_key={KEY}");
        let answer = setup.send(Method::GET, &path, &[], "").await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "image/gif"), "{}", answer.body);
        assert!(answer.body.starts_with("GIF89a"));
        setup.arrives(kind).await;
    }
    let without = setup.send(Method::GET, &format!("/api/42/store/?sentry_key={KEY}"), &[], "").await;
    assert_eq!(without.status, 400);
    setup.finish(6).await;
}

#[tokio::test]
async fn security_reports_of_browsers_become_envelopes() {
    let setup = Setup::new(&[]).await;
    let report = "{\"csp-report\":{\"document-uri\":\"https://page.example\"}}";
    let query = format!("?sentry_key={KEY}&sentry_release=a%20b&sentry_environment=prod");
    for (path, content_type) in [
        ("/api/42/security/", "application/csp-report"),
        ("/api/42/csp-report/", "application/json; charset=utf-8"),
        ("/api/42/security/", "application/expect-ct-report+json"),
    ] {
        let answer = setup.post(&format!("{path}{query}"), &[("content-type", content_type)], report).await;
        assert_eq!((answer.status, &*answer.body), (200, ""), "{path} {content_type}");
    }
    let (one, item) = setup.arrives("raw_security").await;
    assert_eq!((&item.payload[..], field(&item, "content_type")), (report.as_bytes(), "application/json"));
    assert_eq!((field(&item, "sentry_release"), field(&item, "sentry_environment")), ("a b", "prod"));
    assert_eq!(one.envelope.header["event_id"].as_str().map(str::len), Some(32));
    setup.finish(3).await;
}

#[tokio::test]
async fn cron_check_ins_without_an_sdk_become_envelopes() {
    let setup = Setup::new(&[]).await;
    let keyed = format!("/api/42/cron/my-monitor/{KEY}");
    let by_query = format!("{keyed}?status=in_progress&environment=prod&duration=21");
    let answer = setup.send(Method::GET, &by_query, &[], "").await;
    assert_eq!((answer.status, &*answer.body), (202, ""));
    let (one, item) = setup.arrives("check_in").await;
    let nil = "0".repeat(32);
    let expected = json!({"check_in_id": nil, "monitor_slug": "my-monitor", "status": "in_progress",
        "environment": "prod", "duration": 21.0});
    assert_eq!(item.json(), expected);
    assert!(one.headers["x-sentry-auth"].to_str().unwrap().ends_with("sentry_client=relay-http"));

    let body = json!({"check_in_id": ID, "status": "ok", "monitor_config": {"timezone": "UTC"}}).to_string();
    let basic = format!("Basic {}", base64(format!("{KEY}:")));
    let headers = [("authorization", &*basic), ("content-type", "application/json")];
    let answer = setup.post("/api/42/cron/a%20b/", &headers, body).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    setup.sentry.wait_for("the second", |_| setup.sentry.received().len() == 2).await;
    let second = setup.sentry.received()[1].envelope.item("check_in").unwrap().json();
    let expected = json!({"check_in_id": ID, "monitor_slug": "a b", "status": "ok",
        "monitor_config": {"timezone": "UTC"}});
    assert_eq!(second, expected);
    setup.finish(2).await;
}

#[tokio::test]
async fn bare_minidumps_become_envelopes() {
    let setup = Setup::new(&[]).await;
    let auth = auth();
    let dump = b"MDMP content";
    for (at, (content_type, body)) in [
        ("application/octet-stream", dump.to_vec()),
        ("application/x-dmp", dump.to_vec()),
        ("application/octet-stream", gzip(dump)),
    ]
    .into_iter()
    .enumerate()
    {
        let headers = [("x-sentry-auth", &*auth), ("content-type", content_type)];
        let answer = setup.post("/api/42/minidump", &headers, body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.header("content-type").starts_with("text/plain"));
        setup.sentry.wait_for("it", |_| setup.sentry.received().len() > at).await;
        let one = setup.sentry.received().pop().unwrap();
        let item = one.envelope.item("attachment").unwrap();
        assert_eq!(&item.payload[..], dump);
        assert_eq!(field(item, "attachment_type"), "event.minidump");
        assert_eq!(field(item, "filename"), "Minidump");
        let id = one.envelope.header["event_id"].as_str().unwrap();
        assert_eq!((answer.body.len(), answer.body.replace('-', "")), (36, id.to_owned()));
    }
    setup.finish(3).await;
}

#[tokio::test]
async fn minidumps_in_a_form_become_envelopes() {
    let setup = Setup::new(&[]).await;
    let auth = auth();
    let headers = [("x-sentry-auth", &*auth), FORM];
    let event = [&b"\x81\xa8event_id\xd9\x20"[..], ID.as_bytes()].concat();
    let body = form(&[
        ("sentry[user][id]", None, b"123"),
        ("upload_file_minidump", Some("crash.dmp.gz"), &gzip(b"MDMP content")),
        ("__sentry-event", Some("__sentry-event"), &event),
        ("__sentry-breadcrumb1", Some("__sentry-breadcrumb1"), b"\x80"),
        ("log", Some("log.txt"), b"line\r\n--y\r\n"),
        ("prod", None, b""),
    ]);
    let answer = setup.post("/api/42/minidump/", &headers, body).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body.replace('-', ""), ID);
    let (one, data) = setup.arrives("form_data").await;
    assert_eq!(one.envelope.header["event_id"], ID);
    assert_eq!(&data.payload[..], b"\x10\0\0\0sentry[user][id]\x03\0\0\x00123\x04\0\0\0prod\0\0\0\0");
    let files: Vec<_> = one
        .envelope
        .items
        .iter()
        .filter(|item| item.kind() == "attachment")
        .map(|item| (field(item, "filename"), field(item, "attachment_type"), &item.payload[..]))
        .collect();
    let expected: [(&str, &str, &[u8]); 4] = [
        ("crash.dmp", "event.minidump", b"MDMP content"),
        ("__sentry-event", "event.payload", &event),
        ("__sentry-breadcrumb1", "event.breadcrumbs", b"\x80"),
        ("log.txt", "event.attachment", b"line\r\n--y\r\n"),
    ];
    assert_eq!(files, expected);

    // The id may be in a form field or in JSON. Invalid ids are ignored.
    let json = format!("{{\"event_id\":\"{ID}\"}}");
    for (name, value, known) in
        [("sentry[event_id]", ID, true), ("sentry", &*json, true), ("sentry", "{{{{", false)]
    {
        let body = form(&[("upload_file_minidump", Some("a.dmp"), b"MDMP"), (name, None, value.as_bytes())]);
        let answer = setup.post("/api/42/minidump/", &headers, body).await;
        assert_eq!((answer.status, answer.body.replace('-', "") == ID), (200, known), "{name} {value}");
    }
    let inner = form(&[("upload_file_minidump", Some("inner"), b"MDMP nested")]);
    let body = form(&[(
        "upload_file_minidump",
        Some("a.dmp"),
        &String::from_utf8(inner).unwrap().replace("--x", "--inner").into_bytes(),
    )]);
    assert_eq!(setup.post("/api/42/minidump/", &headers, body).await.status, 200);
    let nested = |one: &crate::support::sentry::Received| one.envelope.items[0].payload == "MDMP nested";
    setup.sentry.wait_for("the nested one", nested).await;
    setup.finish(5).await;
}

#[tokio::test]
async fn unreal_crashes_and_late_attachments_become_envelopes() {
    let setup = Setup::new(&[]).await;
    let path = format!("/api/42/unreal/{KEY}/?UserID=login%7Cepic%7Cmachine");
    let answer = setup.post(&path, &[], "unreal crash").await;
    assert_eq!((answer.status, answer.body.len()), (200, 36));
    let (one, item) = setup.arrives("unreal_report").await;
    assert_eq!(
        (&item.payload[..], field(&item, "content_type")),
        (&b"unreal crash"[..], "application/octet-stream")
    );
    assert_eq!(one.envelope.header["unreal_user_id"], "login|epic|machine");

    let auth = auth();
    let headers = [("x-sentry-auth", &*auth), FORM];
    let body = form(&[("a", Some("a.txt"), b"first"), ("b", Some("b.txt"), b""), ("c", None, b"value")]);
    let answer = setup.post(&format!("/api/42/events/{ID}/attachments/"), &headers, body).await;
    assert_eq!((answer.status, &*answer.body), (201, ""));
    let (one, first) = setup.arrives("attachment").await;
    assert_eq!((field(&first, "filename"), &first.payload[..]), ("a.txt", &b"first"[..]));
    assert_eq!(one.envelope.header["event_id"], ID);
    let kinds: Vec<_> = one.envelope.items.iter().map(Item::kind).collect();
    assert_eq!(kinds, ["attachment", "attachment", "form_data"]);
    setup.finish(2).await;
}
