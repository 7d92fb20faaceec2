//! Bodies with many small things, each of which takes more memory than its bytes: in a function of 128 MB they could
//! end the process.

use crate::gateway::{ENVELOPE, KEY, Setup, auth, gzip};
use crate::support::{memory::Memory, memory_limit::MemoryLimit};

const MIB: usize = 1 << 20;
/// What the process may take beyond what it takes at rest: a body, its decoded form, and the envelope made of it, each
/// as large as the queue may be, and some more.
const MOST: usize = 30 * MIB;

const DISPOSITION: &str = "Content-Disposition: form-data; name=";

fn form(fields: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut body = Vec::new();
    for field in fields {
        body.extend(b"--x\r\n");
        body.extend(field);
        body.extend(b"\r\n");
    }
    body.extend(b"--x--\r\n");
    body
}

fn dump() -> Vec<u8> {
    format!("{DISPOSITION}\"upload_file_minidump\"; filename=\"a.dmp\"\r\n\r\nMDMP").into_bytes()
}

fn file(name: &str, data: &[u8]) -> Vec<u8> {
    [format!("{DISPOSITION}\"{name}\"; filename=\"{name}\"\r\n\r\n").as_bytes(), data].concat()
}

fn text(name: &str, data: &[u8]) -> Vec<u8> {
    [format!("{DISPOSITION}\"{name}\"\r\n\r\n").as_bytes(), data].concat()
}

async fn setup() -> (Setup, MemoryLimit, usize) {
    let setup = Setup::new(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")]).await;
    assert_eq!(setup.post("/api/42/envelope/", &[("x-sentry-auth", &auth())], ENVELOPE).await.status, 200);
    setup.arrives("event").await;
    let pid = setup.extension.pid();
    let limit = MemoryLimit::of(i32::try_from(pid).unwrap(), 96 << 20);
    let before = Memory::of(pid).most;
    (setup, limit, before)
}

/// Sends each body compressed, and expects the status and a word of the answer.
async fn refuses(path: &str, content_type: &str, bodies: Vec<(&str, Vec<u8>, u16, &str)>) {
    let (setup, _limit, before) = setup().await;
    let auth = auth();
    for (what, body, status, word) in bodies {
        let headers =
            [("x-sentry-auth", &*auth), ("content-type", content_type), ("content-encoding", "gzip")];
        let answer = setup.post(path, &headers, gzip(&body)).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
        assert!(answer.body.contains(word), "{what}: {}", answer.body);
        assert!(answer.body.len() < 2000, "{what}: an answer of {} bytes", answer.body.len());
        let grown = Memory::of(setup.extension.pid()).most - before;
        eprintln!("{what}: {} KiB more at its peak", grown / 1024);
        assert!(grown < MOST, "{what}: {grown} bytes");
    }
    setup.finish(1).await;
}

#[tokio::test]
async fn forms_with_many_fields() {
    const LARGE: usize = 7 * MIB;
    let many =
        |field: Vec<u8>| form(std::iter::once(dump()).chain(vec![field.clone(); LARGE / (field.len() + 7)]));
    let event = |data: Vec<u8>| form([dump(), file("__sentry-event", &data)]);
    let array_of_keys = [&b"\xdf\0\x01\0\0"[..], &vec![0xa0; 2 << 16]].concat();
    let nested = form(vec![b"\r\n".to_vec(); 200_000]).into_iter().collect::<Vec<_>>();
    let nested = String::from_utf8(nested).unwrap().replace("--x", "--in").into_bytes();
    let cases = vec![
        ("empty fields", many(b"\r\n".to_vec()), 400, "500 fields"),
        ("names", many(text("a", b"")), 400, "500 fields"),
        ("files", many(file("a", b"")), 400, "500 fields"),
        ("files within the bound", form(std::iter::once(dump()).chain(vec![file("a", b""); 400])), 413, ""),
        ("a name", form([dump(), text(&"n".repeat(LARGE), b"")]), 400, "headers of a field"),
        ("headers", form([dump(), "A: b\r\n".repeat(LARGE / 6).into_bytes()]), 400, "headers of a field"),
        ("text that is not UTF-8", form([dump(), text("a", &vec![0xff; LARGE])]), 413, "limit"),
        ("an event in JSON", form([dump(), text("sentry", &b"[0,".repeat(LARGE / 3))]), 413, "limit"),
        ("keys of an event", event(array_of_keys), 400, "messagepack"),
        ("an event", event(vec![0x90; LARGE]), 413, "limit"),
        ("a form in the form", form([file("upload_file_minidump", &nested)]), 400, "500 fields"),
    ];
    refuses("/api/42/minidump/", "multipart/form-data; boundary=x", cases.clone()).await;
    let path = "/api/42/events/f3d98fbd851e4cfeb5a6d4e45a253049/attachments/";
    refuses(path, "multipart/form-data; boundary=x", cases.into_iter().take(7).collect()).await;
}

#[tokio::test]
async fn json_with_many_values() {
    const LARGE: usize = MIB - 1000;
    let (setup, _limit, before) = setup().await;
    let list = format!("[{}0]", "0,".repeat(LARGE / 2));
    let lists = format!("[{}0]", "[],".repeat(LARGE / 3));
    let keys: Vec<String> = (0..LARGE / 11).map(|n| format!("\"{n}\":0")).collect();
    let keys = format!("{{{}}}", keys.join(","));
    for contexts in [format!("{{\"a\":{list}}}"), format!("{{\"a\":{lists}}}"), keys] {
        let body = format!("{{\"status\":\"ok\",\"contexts\":{contexts}}}");
        let headers = [("content-type", "application/json")];
        let answer = setup.post(&format!("/api/42/cron/a/{KEY}/"), &headers, body).await;
        // A check-in may have 100 KiB.
        assert_eq!(answer.status, 413, "{}", answer.body);
        let grown = Memory::of(setup.extension.pid()).most - before;
        eprintln!("a check-in with many values: {} KiB more at its peak", grown / 1024);
        assert!(grown < 10 * MIB, "{grown} bytes");
    }
    // The message of the parser quotes the value.
    let body = format!("{{\"status\":\"ok\",\"duration\":\"{}\"}}", "x".repeat(LARGE));
    let headers = [("content-type", "application/json")];
    let answer = setup.post(&format!("/api/42/cron/a/{KEY}/"), &headers, body).await;
    assert_eq!(answer.status, 422);
    assert!(answer.body.len() < 2000, "an answer of {} bytes", answer.body.len());
    setup.finish(1).await;
}

#[tokio::test]
async fn envelopes_with_many_items() {
    let items = |item: &str| format!("{{}}\n{}", item.repeat(7 * MIB / item.len())).into_bytes();
    let cases = vec![
        ("items", items("{\"type\":\"x\"}\n\n"), 400, "more than 500 items"),
        ("blank lines", items("\n"), 400, "end of file"),
        ("an item's header", items("{\"type\":\"x\","), 400, "longer than"),
        ("a header", format!("{{\"dsn\":\"{}\"}}\n", "x".repeat(200_000)).into_bytes(), 400, "dsn"),
    ];
    refuses("/api/42/envelope/", "application/x-sentry-envelope", cases).await;
}
