//! Tests which headers reach upstream: those of the SDK, and those of `SENTRY_EXTENSION_HEADERS`.

use super::{ENVELOPE, KEY, auth, recorder::Recorder, send};
use crate::support::extension::Extension;
use hyper::Method;

const SECRET: &str = "5up3r-s3cret";

#[tokio::test]
async fn headers_of_the_sdk_and_of_the_settings_reach_upstream() {
    let recorder = Recorder::start().await;
    let setting =
        format!("CF-Access-Client-Id: id.access; CF-Access-Client-Secret: {SECRET};X-Both:of the setting");
    let env = [("SENTRY_EXTENSION_HEADERS", &*setting), ("SENTRY_EXTENSION_LOG", "debug")];
    let (extension, address) = Extension::standalone(&recorder.url, &env).await;
    let auth = auth();
    let headers = [
        ("x-sentry-auth", &*auth),
        ("authorization", "Bearer token"),
        ("x-gateway", "one"),
        ("x-gateway", "two"),
        ("x-both", "of the SDK"),
        ("accept-language", "de"),
        ("cookie", "session=1"),
        ("connection", "close, x-hop"),
        ("x-hop", "1"),
        ("proxy-authorization", "Basic x"),
        ("proxy-connection", "keep-alive"),
        ("te", "trailers"),
        ("user-agent", "sdk/1"),
    ];
    let requests = [
        (Method::POST, "/api/42/envelope/", ENVELOPE),
        (Method::POST, "/api/42/store/", "{}"),
        (Method::POST, "/api/42/integration/otlp/v1/traces", "x"),
        (Method::GET, "/api/0/organizations/", ""),
    ];
    for (at, (method, path, body)) in requests.into_iter().enumerate() {
        assert_eq!(send(address, method, path, &headers, body).await.status, 200, "{path}");
        let got = recorder.arrived(at + 1).await;
        for (name, values) in [
            ("authorization", &["Bearer token"][..]),
            ("x-gateway", &["one", "two"]),
            ("x-both", &["of the setting"]),
            ("accept-language", &["de"]),
            ("cf-access-client-id", &["id.access"]),
            ("cf-access-client-secret", &[SECRET]),
            ("user-agent", &["sdk/1"]),
            ("cookie", &[]),
            ("x-hop", &[]),
            ("connection", &[]),
            ("proxy-authorization", &[]),
            ("proxy-connection", &[]),
            ("te", &[]),
            // The client is on this machine.
            ("x-forwarded-for", &[]),
        ] {
            let found: Vec<_> =
                got.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
            assert_eq!(found, values, "{name} of {path}");
        }
        assert_eq!(got.headers.get_all("x-sentry-auth").iter().count(), 1, "{path}");
        assert_eq!(got.headers.get_all("x-sentry-extension-hop").iter().count(), 1, "{path}");
    }
    extension.terminate();
    let (_, log) = extension.ended().await;
    assert!(!log.contains(SECRET), "{}", log.text());
}

#[tokio::test]
async fn invalid_headers_in_the_settings_are_warned_of_and_set_nothing() {
    let recorder = Recorder::start().await;
    let setting =
        format!("Host: {SECRET}\nX-Good: 1\n{SECRET}\nX-Sentry-Auth: {SECRET}\r\nTransfer-Encoding: chunked");
    let (extension, address) =
        Extension::standalone(&recorder.url, &[("SENTRY_EXTENSION_HEADERS", &*setting)]).await;
    assert_eq!(send(address, Method::GET, "/api/0/x/", &[], "").await.status, 200);
    let got = recorder.arrived(1).await;
    assert_eq!(got.headers["x-good"], "1");
    assert_eq!(got.headers["host"], recorder.url.replace("http://", ""));
    assert!(!got.headers.contains_key("transfer-encoding") && !got.headers.contains_key("x-sentry-auth"));
    extension.terminate();
    let (_, log) = extension.ended().await;
    assert_eq!(log.text().matches("SENTRY_EXTENSION_HEADERS").count(), 4, "{}", log.text());
    assert!(!log.contains(SECRET), "{}", log.text());
}

#[tokio::test]
async fn a_client_name_cannot_smuggle_a_second_key() {
    let recorder = Recorder::start().await;
    let (_extension, address) = Extension::standalone(&recorder.url, &[]).await;
    let other = "ffffffffffffffffffffffffffffffff";
    for (at, client) in [
        format!("a%2C%20sentry_key%3D{other}"),
        format!("a%2Csentry_key={other}"),
        format!("a%0d%0aX-Sentry-Auth:%20Sentry%20sentry_key={other}"),
        format!("a%252Csentry_key%253D{other}"),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/api/42/envelope/?sentry_key={KEY}&sentry_client={client}");
        assert_eq!(send(address, Method::POST, &path, &[], ENVELOPE).await.status, 200, "{client}");
        let got = recorder.arrived(at + 1).await;
        let sent: Vec<_> = got.headers.get_all("x-sentry-auth").iter().collect();
        assert_eq!(sent, [&*format!("Sentry sentry_key={KEY}, sentry_version=7")], "{client}");
    }
}

#[tokio::test]
async fn a_request_that_is_passed_on_as_it_is_cannot_bring_a_second_key() {
    let recorder = Recorder::start().await;
    let (extension, address) = Extension::standalone(&recorder.url, &[]).await;
    let (auth, path) = (auth(), "/api/42/otlp/v1/traces");
    let other = "Sentry sentry_key=ffffffffffffffffffffffffffffffff";
    let two_lists = format!("{auth}, sentry_key=ffffffffffffffffffffffffffffffff");
    let tab = other.replacen(' ', "\t", 1);
    for headers in [
        &[("x-sentry-auth", &*auth), ("x-sentry-auth", other)][..],
        &[("x-sentry-auth", &*auth), ("authorization", other)],
        &[("x-sentry-auth", &*auth), ("authorization", &*tab)],
        &[("x-sentry-auth", &*two_lists)],
    ] {
        let answer = send(address, Method::POST, path, headers, "x").await;
        assert_eq!(answer.status, 401, "{headers:?}: {}", answer.body);
    }
    for second in ["sentry_key", "%73entry_key"] {
        let path = format!("{path}?sentry_key={KEY}&{second}=ffffffffffffffffffffffffffffffff");
        assert_eq!(send(address, Method::POST, &path, &[], "x").await.status, 401, "{path}");
    }
    // Some servers read underscores in names as hyphens.
    let aliases = [("x-sentry-auth", &*auth), ("x_sentry_auth", other), ("transfer_encoding", "chunked")];
    assert_eq!(send(address, Method::POST, path, &aliases, "x").await.status, 200);
    let got = recorder.arrived(1).await;
    assert!(!got.headers.keys().any(|name| name.as_str().contains('_')), "{:?}", got.headers);
    extension.terminate();
    assert_eq!(extension.final_counts().await, [1, 1, 0, 0]);
}
