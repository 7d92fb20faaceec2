//! Requests that AWS refuses, and would refuse again.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::Dist,
    emulator::ministack,
    proxy::{Proxy, SeenRequest, Verdict},
};
use serde_json::json;

const REGION: &str = "eu-west-1";
const NEW: &str = "ap-southeast-7";

fn refusal(code: &str, message: &str, status: u16) -> Verdict {
    Verdict::Answer(status, json!({"__type": code, "Type": "User", "message": message}).to_string())
}

fn layer_of(seen: &SeenRequest) -> String {
    seen.line.split('/').rev().nth(1).unwrap_or_default().to_owned()
}

#[test]
fn a_region_without_architectures_gets_x86_64_without_the_field_and_is_complete() {
    let owner = Account::new(ministack());
    let dist = Dist::new("no architectures").with_relay(1000, &["python3.14"]);
    let mut asked = std::collections::HashMap::<String, usize>::new();
    // The emulator accepts the field. So the proxy refuses the first request for each layer, as AWS refuses requests
    // with the field. The stored layer version shows that the second request has no such field.
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.region != NEW || !seen.publishes() {
            return Verdict::Forward;
        }
        let count = asked.entry(layer_of(seen)).or_default();
        *count += 1;
        if *count > 1 && layer_of(seen).ends_with("x86_64") {
            return Verdict::Forward;
        }
        let text = format!(
            "CompatibleArchitectures are not supported in {NEW}. Please remove the CompatibleArchitectures value \
             from your request and try again"
        );
        refusal("InvalidParameterValueException", &text, 400)
    });
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let regions = format!("{REGION},{NEW}");
    let args = ["publish", "--execute", "--regions", &regions];
    let run = publisher.run(&dist, &args).expect(0).says("6 published, 2 left out");
    let line = run.stdout.lines().find(|line| line.starts_with(NEW) && line.contains(" arm64 ")).unwrap();
    assert!(line.contains("left out") && line.contains("only x86_64"), "{line}");
    let tries = |layer: &str| {
        proxy.requests().iter().filter(|s| s.publishes() && s.region == NEW && layer_of(s) == layer).count()
    };
    for kind in ["", "Relay"] {
        let name = |arch: &str| format!("SentryLambdaExtension{kind}-{arch}");
        let (_, version) = owner.get(NEW, &format!("layers/{}/versions/1", name("x86_64")));
        let field = version["CompatibleArchitectures"].as_array().cloned().unwrap_or_default();
        assert!(field.is_empty(), "{version}");
        assert_eq!((tries(&name("x86_64")), tries(&name("arm64"))), (2, 1));
        assert!(owner.versions(NEW, &name("arm64")).is_empty());
    }
    let of = |arch: &str| dist.layers()["layers"][arch]["regions"].as_object().unwrap().len();
    assert_eq!((of("arm64"), of("x86_64")), (1, 2));
    publisher.run(&dist, &["verify"]).expect(0);
    // The next run recognises the layer version although it names no architecture.
    publisher.run(&dist, &args).expect(0).says("6 adopted, 2 left out");
}

#[test]
fn a_permanent_refusal_is_not_suggested_to_be_run_again() {
    type Kind = fn(&SeenRequest) -> bool;
    let organization = "User: arn:aws:sts::123456789012:assumed-role/release/x is not authorized to perform: \
        lambda:PublishLayerVersion on resource: y with an explicit deny in a service control policy";
    let cases: [(&str, u16, &str, Kind, &str); 6] = [
        (
            "RequestEntityTooLargeException",
            413,
            "Request must be smaller than 70167211 bytes for the PublishLayerVersion operation",
            SeenRequest::publishes,
            "--s3-bucket",
        ),
        ("", 413, "<html>413 Request Entity Too Large</html>", SeenRequest::publishes, "--s3-bucket"),
        (
            "CodeStorageExceededException",
            400,
            "Code storage limit exceeded.",
            SeenRequest::publishes,
            "publisher prune",
        ),
        (
            "PolicyLengthExceededException",
            400,
            "The final policy size (20595) is bigger than the limit (20480).",
            SeenRequest::grants,
            "name fewer accounts",
        ),
        ("AccessDeniedException", 403, organization, SeenRequest::publishes, "organization's policy"),
        (
            "InvalidParameterValueException",
            400,
            "1 validation error detected: Value 'x' at 'licenseInfo' failed to satisfy constraint",
            SeenRequest::publishes,
            "AWS rejects the request itself",
        ),
    ];
    for (code, status, message, kind, says) in cases {
        let owner = Account::new(ministack());
        let dist = Dist::new(message);
        let proxy = Proxy::start(ministack().address(), move |seen| {
            if seen.region == NEW && kind(seen) { refusal(code, message, status) } else { Verdict::Forward }
        });
        let publisher = Publisher::at(&proxy.url(), &owner.key);
        let regions = format!("{REGION},{NEW}");
        let run = publisher.run(&dist, &["publish", "--execute", "--regions", &regions]).expect(3).says(says);
        assert!(!run.stderr.contains("run the same command again"), "{}", run.stderr);
        assert_eq!(owner.versions(REGION, "SentryLambdaExtension-arm64"), [1], "{code}: the other is done");
        let asked = proxy.requests().iter().filter(|seen| seen.region == NEW && kind(seen)).count();
        assert_eq!(asked, 2, "{code}: once for each architecture");
    }
}

fn accounts(count: u64) -> String {
    (0..count).map(|n| (700_000_000_000 + n).to_string()).collect::<Vec<_>>().join(",")
}

#[test]
fn too_many_accounts_are_refused_before_any_request_and_the_largest_possible_number_is_granted() {
    let owner = Account::new(ministack());
    let dist = Dist::new("accounts");
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &owner.key);
    let publish = |count| {
        publisher.run(&dist, &["publish", "--execute", "--regions", REGION, "--share-with", &accounts(count)])
    };
    let run = publish(120).expect(1).says("120 grants do not fit").says("--share-with o-");
    assert!(proxy.requests().is_empty(), "it was refused before anybody was asked");
    let (_, behind) = run.stderr.split_once("name at most ").unwrap();
    let fit: u64 = behind.split(' ').next().unwrap().parse().unwrap();
    assert!((80..120).contains(&fit), "{fit}");
    publish(fit).expect(0);
    for arch in ["arm64", "x86_64"] {
        let (_, answer) =
            owner.get(REGION, &format!("layers/SentryLambdaExtension-{arch}/versions/1/policy"));
        let policy: serde_json::Value = serde_json::from_str(answer["Policy"].as_str().unwrap()).unwrap();
        assert_eq!(policy["Statement"].as_array().unwrap().len() as u64, fit);
        assert!(policy.to_string().len() <= 20_480, "{}", policy.to_string().len());
    }
    publisher.run(&dist, &["verify"]).expect(0);
}

#[test]
fn a_policy_without_room_is_refused_before_anything_is_published() {
    let owner = Account::new(ministack());
    let dist = Dist::new("a long policy");
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    publisher.run(&dist, &["publish", "--execute", "--regions", REGION, "--share-with", "private"]).expect(0);
    let path = "layers/SentryLambdaExtension-arm64/versions/1/policy";
    for n in 0..90_u64 {
        let body = json!({
            "StatementId": format!("a-statement-of-somebody-elses-with-a-long-name-{n}"),
            "Action": "lambda:GetLayerVersion", "Principal": (800_000_000_000 + n).to_string()
        });
        assert_eq!(owner.lambda(REGION, "POST", path, &body).0, 201);
    }
    let regions = format!("{REGION},us-east-1");
    let run = publisher.run(&dist, &["publish", "--execute", "--regions", &regions]).expect(1);
    run.says("nothing was written").says("AWS accepts at most 20480").says("name fewer accounts");
    assert!(owner.versions("us-east-1", "SentryLambdaExtension-arm64").is_empty());
}
