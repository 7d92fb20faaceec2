//! `publisher image --push` to registries that ask who pushes.

use crate::support::{
    cli::{Publisher, Run},
    dist::Dist,
    http::Message,
    image_registry::{Front, ImageRegistry, PASSWORD, Reply, USER, line},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt};

fn basic() -> String {
    STANDARD.encode(format!("{USER}:{PASSWORD}"))
}

fn push(publisher: &Publisher, address: &str) -> Run {
    publisher.run(&Dist::new("sign in"), &["image", "--push", &format!("{address}/x")])
}

/// A publisher whose `config.json` holds this for the registry.
fn with_auth(address: &str, auth: &serde_json::Value) -> Publisher {
    let publisher = Publisher::new();
    publisher.home_file(".docker/config.json", &json!({"auths": {address: auth}}).to_string());
    publisher
}

#[track_caller]
fn is_secret(run: &Run) {
    let all = format!("{}{}", run.stdout, run.stderr);
    assert!(!all.contains(PASSWORD) && !all.contains(&basic()), "{all}");
}

#[test]
fn a_password_comes_from_the_file_that_docker_login_writes() {
    let registry = ImageRegistry::with_password();
    let address = registry.address();
    let run = push(&Publisher::new(), address).expect(1);
    is_secret(&run);
    run.says("does not let you push (401)").says("docker login");
    push(&with_auth("other.example.com", &json!({"auth": basic()})), address).expect(1);
    let wrong = push(&with_auth(address, &json!({"auth": STANDARD.encode("team:wrong")})), address).expect(1);
    wrong.says("does not let you push (401)");
    let run = push(&with_auth(address, &json!({"auth": basic()})), address).expect(0);
    is_secret(&run);
    run.says("7 sent");

    let folder = tempfile::tempdir().unwrap();
    let config = json!({"auths": {format!("http://{address}/v2/"): {"auth": basic()}}});
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let elsewhere = Publisher::new().env("DOCKER_CONFIG", folder.path().to_str().unwrap());
    push(&elsewhere, address).expect(0).says("7 were there");
    fs::write(folder.path().join("config.json"), "{").unwrap();
    push(&elsewhere, address).expect(1).says("is not a configuration of Docker").says("DOCKER_CONFIG");
}

/// A publisher whose `config.json` names a helper with this script.
fn with_helper(config: &serde_json::Value, script: &str) -> Publisher {
    let publisher = Publisher::new();
    publisher.home_file(".docker/config.json", &config.to_string());
    publisher.home_file("bin/docker-credential-test", script);
    let helper = publisher.home_path("bin/docker-credential-test");
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", helper.parent().unwrap().display(), std::env::var("PATH").unwrap());
    publisher.env("PATH", &path)
}

#[test]
fn a_credential_helper_is_asked() {
    let registry = ImageRegistry::with_password();
    let address = registry.address();
    let answer = json!({"ServerURL": address, "Username": USER, "Secret": PASSWORD});
    let script = format!(
        "#!/bin/sh\nread server\n[ \"$1 $server\" = 'get {address}' ] || exit 9\ncat <<'EOF'\n{answer}\nEOF\n"
    );
    for config in [json!({"credHelpers": {address: "test"}}), json!({"credsStore": "test"})] {
        let run = push(&with_helper(&config, &script), address).expect(0);
        is_secret(&run);
    }
    // A helper for another registry is not asked.
    let config = json!({"credHelpers": {"ghcr.io": "test"}, "auths": {address: {"auth": basic()}}});
    push(&with_helper(&config, "#!/bin/sh\nexit 1\n"), address).expect(0);
    // A helper that knows nothing leaves it to the file.
    let config = json!({"credsStore": "test", "auths": {address: {"auth": basic()}}});
    let nothing = "#!/bin/sh\necho credentials not found in native keychain\nexit 1\n";
    push(&with_helper(&config, nothing), address).expect(0);

    let config = json!({"credsStore": "test"});
    let broken = push(&with_helper(&config, "#!/bin/sh\necho the keychain is locked\nexit 1\n"), address);
    broken.expect(1).says("docker-credential-test failed: the keychain is locked");
    let odd = push(&with_helper(&config, "#!/bin/sh\necho '{\"Secret\": \"U*U\"}'\n"), address).expect(1);
    is_secret(&odd);
    odd.says("docker-credential-test did not answer with credentials");
    let missing = Publisher::new();
    missing.home_file(".docker/config.json", &json!({"credsStore": "nowhere"}).to_string());
    push(&missing, address).expect(1).says("docker-credential-nowhere").says("cannot be run");
    missing.home_file(".docker/config.json", &json!({"credsStore": "../../bin/x"}).to_string());
    push(&missing, address).expect(1).says("odd name");
}

/// A registry that asks for a token, which its own server gives to those that `is_known` accepts.
fn with_tokens(registry: &ImageRegistry, is_known: fn(&Message) -> bool) -> Front {
    Front::new(registry, move |request, _| {
        let host = request.header("host").unwrap().to_owned();
        if line(request).contains(" /token") {
            if !is_known(request) {
                return Reply::Answer(
                    401,
                    String::new(),
                    r#"{"errors": [{"code": "UNAUTHORIZED"}]}"#.to_owned(),
                );
            }
            return Reply::Answer(
                200,
                String::new(),
                r#"{"access_token": "a.token-of.the_test"}"#.to_owned(),
            );
        }
        if request.header("authorization") == Some("Bearer a.token-of.the_test") {
            return Reply::Forward;
        }
        let challenge = format!(
            "www-authenticate: Bearer realm=\"http://{host}/token\",service=\"the test\",\
             scope=\"repository:x:pull\"\r\n"
        );
        Reply::Answer(401, challenge, String::new())
    })
}

#[test]
fn a_token_is_fetched_for_a_password() {
    let registry = ImageRegistry::open();
    let front = with_tokens(&registry, |request| {
        request.header("authorization") == Some(format!("Basic {}", basic()).as_str())
    });
    let run = push(&with_auth(front.address(), &json!({"auth": basic()})), front.address()).expect(0);
    is_secret(&run);
    run.says("7 sent");
    let tokens = front.requests(" /token");
    assert_eq!(tokens.len(), 1, "one token is enough for a push");
    let asked = line(&tokens[0]);
    assert!(
        asked.contains("scope=repository%3Ax%3Apull%2Cpush") && asked.contains("service=the%20test"),
        "{asked}"
    );
    let refused = push(&Publisher::new(), front.address()).expect(1);
    refused.says("/token does not let you push (401)").says("docker login");
}

#[test]
fn a_token_is_fetched_by_anybody_or_for_an_identity_token() {
    let registry = ImageRegistry::open();
    let open = with_tokens(&registry, |request| request.header("authorization").is_none());
    push(&Publisher::new(), open.address()).expect(0);

    let front = with_tokens(&registry, |request| {
        let form = String::from_utf8_lossy(&request.body).into_owned();
        line(request).starts_with("POST ")
            && form.contains("grant_type=refresh_token")
            && form.contains("refresh_token=an%2Bidentity")
            && form.contains("scope=repository%3Ax%3Apull%2Cpush")
    });
    let auth = json!({"auth": "", "identitytoken": "an+identity"});
    push(&with_auth(front.address(), &auth), front.address()).expect(0);
}

#[test]
fn a_password_is_not_sent_where_others_could_read_it() {
    let registry = ImageRegistry::open();
    let front = Front::new(&registry, |_, _| {
        let challenge = "www-authenticate: Bearer realm=\"http://198.51.100.1/token\"\r\n";
        Reply::Answer(401, challenge.to_owned(), String::new())
    });
    let run = push(&with_auth(front.address(), &json!({"auth": basic()})), front.address()).expect(1);
    run.says("http://198.51.100.1/token, which is not encrypted");
    let front = Front::new(&registry, |_, _| {
        Reply::Answer(401, "www-authenticate: Negotiate\r\n".to_owned(), String::new())
    });
    push(&Publisher::new(), front.address()).expect(1).says("not known here: Negotiate");
}
