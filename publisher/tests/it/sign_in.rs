//! Each reason why signing in fails has its own error, which names the command that helps.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::Dist,
    emulator::ministack,
    proxy::{Proxy, SeenRequest, Verdict},
    tls::TestTls,
    tls_proxy,
};
use serde_json::json;
use sha2::{Digest, Sha256};

const REGION: &str = "eu-west-1";
const ARGS: [&str; 3] = ["publish", "--regions", REGION];

#[test]
fn a_profile_without_a_sign_in_is_refused_with_the_command() {
    let dist = Dist::new("signed out");
    let config = "[profile sso]\nsso_session = team\nsso_account_id = 123456789012\nsso_role_name = Publisher\n\
                  [sso-session team]\nsso_region = eu-west-1\nsso_start_url = https://team.awsapps.com/start\n\
                  [profile old]\nsso_region = eu-west-1\nsso_start_url = https://team.awsapps.com/start\n\
                  sso_account_id = 123456789012\nsso_role_name = Publisher\n\
                  [profile chained]\nrole_arn = arn:aws:iam::123456789012:role/Publisher\nsource_profile = sso\n";
    let publisher = Publisher::new().env("AWS_ENDPOINT_URL", &ministack().url());
    publisher.home_file(".aws/config", config);
    for (profile, signs_in) in [("sso", "sso"), ("old", "old"), ("chained", "sso")] {
        let run = publisher.run(&dist, &[&ARGS[..], &["--profile", profile]].concat()).expect(1);
        run.says("no user is signed in").says(&format!("aws sso login --profile {signs_in}\n"));
    }
}

#[test]
fn an_error_that_a_sign_in_cannot_fix_is_not_reported_as_signed_out() {
    let dist = Dist::new("signed in");
    let refused = Proxy::start(ministack().address(), |seen| match seen.line.as_str() {
        line if line.starts_with("GET /federation/credentials") => {
            let message = json!({"__type": "ForbiddenException", "message": "No access"});
            Verdict::Answer(403, message.to_string())
        }
        _ => Verdict::Forward,
    });
    let publisher = Publisher::new().env("AWS_ENDPOINT_URL", &refused.url());
    let config = "[profile sso]\nsso_session = team\nsso_account_id = 123456789012\nsso_role_name = Publisher\n\
                  [sso-session team]\nsso_region = eu-west-1\nsso_start_url = https://team.awsapps.com/start\n";
    publisher.home_file(".aws/config", config);
    let token = |expires: &str| json!({"accessToken": "token", "expiresAt": expires}).to_string();
    // The name of the file is the SHA-1 of `team`.
    let cache = ".aws/sso/cache/d25187dc137f35c88bc80ec8c3ffbdb17b5eb873.json";
    let run = |expires: &str| {
        publisher.home_file(cache, &token(expires));
        publisher.run(&dist, &[&ARGS[..], &["--profile", "sso"]].concat()).expect(1)
    };
    run("2020-01-01T00:00:00Z").says("no user is signed in").says("aws sso login --profile sso\n");
    // The user is signed in, but may not assume the role.
    let run = run("2120-01-01T00:00:00Z").says("No access").says("cannot load AWS credentials");
    assert!(!run.stderr.contains("no user is signed in"), "{run:?}");
}

#[test]
fn the_session_of_aws_login_signs_in() {
    let owner = Account::new(ministack());
    let dist = Dist::new("login");
    let publisher = Publisher::new().env("AWS_ENDPOINT_URL", &ministack().url());
    let session = "arn:aws:iam::123456789012:user/Admin";
    publisher.home_file(".aws/config", &format!("[profile console]\nlogin_session = {session}\n"));
    let args = [&ARGS[..], &["--profile", "console"]].concat();
    let run = publisher.run(&dist, &args).expect(1).says("no user is signed in");
    run.says("aws login --profile console\n");
    let token = json!({
        "accessToken": {
            "accessKeyId": owner.key, "secretAccessKey": "x", "sessionToken": "x", "accountId": owner.key,
            "expiresAt": "2120-01-01T00:00:00Z"
        },
        "tokenType": "aws_sigv4", "refreshToken": "x", "clientId": "arn:aws:signin:::devtools/same-device",
        "dpopKey": "x"
    });
    let name = hex(&Sha256::digest(session));
    publisher.home_file(&format!(".aws/login/cache/{name}.json"), &token.to_string());
    publisher.run(&dist, &args).expect(0).says(&format!("{} (aws)", owner.key)).says("2 publish");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

#[test]
fn over_tls_only_certificates_from_the_ca_bundle_are_trusted() {
    let owner = Account::new(ministack());
    let dist = Dist::new("tls");
    let (tls, other) = (TestTls::new(), TestTls::new());
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let url = tls_proxy::start(&tls, proxy.url().trim_start_matches("http://"));
    let user = || Publisher::at(&url, &owner.key);
    let path = |tls: &TestTls| tls.ca_file().to_str().unwrap().to_owned();
    let bundle = path(&tls);
    for untrusting in [user(), user().env("AWS_CA_BUNDLE", &path(&other))] {
        let run = untrusting.run(&dist, &ARGS).expect(1).says("cannot reach AWS at https://");
        run.says("certificate").says("AWS_CA_BUNDLE");
    }
    assert!(proxy.requests().is_empty(), "it is not even asked");
    // The variable wins over the profile.
    for (named, of_profile) in [(Some(&bundle), path(&other)), (None, bundle.clone())] {
        let mut user = user();
        if let Some(bundle) = named {
            user = user.env("AWS_CA_BUNDLE", bundle);
        }
        user.home_file(".aws/config", &format!("[default]\nca_bundle = {of_profile}\n"));
        user.run(&dist, &[&ARGS[..], &["--execute"]].concat()).expect(0);
        user.run(&dist, &["verify"]).expect(0);
    }
    assert!(proxy.requests().iter().any(SeenRequest::publishes));
}

#[test]
fn a_token_of_the_global_endpoint_is_told_apart_from_a_disabled_region() {
    let owner = Account::new(ministack());
    let dist = Dist::new("global token");
    let proxy = Proxy::start(ministack().address(), |seen| {
        if seen.region == "af-south-1" && seen.service == "lambda" {
            let message = "The security token included in the request is invalid.";
            let body = json!({"__type": "UnrecognizedClientException", "message": message});
            return Verdict::Answer(403, body.to_string());
        }
        Verdict::Forward
    });
    let args = ["publish", "--execute", "--regions", "af-south-1,eu-west-1"];
    let token = |user: Publisher| user.env("AWS_SESSION_TOKEN", "of the global endpoint");
    // The account's list says that the region is enabled.
    let run = token(Publisher::at(&proxy.url(), &owner.key)).run(&dist, &args).expect(3);
    let run = run.says("the region is enabled, but does not accept these temporary credentials");
    let run = run.says("--global-endpoint-token-version v2Token").says("AWS_STS_REGIONAL_ENDPOINTS=regional");
    assert!(!run.stderr.contains("not enabled in this account"), "{run:?}");
    // Permanent keys have no endpoint.
    let run = Publisher::at(&proxy.url(), &owner.key).run(&dist, &args).expect(3);
    let run = run.says("the region is not enabled in this account, or not yet");
    assert!(!run.stderr.contains("temporary"), "{run:?}");
    // If it is unknown whether the region is enabled, the error names both causes.
    let unlisted =
        Proxy::start(proxy.url().trim_start_matches("http://"), |seen| match seen.service.as_str() {
            "account" => Verdict::error(403, "AccessDeniedException"),
            _ => Verdict::Forward,
        });
    let run = token(Publisher::at(&unlisted.url(), &owner.key)).run(&dist, &args).expect(3);
    run.says("the region is not enabled in this account, or does not accept these temporary credentials");
}

#[test]
fn a_ca_bundle_that_cannot_be_read_is_named() {
    let owner = Account::new(ministack());
    let dist = Dist::new("bundle");
    let user = || Publisher::at(&ministack().url(), &owner.key);
    user()
        .env("AWS_CA_BUNDLE", "/nowhere.pem")
        .run(&dist, &ARGS)
        .expect(1)
        .says("/nowhere.pem, which AWS_CA_BUNDLE");
    let zip = dist.zip("arm64");
    let run = user().env("AWS_CA_BUNDLE", zip.to_str().unwrap()).run(&dist, &ARGS).expect(1);
    run.says("there is no certificate in");
    let of_profile = user();
    of_profile.home_file(".aws/config", "[default]\nca_bundle = /profile.pem\n");
    of_profile.run(&dist, &ARGS).expect(1).says("/profile.pem, which ca_bundle of the profile names");
}

#[test]
fn a_wrong_clock_is_told_apart_from_wrong_keys() {
    let owner = Account::new(ministack());
    let dist = Dist::new("clock");
    let said = "Signature expired: 20260101T000000Z is now earlier than 20260101T001500Z";
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.service == "sts" {
            let xml = format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>{said}</Message>\
                 </Error></ErrorResponse>"
            );
            Verdict::Answer(403, xml)
        } else {
            Verdict::Forward
        }
    });
    let run = Publisher::at(&proxy.url(), &owner.key).run(&dist, &ARGS).expect(1);
    let run = run.says("does not accept the time of this machine's clock").says("set the clock");
    assert!(!run.stderr.contains("wrong or expired"), "{run:?}");

    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.service == "lambda" {
            Verdict::Answer(403, json!({"__type": "InvalidSignatureException", "message": said}).to_string())
        } else {
            Verdict::Forward
        }
    });
    let run = Publisher::at(&proxy.url(), &owner.key).run(&dist, &ARGS).expect(3).says("Signature expired");
    assert!(!run.stderr.contains("not enabled"), "{run:?}");
}

#[test]
fn a_disabled_configured_region_does_not_prevent_signing_in() {
    let owner = Account::new(ministack());
    let dist = Dist::new("off");
    let off = "<ErrorResponse><Error><Code>InvalidClientTokenId</Code><Message>The security token included in the \
               request is invalid</Message></Error></ErrorResponse>";
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.region == "af-south-1" { Verdict::Answer(403, off.to_owned()) } else { Verdict::Forward }
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key).env("AWS_REGION", "af-south-1");
    publisher
        .run(&dist, &ARGS)
        .expect(0)
        .says("the region af-south-1 of AWS_REGION or of the profile is disabled");
    // Keys that no region accepts are wrong.
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.service == "sts" { Verdict::Answer(403, off.to_owned()) } else { Verdict::Forward }
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key).env("AWS_REGION", "af-south-1");
    publisher
        .run(&dist, &ARGS)
        .expect(1)
        .says("AWS does not accept these credentials")
        .says("wrong or expired");
}
