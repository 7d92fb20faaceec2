//! Each reason why signing in fails has its own error, which names the command that helps.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::Dist,
    emulator::ministack,
    proxy::{Proxy, Verdict},
};
use serde_json::json;

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
        run.says("nobody is signed in").says(&format!("aws sso login --profile {signs_in}\n"));
    }
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
        .says("the region af-south-1 of AWS_REGION or of the profile is switched off");
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
