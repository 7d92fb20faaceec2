//! A layer version is granted only after the response and a read-back have shown that its bytes are the ones sent.

use crate::{
    publish_s3::s3_request,
    support::{
        account::Account,
        cli::Publisher,
        dist::{ARCHES, Dist, other_zip},
        emulator::ministack,
        proxy::{Proxy, SeenRequest, Verdict},
    },
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

const HEALTHY: &str = "eu-west-1";
const BROKEN: &str = "us-east-1";
const ARGS: [&str; 4] = ["publish", "--execute", "--regions", "eu-west-1,us-east-1"];

fn layer(arch: &str) -> String {
    format!("SentryLambdaExtension-{arch}")
}

/// Whether the request reads a layer version. Requests for its policy do not count.
fn reads_version(seen: &SeenRequest) -> bool {
    let number = seen.line.rsplit('/').next().is_some_and(|last| last.parse::<u32>().is_ok());
    seen.line.starts_with("GET ") && number
}

/// A publisher and a proxy that changes one kind of responses in the broken region while `broken` is true.
fn publisher_with_altered_responses(
    owner: &Account,
    broken: &Arc<AtomicBool>,
    kind: fn(&SeenRequest) -> bool,
    from: &[String],
    to: &str,
) -> (Publisher, Proxy) {
    let (broken, from, to) = (Arc::clone(broken), from.to_vec(), to.to_owned());
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.region != BROKEN || !kind(seen) || !broken.load(Ordering::SeqCst) {
            return Verdict::Forward;
        }
        let (from, to) = (from.clone(), to.clone());
        Verdict::ForwardAndRewrite(Box::new(move |body| {
            from.iter().fold(body, |body, from| body.replace(from, &to))
        }))
    });
    (Publisher::at(&proxy.url(), &owner.key), proxy)
}

fn publishes(proxy: &Proxy) -> usize {
    proxy.requests().iter().filter(|seen| seen.publishes() && seen.region == BROKEN).count()
}

/// Nothing in the broken region is granted or listed. The healthy region is finished.
fn assert_private(owner: &Account, dist: &Dist, proxy: &Proxy) {
    let granted = proxy.requests().iter().any(|seen| seen.grants() && seen.region == BROKEN);
    assert!(!granted, "a version with other bytes was granted");
    for arch in ARCHES {
        let policy = format!("layers/{}/versions/1/policy", layer(arch));
        assert_eq!((owner.get(HEALTHY, &policy).0, owner.get(BROKEN, &policy).0), (200, 404));
        let regions = dist.layers()["layers"][arch]["regions"].clone();
        assert_eq!(regions.as_object().unwrap().keys().collect::<Vec<_>>(), [HEALTHY]);
    }
}

#[test]
fn other_bytes_stay_private_and_are_published_again_only_on_request() {
    let owner = Account::new(ministack());
    let dist = Dist::new("other bytes in one region");
    let hashes = ARCHES.map(|arch| dist.code_sha256(arch));
    let broken = Arc::new(AtomicBool::new(true));
    let kind = |seen: &SeenRequest| seen.publishes() || reads_version(seen);
    let (publisher, proxy) =
        publisher_with_altered_responses(&owner, &broken, kind, &hashes, "b3RoZXIgYnl0ZXM=");
    let run = publisher.run(&dist, &ARGS).expect(1);
    let run =
        run.says("version 1 is not what was sent: CodeSha256 is b3RoZXIgYnl0ZXM=, expected").says(BROKEN);
    let run = run.says("left private").says("--publish-again");
    assert!(!run.stderr.contains("run the same command again"), "{}", run.stderr);
    assert_private(&owner, &dist, &proxy);

    // The version is not published again: the journal records it, and without a journal it is found in AWS.
    publisher.run(&dist, &ARGS).expect(1).says("--publish-again");
    std::fs::remove_file(dist.journal_file().unwrap()).unwrap();
    publisher.run(&dist, &ARGS).expect(1).says("version 1 is not what was sent");
    publisher.run(&dist, &ARGS[..1]).expect(1).says("version 1 is not what was sent");
    assert_eq!(publishes(&proxy), 2);
    assert_private(&owner, &dist, &proxy);

    // `--publish-again` publishes one more version. If that one is wrong too, each run publishes only one.
    let again = [ARGS.as_slice(), &["--publish-again"]].concat();
    publisher.run(&dist, &again).expect(1).says("version 2 is not what was sent");
    assert_eq!(publishes(&proxy), 4);
    broken.store(false, Ordering::SeqCst);
    publisher.run(&dist, &again).expect(0);
    publisher.run(&dist, &["verify"]).expect(0);
}

#[test]
fn a_layer_stays_private_if_aws_reports_other_values_than_were_sent() {
    type Kind = fn(&SeenRequest) -> bool;
    let cases: [(&str, Kind, &str, &str); 5] = [
        ("the answer's hash", SeenRequest::publishes, "CodeSha256", "CodeSha256 is"),
        ("the answer's size", SeenRequest::publishes, "CodeSize", "CodeSize is"),
        ("the answer's ARN", SeenRequest::publishes, "LayerVersionArn", "ARN is"),
        ("the size that is read", reads_version, "CodeSize", "CodeSize is"),
        ("the ARN that is read", reads_version, "LayerVersionArn", "ARN is"),
    ];
    for (name, kind, field, says) in cases {
        let owner = Account::new(ministack());
        let dist = Dist::new(name);
        let from: Vec<String> = match field {
            "CodeSha256" => ARCHES.map(|arch| dist.code_sha256(arch)).into(),
            "LayerVersionArn" => vec![format!(":{}:layer:", owner.key)],
            _ => ARCHES
                .map(|arch| format!("\"CodeSize\": {}", std::fs::metadata(dist.zip(arch)).unwrap().len()))
                .into(),
        };
        let to = match field {
            "CodeSha256" => "b3RoZXI=",
            "LayerVersionArn" => ":999999999999:layer:",
            _ => "\"CodeSize\": 7",
        };
        let broken = Arc::new(AtomicBool::new(true));
        let (publisher, proxy) = publisher_with_altered_responses(&owner, &broken, kind, &from, to);
        publisher.run(&dist, &ARGS).expect(1).says(says).says("not what was sent");
        assert_private(&owner, &dist, &proxy);
        let before = publishes(&proxy);
        publisher.run(&dist, &ARGS).expect(1);
        assert_eq!(publishes(&proxy), before, "{name}: it was published again");
        assert_private(&owner, &dist, &proxy);
        broken.store(false, Ordering::SeqCst);
        publisher.run(&dist, &[ARGS.as_slice(), &["--publish-again"]].concat()).expect(0);
        publisher.run(&dist, &["verify"]).expect(0);
    }
}

#[test]
fn other_bytes_found_after_a_lost_response_stay_private() {
    let owner = Account::new(ministack());
    let dist = Dist::new("lost and other bytes");
    let hashes = ARCHES.map(|arch| dist.code_sha256(arch));
    let proxy = Proxy::start(ministack().address(), move |seen| match seen {
        seen if seen.region == BROKEN && seen.publishes() => Verdict::ForwardAndCut,
        seen if seen.region == BROKEN && reads_version(seen) => {
            let hashes = hashes.clone();
            Verdict::ForwardAndRewrite(Box::new(move |body| {
                hashes.iter().fold(body, |body, hash| body.replace(hash, "b3RoZXI="))
            }))
        }
        _ => Verdict::Forward,
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    publisher.run(&dist, &ARGS).expect(1).says("version 1 is not what was sent");
    assert_eq!(publishes(&proxy), 2, "one for each architecture");
    assert_private(&owner, &dist, &proxy);
}

#[test]
fn other_bytes_with_the_releases_description_are_reported_as_granted() {
    let owner = Account::new(ministack());
    let dist = Dist::new("public and wrong");
    let hex = Dist::hex_of_base64(&dist.code_sha256("arm64"));
    let description = format!("sha256 {}", &hex[..16]);
    owner.publish(HEALTHY, &layer("arm64"), "arm64", &other_zip("wrong"), &description);
    let body = serde_json::json!({
        "StatementId": "public", "Action": "lambda:GetLayerVersion", "Principal": "*"
    });
    let path = format!("layers/{}/versions/1/policy", layer("arm64"));
    assert_eq!(owner.lambda(HEALTHY, "POST", &path, &body).0, 201);
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let args = ["publish", "--execute", "--regions", HEALTHY];
    publisher
        .run(&dist, &args)
        .expect(1)
        .says("it is granted: public")
        .says("remove the version's permissions");
    assert_eq!(owner.versions(HEALTHY, &layer("arm64")), [1]);
}

#[test]
fn the_bucket_must_belong_to_the_account_and_hold_the_zip() {
    let owner = Account::new(ministack());
    let dist = Dist::large(53_000_000);
    let bucket = format!("proven-{}-{HEALTHY}", owner.key);
    assert_eq!(s3_request(&owner, "PUT", &bucket).status(), 200);
    // An object of the right length, but with other bytes, takes the place of the zip.
    let template = format!("proven-{}-{{region}}", owner.key);
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let key = |arch: &str| {
        format!(
            "{bucket}/sentry-lambda-extension/{arch}-{}.zip",
            Dist::hex_of_base64(&dist.code_sha256(arch))
        )
    };
    for arch in ARCHES {
        let length = std::fs::metadata(dist.zip(arch)).unwrap().len();
        let content = vec![b'x'; usize::try_from(length).unwrap()];
        let path = format!("/{}", key(arch));
        let put = owner.call("s3", HEALTHY, "PUT", &path, "application/octet-stream", &content);
        assert_eq!(put.status(), 200);
    }
    let args = ["publish", "--execute", "--regions", HEALTHY, "--s3-bucket", &template];
    publisher.run(&dist, &args).expect(0);
    for arch in ARCHES {
        assert_eq!(owner.copies(HEALTHY, &layer(arch), &dist.code_sha256(arch)), [1]);
    }
    let to_s3: Vec<SeenRequest> = proxy.requests().into_iter().filter(|seen| seen.service == "s3").collect();
    assert!(to_s3.len() >= 6, "look, put and remove, for both: {to_s3:?}");
    for seen in to_s3 {
        let expected = format!("x-amz-expected-bucket-owner: {}", owner.key);
        assert!(seen.head.to_lowercase().contains(&expected), "{}", seen.head);
    }
}
