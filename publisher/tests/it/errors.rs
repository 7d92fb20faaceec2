//! Refusals by AWS are reported once, with the data that AWS's support asks for, and are classified correctly.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{ARCHES, Dist, layer_name},
    emulator::ministack,
    function::Function,
    proxy::{Proxy, REQUEST_ID, SeenRequest, Verdict},
};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

const REGION: &str = "eu-west-1";
const ARGS: [&str; 4] = ["publish", "--execute", "--regions", REGION];

/// An error response of AWS.
fn refusal(status: u16, code: &str, message: &str) -> Verdict {
    Verdict::Answer(status, json!({"__type": code, "message": message}).to_string())
}

/// A proxy that answers the first `many` requests of a kind itself.
fn proxy(
    many: usize,
    which: impl Fn(&SeenRequest) -> bool + Send + 'static,
    verdict: impl Fn() -> Verdict + Send + 'static,
) -> Proxy {
    let seen = AtomicUsize::new(0);
    Proxy::start(ministack().address(), move |request| {
        if which(request) && seen.fetch_add(1, Ordering::SeqCst) < many {
            verdict()
        } else {
            Verdict::Forward
        }
    })
}

/// The text of the journal of a `dist/`.
fn journal(dist: &Dist) -> String {
    let files = std::fs::read_dir(dist.path()).unwrap().map(|entry| entry.unwrap().path());
    let journals = files.filter(|path| path.extension().is_some_and(|ext| ext == "journal"));
    journals.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn a_refusal_is_reported_once_with_its_request_id_in_text_json_and_journal() {
    let owner = Account::new(ministack());
    let why = "the layer is not to the taste of the test";
    let refused = proxy(usize::MAX, SeenRequest::publishes, move || {
        refusal(400, "InvalidParameterValueException", why)
    });
    let publisher = Publisher::at(&refused.url(), &owner.key);
    let dist = Dist::new("refused");
    let run = publisher.run(&dist, &ARGS).expect(3);
    // stdout has the results and stderr the progress. Each contains the refusal once.
    for said in [&run.stdout, &run.stderr] {
        let reason =
            format!("PublishLayerVersion: InvalidParameterValueException: {why} (request {REQUEST_ID})");
        assert_eq!(said.matches(&reason).count(), 2, "once for each layer: {said}");
        assert_eq!(said.matches(why).count(), 2, "{said}");
    }
    for arch in ARCHES {
        assert!(run.stderr.contains(&format!("  {REGION} {arch}: PublishLayerVersion: ")), "{run:?}");
    }
    assert!(journal(&dist).contains(REQUEST_ID), "{}", journal(&dist));

    let run = publisher.run(&dist, &[&ARGS, ["--json"].as_slice()].concat()).expect(3);
    let rows = run.json()["regions"].as_array().unwrap().clone();
    assert!(rows.iter().all(|row| row["error"].as_str().unwrap().contains(REQUEST_ID)), "{rows:?}");
    let error = run.stderr.lines().last().unwrap();
    let error: Value = serde_json::from_str(error).unwrap();
    assert!(error["event"] == "error" && error["text"].as_str().unwrap().contains(REQUEST_ID), "{error}");

    // The failure of an optional region is reported once as well.
    let run = publisher
        .run(&dist, &["publish", "--execute", "--regions", "us-east-1", "--optional-regions", REGION])
        .expect(3);
    assert_eq!([&run.stdout, &run.stderr].map(|said| said.matches(why).count()), [4, 4], "{run:?}");
    // `prune` reports a refusal once as well.
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    publisher.run(&dist, &ARGS).expect(0);
    let denied = proxy(usize::MAX, |seen| seen.line.contains("/versions"), move || refusal(400, "X", why));
    let run = Publisher::at(&denied.url(), &owner.key)
        .run(&dist, &["prune", "--keep", "1", "--regions", REGION])
        .expect(3);
    assert_eq!([&run.stdout, &run.stderr].map(|said| said.matches(why).count()), [2, 2], "{run:?}");
}

#[test]
fn the_user_agent_names_the_publisher() {
    let owner = Account::new(ministack());
    let all = proxy(0, |_| false, || Verdict::Cut);
    Publisher::at(&all.url(), &owner.key).run(&Dist::new("agent"), &["publish"]).expect(0);
    let seen = all.requests();
    assert!(
        seen.iter().any(|seen| seen.service == "sts") && seen.iter().any(|seen| seen.service == "lambda")
    );
    for request in seen {
        assert!(request.head.contains("app/sentry-lambda-extension-publisher-"), "{request:?}");
    }
}

#[test]
fn a_temporary_conflict_and_a_failed_precondition_are_tried_again() {
    let busy = "Another operation is in progress for this resource.";
    for (status, code, message) in [
        (409, "ResourceConflictException", busy),
        (412, "PreconditionFailedException", "The RevisionId provided does not match the latest RevisionId."),
    ] {
        let owner = Account::new(ministack());
        let dist = Dist::new(code);
        let grants = proxy(2, SeenRequest::grants, move || refusal(status, code, message));
        let publisher = Publisher::at(&grants.url(), &owner.key);
        publisher.run(&dist, &ARGS).expect(0).says("2 published");
        let tried = grants.requests().iter().filter(|seen| seen.grants()).count();
        assert_eq!(tried, 4, "two refused, two for good");
        // Removing a statement and publishing a version are repeated in the same way.
        let forbids =
            proxy(2, |seen| seen.line.starts_with("DELETE "), move || refusal(status, code, message));
        Publisher::at(&forbids.url(), &owner.key)
            .run(&dist, &[&ARGS, ["--share-with", "private"].as_slice()].concat())
            .expect(0)
            .says("2 repaired");
        let uploads = proxy(2, SeenRequest::publishes, move || refusal(status, code, message));
        let owner = Account::new(ministack());
        Publisher::at(&uploads.url(), &owner.key)
            .run(&Dist::new("again"), &ARGS)
            .expect(0)
            .says("2 published");
        assert_eq!(owner.versions(REGION, &layer_name("arm64")), [1]);
    }
}

#[test]
fn a_web_page_instead_of_a_response_is_reported_and_not_believed() {
    let owner = Account::new(ministack());
    let page = "<!DOCTYPE html>\n<html><head><title>Sign in\n to the guest network</title></head>\
                <body>…</body></html>";
    let said = "with a web page (\"Sign in to the guest network\") instead of AWS's answer";
    for status in [200, 403, 404, 502] {
        let pages = proxy(
            usize::MAX,
            |seen| seen.service == "lambda" && seen.line.starts_with("GET "),
            move || Verdict::Answer(status, page.to_owned()),
        );
        let run = Publisher::at(&pages.url(), &owner.key).run(&Dist::new("page"), &ARGS).expect(3);
        let run = run.says(&format!("HTTP {status} {said}"));
        assert!(!run.stdout.contains("DOCTYPE") && !run.stderr.contains("DOCTYPE"), "{run:?}");
        // A web page with the status 404 does not mean that the layer does not exist.
        assert!(pages.requests().iter().all(|seen| !seen.publishes()), "HTTP {status}: published");
    }
    let pages =
        proxy(usize::MAX, |seen| seen.service == "sts", move || Verdict::Answer(403, page.to_owned()));
    let run = Publisher::at(&pages.url(), &owner.key).run(&Dist::new("page"), &ARGS).expect(1);
    run.says(said).says("check the network");
}

/// An account that has published the layer and has the function `f`.
fn with_function() -> (Account, Dist) {
    let owner = Account::new(ministack());
    let dist = Dist::new("attached");
    Publisher::at(&ministack().url(), &owner.key).run(&dist, &ARGS).expect(0);
    Function::new(&owner, REGION, "f", &json!({}));
    (owner, dist)
}

fn updates(seen: &SeenRequest) -> bool {
    seen.line.starts_with("PUT ") && seen.line.ends_with("/configuration")
}

const ATTACH: [&str; 5] = ["attach", "f", "--regions", REGION, "--execute"];

#[test]
fn a_function_that_is_being_deleted_is_not_waited_for() {
    let (owner, dist) = with_function();
    let message = "The operation cannot be performed at this time. The function is currently in the following state: \
                   Deleting";
    let refused = proxy(usize::MAX, updates, move || refusal(409, "ResourceConflictException", message));
    let run = Publisher::at(&refused.url(), &owner.key).run(&dist, &ATTACH).expect(1);
    let run = run.says(":function:f is being deleted").says("nothing was changed");
    assert!(!run.stderr.contains("being updated"), "{run:?}");
    assert_eq!(refused.requests().iter().filter(|seen| updates(seen)).count(), 1);

    let mut now = Function { account: &owner, region: REGION, name: "f" }.configuration();
    now["State"] = json!("Deleting");
    now["LastUpdateStatus"] = json!("InProgress");
    let deleting = proxy(
        usize::MAX,
        |seen| seen.line.starts_with("GET ") && seen.line.ends_with("/configuration"),
        move || Verdict::Answer(200, now.to_string()),
    );
    Publisher::at(&deleting.url(), &owner.key).run(&dist, &ATTACH).expect(1).says("f is being deleted");
}

#[test]
fn a_required_code_signature_is_explained() {
    let (owner, dist) = with_function();
    let refused = proxy(usize::MAX, updates, || {
        refusal(
            400,
            "CodeVerificationFailedException",
            "The code signature failed one or more of the validation checks",
        )
    });
    let run = Publisher::at(&refused.url(), &owner.key).run(&dist, &ATTACH).expect(1);
    run.says("CodeVerificationFailedException").says("has a code signing configuration").says("signer");
}

#[test]
fn credentials_that_expire_before_a_function_is_changed_are_renewed() {
    let (owner, dist) = with_function();
    let expired =
        proxy(1, updates, || refusal(403, "ExpiredTokenException", "The security token has expired"));
    let publisher = Publisher::new().env("AWS_ENDPOINT_URL", &expired.url()).env("AWS_PROFILE", "short");
    let keys = json!({"Version": 1, "AccessKeyId": owner.key, "SecretAccessKey": "x"}).to_string();
    publisher.home_file("keys.json", &keys);
    let process = "sh -c 'cat $HOME/keys.json; echo >> $HOME/asked'";
    publisher.home_file(".aws/config", &format!("[profile short]\ncredential_process = {process}\n"));
    publisher.run(&dist, &ATTACH).expect(0).says("the change is in effect");
    assert_eq!(
        publisher.read_home_file("asked").lines().count(),
        3,
        "to begin with, to sign in, and once renewed"
    );
}

#[test]
fn attach_says_what_does_not_get_the_layer_and_what_removes_it() {
    let (owner, dist) = with_function();
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    for args in [&ATTACH[..4], &ATTACH] {
        let run = publisher.run(&dist, args).expect(0);
        run.says("aliases that point to them and their provisioned concurrency")
            .says("reverts to the layers");
    }
    let run = publisher.run(&dist, &ATTACH).expect(0).says("nothing to do");
    assert!(!run.stderr.contains("provisioned concurrency"), "{run:?}");
}
