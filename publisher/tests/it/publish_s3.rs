//! Zips that are too large for a request.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{ARCHES, Dist},
    emulator::ministack,
    http,
    proxy::{Proxy, Verdict},
};

const REGION: &str = "eu-west-1";

pub fn s3(owner: &Account, method: &str, path: &str) -> http::Message {
    let address = ministack().address();
    let body = format!(
        "<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
    );
    let body = if method == "PUT" { body.as_bytes() } else { b"" };
    let head = format!(
        "{method} /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\
         authorization: AWS4-HMAC-SHA256 Credential={}/20260101/{REGION}/s3/aws4_request, \
         SignedHeaders=host, Signature=0\r\n\r\n",
        body.len(),
        owner.key
    );
    http::exchange(address, &head, body).unwrap()
}

#[test]
fn an_upload_to_a_bucket_that_no_longer_moves_is_sent_again() {
    let owner = Account::new(ministack());
    let dist = Dist::large(53_000_000);
    let bucket = format!("stalls-{}", owner.key);
    assert_eq!(s3(&owner, "PUT", &format!("{bucket}-{REGION}")).status(), 200);
    let mut puts = 0;
    let proxy = Proxy::start(ministack().address(), move |seen| {
        let puts_object = seen.service == "s3" && seen.line.starts_with("PUT ");
        puts += usize::from(puts_object);
        if puts_object && puts == 1 { Verdict::Stall } else { Verdict::Forward }
    });
    let template = format!("{bucket}-{{region}}");
    let args = ["publish", "--execute", "--regions", REGION, "--timeout", "10", "--s3-bucket", &template];
    Publisher::at(&proxy.url(), &owner.key).run(&dist, &args).expect(0).says("2 published");
    let puts = proxy.requests().iter().filter(|seen| seen.line.starts_with("PUT ")).count();
    assert_eq!(puts, ARCHES.len() + 1);
}

#[test]
fn only_the_layers_with_relay_take_the_way_that_only_they_need() {
    let owner = Account::new(ministack());
    let dist = Dist::new("relay over 50 MB").with_relay(54_000_000, &["python3.14"]);
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let args = ["publish", "--execute", "--regions", REGION];
    let run = publisher.run(&dist, &args).expect(1);
    run.says("the arm64 with Relay zip has 54").says("--s3-bucket 'layers-{region}'").says("--kind plain");
    assert!(proxy.requests().is_empty(), "it was refused before anybody was asked");

    let bucket = format!("layers-{}-{REGION}", owner.key);
    assert_eq!(s3(&owner, "PUT", &bucket).status(), 200);
    let template = format!("layers-{}-{{region}}", owner.key);
    let with = [args.as_slice(), &["--kind", "relay", "--s3-bucket", &template]].concat();
    publisher.run(&dist, &with).expect(0).says("2 published");
    let puts = || proxy.requests().iter().filter(|s| s.service == "s3" && s.line.starts_with("PUT ")).count();
    assert_eq!(puts(), 2);
    for arch in ARCHES {
        let layer = format!("SentryLambdaExtensionRelay-{arch}");
        assert_eq!(owner.copies(REGION, &layer, &dist.relay_code_sha256(arch)), [1], "{arch}");
        // What comes from a bucket says what the request would have said.
        let (_, version) = owner.get(REGION, &format!("layers/{layer}/versions/1"));
        assert_eq!(version["CompatibleRuntimes"], serde_json::json!(["python3.14"]), "{version}");
        assert!(owner.versions(REGION, &format!("SentryLambdaExtension-{arch}")).is_empty());
    }
    publisher
        .run(&dist, &[args.as_slice(), &["--s3-bucket", &template]].concat())
        .expect(0)
        .says("2 published");
    assert_eq!(puts(), 2, "the plain ones come with the request");
    publisher.run(&dist, &["verify", "--download"]).expect(0).says("4 layer versions");
}

#[test]
fn a_zip_of_120_megabytes_goes_through_a_bucket_or_not_at_all() {
    let owner = Account::new(ministack());
    let dist = Dist::large(120_000_000);
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let args = ["publish", "--execute", "--regions", REGION];
    let run = publisher.run(&dist, &args).expect(1);
    run.says("at most 52428800 with the request").says("--s3-bucket 'layers-{region}'");
    assert!(proxy.requests().is_empty(), "it was refused before anybody was asked");

    let template = format!("layers-{}-{{region}}", owner.key);
    let with = [args.as_slice(), &["--s3-bucket", &template]].concat();
    let run = publisher.run(&dist, &with).expect(1);
    run.says(&format!("there is no bucket `layers-{}-eu-west-1` in eu-west-1", owner.key))
        .says("nothing was written");
    assert!(proxy.requests().iter().all(|seen| !seen.publishes() && !seen.line.starts_with("PUT ")));

    let bucket = format!("layers-{}-{REGION}", owner.key);
    assert_eq!(s3(&owner, "PUT", &bucket).status(), 200);
    publisher.run(&dist, &with).expect(0);
    for arch in ARCHES {
        let layer = format!("SentryLambdaExtension-{arch}");
        assert_eq!(owner.copies(REGION, &layer, &dist.code_sha256(arch)), [1], "{arch}");
    }
    let seen = proxy.requests();
    let puts = seen.iter().filter(|seen| seen.service == "s3" && seen.line.starts_with("PUT ")).count();
    assert_eq!(puts, 2, "one for each architecture");
    let list = || String::from_utf8(s3(&owner, "GET", &format!("{bucket}?list-type=2")).body).unwrap();
    assert!(!list().contains("<Key>"), "{}", list());
    publisher.run(&dist, &with).expect(0).says("nothing to do");
    publisher.run(&dist, &["verify", "--download"]).expect(0);
    let puts = proxy.requests().iter().filter(|seen| seen.line.starts_with("PUT ")).count();
    assert_eq!(puts, 2, "what is published is not brought again");
}
