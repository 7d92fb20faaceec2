//! Publishing zips that are too large for a request, through an S3 bucket.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{ARCHES, Dist},
    emulator::ministack,
    http,
    proxy::{Proxy, Verdict},
};

const REGION: &str = "eu-west-1";

pub fn s3_request(owner: &Account, method: &str, path: &str) -> http::Message {
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
fn a_stalled_upload_to_a_bucket_is_sent_again() {
    let owner = Account::new(ministack());
    let dist = Dist::large(53_000_000);
    let bucket = format!("stalls-{}", owner.key);
    assert_eq!(s3_request(&owner, "PUT", &format!("{bucket}-{REGION}")).status(), 200);
    let mut puts = 0;
    let proxy = Proxy::start(ministack().address(), move |seen| {
        let puts_object = seen.service == "s3" && seen.line.starts_with("PUT ");
        puts += usize::from(puts_object);
        if puts_object && puts == 1 { Verdict::Stall } else { Verdict::Forward }
    });
    let template = format!("{bucket}-{{region}}");
    let args = ["publish", "--execute", "--regions", REGION, "--timeout", "10", "--s3-bucket", &template];
    Publisher::at(&proxy.url(), &owner.key).run(&dist, &args).expect(0).says("2 published");
    let puts: Vec<_> = proxy.requests().into_iter().filter(|seen| seen.line.starts_with("PUT ")).collect();
    assert_eq!(puts.len(), ARCHES.len() + 1);
    for arch in ARCHES {
        // The signature covers the bytes themselves, as they are.
        let sha256 = Dist::hex_of_base64(&dist.code_sha256(arch));
        let of_arch = |head: &str| head.contains(&format!("x-amz-content-sha256: {sha256}\r\n"));
        let put = puts.iter().find(|seen| of_arch(&seen.head)).unwrap();
        let length = std::fs::metadata(dist.zip(arch)).unwrap().len();
        assert!(put.head.contains(&format!("content-length: {length}\r\n")), "{put:?}");
        assert!(!put.head.contains("aws-chunked"), "{put:?}");
    }
}

#[test]
fn only_zips_too_large_for_a_request_go_through_the_bucket() {
    let owner = Account::new(ministack());
    let dist = Dist::new("relay over 50 MB").with_relay(54_000_000, &["python3.14"]);
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let args = ["publish", "--execute", "--regions", REGION];
    let run = publisher.run(&dist, &args).expect(1);
    run.says("the arm64 with Relay zip has 54").says("--s3-bucket 'layers-{region}'").says("--kind plain");
    assert!(proxy.requests().is_empty(), "a request was sent before the refusal");

    let bucket = format!("layers-{}-{REGION}", owner.key);
    assert_eq!(s3_request(&owner, "PUT", &bucket).status(), 200);
    let template = format!("layers-{}-{{region}}", owner.key);
    let with = [args.as_slice(), &["--kind", "relay", "--s3-bucket", &template]].concat();
    publisher.run(&dist, &with).expect(0).says("2 published");
    let puts = || proxy.requests().iter().filter(|s| s.service == "s3" && s.line.starts_with("PUT ")).count();
    assert_eq!(puts(), 2);
    for arch in ARCHES {
        let layer = format!("SentryLambdaExtensionRelay-{arch}");
        assert_eq!(owner.copies(REGION, &layer, &dist.relay_code_sha256(arch)), [1], "{arch}");
        // A layer version from a bucket has the same fields as one from a request.
        let (_, version) = owner.get(REGION, &format!("layers/{layer}/versions/1"));
        assert_eq!(version["CompatibleRuntimes"], serde_json::json!(["python3.14"]), "{version}");
        assert!(owner.versions(REGION, &format!("SentryLambdaExtension-{arch}")).is_empty());
    }
    publisher
        .run(&dist, &[args.as_slice(), &["--s3-bucket", &template]].concat())
        .expect(0)
        .says("2 published");
    assert_eq!(puts(), 2, "a plain zip was uploaded to the bucket");
    publisher.run(&dist, &["verify", "--download"]).expect(0).says("4 layer versions");
}

#[test]
fn a_zip_of_120_megabytes_needs_a_bucket() {
    let owner = Account::new(ministack());
    let dist = Dist::large(120_000_000);
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let args = ["publish", "--execute", "--regions", REGION];
    let run = publisher.run(&dist, &args).expect(1);
    run.says("at most 52428800 in the request").says("--s3-bucket 'layers-{region}'");
    assert!(proxy.requests().is_empty(), "a request was sent before the refusal");

    let template = format!("layers-{}-{{region}}", owner.key);
    let with = [args.as_slice(), &["--s3-bucket", &template]].concat();
    let run = publisher.run(&dist, &with).expect(1);
    run.says(&format!("there is no bucket `layers-{}-eu-west-1` in eu-west-1", owner.key))
        .says("nothing was written");
    assert!(proxy.requests().iter().all(|seen| !seen.publishes() && !seen.line.starts_with("PUT ")));

    let bucket = format!("layers-{}-{REGION}", owner.key);
    assert_eq!(s3_request(&owner, "PUT", &bucket).status(), 200);
    publisher.run(&dist, &with).expect(0);
    for arch in ARCHES {
        let layer = format!("SentryLambdaExtension-{arch}");
        assert_eq!(owner.copies(REGION, &layer, &dist.code_sha256(arch)), [1], "{arch}");
    }
    let seen = proxy.requests();
    let puts = seen.iter().filter(|seen| seen.service == "s3" && seen.line.starts_with("PUT ")).count();
    assert_eq!(puts, 2, "one for each architecture");
    let list =
        || String::from_utf8(s3_request(&owner, "GET", &format!("{bucket}?list-type=2")).body).unwrap();
    assert!(!list().contains("<Key>"), "{}", list());
    publisher.run(&dist, &with).expect(0).says("nothing to do");
    publisher.run(&dist, &["verify", "--download"]).expect(0);
    let puts = proxy.requests().iter().filter(|seen| seen.line.starts_with("PUT ")).count();
    assert_eq!(puts, 2, "a published zip was uploaded again");
}
