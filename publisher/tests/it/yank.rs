//! `publisher yank`: a release is withdrawn in every region and marked, and `--undo` gives it back.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{Dist, layer_name, other_zip},
    emulator::ministack,
    function::Function,
    iam,
    proxy::{Proxy, Verdict},
    schema::violations,
};
use serde_json::{Value, json};
use std::{
    fs, thread,
    time::{Duration, Instant},
};

const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];
/// A bound on a wait that ends long before, unless something hangs.
const HANG: Duration = Duration::from_mins(2);
const YANK: [&str; 4] = ["yank", "1.2.3", "--reason", "it crashes on start"];

struct Case {
    owner: Account,
    dist: Dist,
    publisher: Publisher,
}

impl Case {
    /// A release with all four layers in two regions.
    fn new(seed: &str) -> Self {
        let owner = Account::new(ministack());
        let publisher = Publisher::at(&ministack().url(), &owner.key);
        let dist = Dist::new(seed).with_relay(1000, &["python3.14"]);
        publisher.run(&dist, &["publish", "--execute", "--regions", &REGIONS.join(",")]).expect(0);
        Self { owner, dist, publisher }
    }

    fn execute(&self, args: &[&str]) -> crate::support::cli::Run {
        self.publisher.run(&self.dist, &[args, &["--execute"]].concat())
    }

    /// The number of statements in the policies of all versions in `layers.json`.
    fn grants(&self) -> usize {
        places(&self.dist.layers()).iter().map(|place| grants_of(&self.owner, place)).sum()
    }
}

fn places(layers: &Value) -> Vec<Value> {
    let kinds = ["layers", "relay_layers"].map(|kind| layers[kind].as_object().cloned().unwrap_or_default());
    let layers = kinds.iter().flat_map(|kind| kind.values());
    layers.flat_map(|layer| layer["regions"].as_object().unwrap().values().cloned()).collect()
}

fn grants_of(owner: &Account, place: &Value) -> usize {
    let arn: Vec<&str> = place["arn"].as_str().unwrap().split(':').collect();
    let (status, answer) = owner.get(arn[3], &format!("layers/{}/versions/{}/policy", arn[6], arn[7]));
    if status == 404 {
        return 0;
    }
    let policy: Value = serde_json::from_str(answer["Policy"].as_str().unwrap()).unwrap();
    policy["Statement"].as_array().unwrap().len()
}

#[test]
fn a_yanked_release_is_withdrawn_marked_and_given_back() {
    let case = Case::new("yanked");
    let before = case.dist.layers();
    assert_eq!(case.grants(), 8);
    let plan = case.publisher.run(&case.dist, &YANK).expect(0);
    plan.says("1.2.3: 8 layer versions to withdraw").says("nothing was written").says("--execute");
    assert_eq!((case.grants(), case.dist.layers()), (8, before.clone()));

    case.execute(&YANK).expect(0).says("8 layer versions withdrawn");
    assert_eq!(case.grants(), 0);
    let marked = case.dist.layers();
    assert_eq!(violations(&marked), [""; 0], "{marked:#}");
    assert_eq!((&marked["schema"], &marked["yanked"]["reason"]), (&json!(2), &json!("it crashes on start")));
    for place in places(&marked) {
        assert_eq!((&place["grant"], &place["grant_before_yank"]), (&json!("private"), &json!("public")));
    }
    // All fields of schema 1 are where they were, so that a program that reads single fields still finds them.
    for (now, before) in places(&marked).iter().zip(places(&before)) {
        assert_eq!((&now["arn"], &now["version"]), (&before["arn"], &before["version"]));
    }
    case.publisher.run(&case.dist, &["verify"]).expect(0).says("8 layer versions are as layers.json says");
    case.execute(&YANK).expect(0).says("0 layer versions withdrawn, 8 unchanged");

    let undo = ["yank", "v1.2.3", "--undo"];
    case.publisher.run(&case.dist, &undo).expect(0).says("8 layer versions to restore");
    assert_eq!(case.grants(), 0);
    case.execute(&undo).expect(0).says("8 layer versions restored");
    assert_eq!(case.grants(), 8);
    let mut restored = case.dist.layers();
    assert_eq!(violations(&restored), [""; 0], "{restored:#}");
    strip_dates(&mut restored);
    let mut expected = before;
    strip_dates(&mut expected);
    assert_eq!(restored, expected);
    case.publisher.run(&case.dist, &["arn"]).expect(0);
    case.execute(&undo).expect(0).says("0 layer versions restored, 8 unchanged");
}

/// Dates differ between runs.
fn strip_dates(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("verified_at");
            fields.values_mut().for_each(strip_dates);
        }
        Value::Array(all) => all.iter_mut().for_each(strip_dates),
        _ => {}
    }
}

#[test]
fn a_yanked_release_is_not_handed_out_and_not_published_again() {
    let case = Case::new("refused");
    let function = Function::new(&case.owner, "eu-west-1", "f", &json!({}));
    case.execute(&YANK).expect(0);
    let says = "it crashes on start";
    let run = |args: &[&str], code| case.publisher.run(&case.dist, args).expect(code);
    run(&["arn"], 1).says("1.2.3 was yanked on ").says(says);
    run(&["arn", "--latest", "--regions", "eu-west-1"], 1).says(says);
    for more in [&[][..], &["--latest"]] {
        run(&[&["attach", "f", "--regions", "eu-west-1", "--execute"], more].concat(), 1).says(says);
    }
    assert!(function.layers().is_empty());
    run(&["publish", "--execute", "--regions", "eu-west-1"], 1).says(says).says("yank 1.2.3 --undo");
    assert_eq!(case.grants(), 0);

    // Every format that can carry the mark does, and the registry has no link to the release.
    for format in [
        "json",
        "markdown",
        "sam",
        "cloudformation",
        "cdk",
        "cdk-python",
        "terraform",
        "serverless",
        "dockerfile",
        "registry",
    ] {
        let run = run(&["arn", "--include-yanked", "--format", format], 0);
        assert!(run.stdout.contains("yanked on "), "{format}: {}", run.stdout);
    }
    let registry = run(&["arn", "--include-yanked", "--format", "registry"], 0).json();
    let files: Vec<&String> = registry.as_object().unwrap().keys().collect();
    assert!(files.len() == 2 && files.iter().all(|file| file.ends_with("/1.2.3.json")), "{files:?}");
    run(&["arn", "--include-yanked"], 0).says("warning: this release was yanked on ");

    // A newer version that AWS lists is none of the yanked ones.
    case.owner.publish("eu-west-1", &layer_name("arm64"), "arm64", &other_zip("newer"), "newer");
    let newest = run(&["arn", "--latest", "--regions", "eu-west-1", "--arch", "arm64"], 0);
    assert!(newest.stdout.trim().ends_with("SentryLambdaExtension-arm64:2"), "{}", newest.stdout);
}

#[test]
fn an_interrupted_yank_is_marked_at_once_and_resumed() {
    let case = Case::new("interrupted");
    let proxy = Proxy::start(ministack().address(), |seen| {
        if seen.line.starts_with("DELETE ") && seen.region == "us-east-1" {
            Verdict::Hang
        } else {
            Verdict::Forward
        }
    });
    let slow = Publisher::at(&proxy.url(), &case.owner.key);
    let running = slow.spawn(&case.dist, &[&YANK[..], &["--execute"]].concat());
    let is_begun = || {
        let seen = proxy.requests();
        let of = |region| {
            move |it: &&crate::support::proxy::SeenRequest| {
                it.line.starts_with("DELETE ") && it.region == region
            }
        };
        seen.iter().filter(of("us-east-1")).count() >= 4 && case.grants() == 4
    };
    let started = Instant::now();
    while !is_begun() {
        assert!(started.elapsed() < HANG, "eu-west-1 was not withdrawn: {:?}", proxy.requests());
        thread::sleep(Duration::from_millis(20));
    }
    running.kill();
    let left = case.dist.layers();
    assert_eq!((&left["schema"], case.grants()), (&json!(2), 4), "marked before anything was withdrawn");
    assert_eq!(violations(&left), [""; 0], "{left:#}");
    case.publisher.run(&case.dist, &["arn"]).expect(1).says("yanked on");

    case.execute(&["yank", "1.2.3"]).expect(0).says("4 layer versions withdrawn, 4 unchanged");
    assert_eq!(case.grants(), 0);
    let resumed = case.dist.layers();
    assert_eq!(resumed["yanked"], left["yanked"], "the date and the reason stay");
    assert!(places(&resumed).iter().all(|place| place["grant_before_yank"] == "public"));
}

#[test]
fn regions_that_fail_are_named_and_the_mark_stays_until_all_are_restored() {
    let case = Case::new("denied");
    let proxy = Proxy::start(ministack().address(), |seen| {
        let changes = seen.line.starts_with("DELETE ") || seen.line.starts_with("POST ");
        let refused = changes && seen.service == "lambda" && seen.region == "us-east-1";
        if refused { Verdict::error(403, "AccessDeniedException") } else { Verdict::Forward }
    });
    let denied = Publisher::at(&proxy.url(), &case.owner.key);
    let run = denied.run(&case.dist, &[&YANK[..], &["--execute"]].concat()).expect(3);
    run.says("4 layer versions are not withdrawn")
        .says("us-east-1")
        .says("RemoveLayerVersionPermission")
        .says("iam-policy yank");
    assert_eq!(case.grants(), 4);
    case.publisher.run(&case.dist, &["verify"]).expect(0);

    case.execute(&YANK).expect(0);
    denied
        .run(&case.dist, &["yank", "1.2.3", "--undo", "--execute"])
        .expect(3)
        .says("4 layer versions are not restored");
    assert_eq!((case.grants(), &case.dist.layers()["schema"]), (4, &json!(2)));
    case.publisher.run(&case.dist, &["arn"]).expect(1).says("yanked on");
    let run = case.execute(&["yank", "1.2.3", "--undo", "--regions", "eu-*"]).expect(0);
    run.says("4 layer versions are not part of this run");
    case.execute(&["yank", "1.2.3", "--undo"]).expect(0);
    assert_eq!((case.grants(), &case.dist.layers()["schema"]), (8, &json!(1)));
}

#[test]
fn what_was_deleted_counts_as_withdrawn_and_is_not_restored() {
    let case = Case::new("deleted");
    let path = format!("layers/{}/versions/1", layer_name("arm64"));
    assert_eq!(case.owner.lambda("eu-west-1", "DELETE", &path, &Value::Null).0, 204);
    case.execute(&YANK).expect(0).says("7 layer versions withdrawn, 1 deleted before");
    let run = case.execute(&["yank", "1.2.3", "--undo"]).expect(3);
    run.says("the version was deleted, so nobody can get it back").says("1 layer versions are not restored");
    assert_eq!(case.dist.layers()["schema"], 2);
}

#[test]
fn other_bytes_are_not_given_back() {
    let case = Case::new("bytes");
    case.execute(&YANK).expect(0);
    let file = case.dist.path().join("layers.json");
    let text = fs::read_to_string(&file).unwrap();
    let mut layers: Value = serde_json::from_str(&text).unwrap();
    layers["layers"]["arm64"]["sha256"] = json!("0".repeat(64));
    fs::write(&file, layers.to_string()).unwrap();
    case.execute(&["yank", "1.2.3", "--undo"]).expect(3).says("it has other bytes than layers.json says");
    assert_eq!(case.grants(), 6);
}

#[test]
fn restricted_grants_come_back_as_they_were() {
    let owner = Account::new(ministack());
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let dist = Dist::new("restricted");
    let share = "123456789012,210987654321,o-a1b2c3d4e5";
    publisher
        .run(&dist, &["publish", "--execute", "--regions", "eu-west-1", "--share-with", share])
        .expect(0);
    let before = places(&dist.layers());
    publisher.run(&dist, &["yank", "1.2.3", "--execute"]).expect(0);
    assert!(before.iter().all(|place| grants_of(&owner, place) == 0));
    publisher.run(&dist, &["yank", "1.2.3", "--undo", "--execute"]).expect(0);
    assert!(before.iter().all(|place| grants_of(&owner, place) == 3));
    publisher.run(&dist, &["verify"]).expect(0);
}

#[test]
fn only_a_released_version_of_the_own_account_can_be_yanked() {
    let case = Case::new("whose");
    let run = |args: &[&str], code| case.publisher.run(&case.dist, args).expect(code);
    run(&["yank", "9.9.9", "--execute"], 1).says("is of 1.2.3, not of 9.9.9").says("--manifest");
    run(&["yank", "1.2.3", "--regions", "sa-east-1"], 1).says("has no layer in sa-east-1");
    run(&["yank", "1.2.3", "--reason", "two\nlines"], 2).says("one line");
    run(&["yank", "1.2.3", "--undo"], 0).says("0 layer versions to restore, 8 unchanged");
    let stranger = Publisher::at(&ministack().url(), &Account::new(ministack()).key);
    stranger
        .run(&case.dist, &[&YANK[..], &["--execute"]].concat())
        .expect(1)
        .says("the layers belong to account");
    assert_eq!((case.grants(), &case.dist.layers()["schema"]), (8, &json!(1)));

    // The file of an older release is named, and marked where it is.
    let old = case.dist.path().join("old.json");
    fs::copy(case.dist.path().join("layers.json"), &old).unwrap();
    case.execute(&["yank", "1.2.3", "--manifest", old.to_str().unwrap()]).expect(0);
    let marked: Value = serde_json::from_slice(&fs::read(&old).unwrap()).unwrap();
    assert_eq!((&marked["schema"], &case.dist.layers()["schema"]), (&json!(2), &json!(1)));

    // A mark that contradicts the schema is no mark to rely on.
    let mut odd = marked;
    odd["schema"] = json!(1);
    fs::write(&old, odd.to_string()).unwrap();
    run(&["yank", "1.2.3", "--manifest", old.to_str().unwrap()], 1)
        .says("the fields `yanked` and `other_layer` say otherwise");
}

#[test]
fn a_stranger_must_not_see_a_yanked_release() {
    let case = Case::new("seen");
    let stranger = Publisher::at(&ministack().url(), &Account::new(ministack()).key);
    case.execute(&YANK).expect(0);
    stranger.run(&case.dist, &["verify", "--as-stranger"]).expect(0);
    let body = json!({"StatementId": "back", "Action": "lambda:GetLayerVersion", "Principal": "*"});
    let path = format!("layers/{}/versions/1/policy", layer_name("arm64"));
    assert_eq!(case.owner.lambda("eu-west-1", "POST", &path, &body).0, 201);
    let run = stranger.run(&case.dist, &["verify", "--as-stranger"]).expect(1);
    run.says("1 of 8").says("nothing, as it was yanked");
    // A second run finds the grant that somebody has added since, under any id.
    case.execute(&YANK).expect(0).says("1 layer versions withdrawn, 7 unchanged");
    stranger.run(&case.dist, &["verify", "--as-stranger"]).expect(0);
}

#[test]
fn the_policy_allows_exactly_what_yank_asks_for() {
    let case = Case::new("rights");
    let proxy = Proxy::start(ministack().address(), |_| Verdict::Forward);
    let publisher = Publisher::at(&proxy.url(), &case.owner.key);
    let account = ["--account", case.owner.key.as_str()];
    publisher.run(&case.dist, &[&YANK[..], &["--execute"]].concat()).expect(0);
    let asked = iam::requested_actions(&proxy.requests(), &case.owner.key);
    crate::iam_policy::assert_exact(
        &crate::iam_policy::policy(&[&["yank"], &account[..]].concat()),
        &asked,
        &[],
    );

    publisher.run(&case.dist, &["yank", "1.2.3", "--undo", "--execute"]).expect(0);
    let asked = iam::requested_actions(&proxy.requests(), &case.owner.key);
    let policy = crate::iam_policy::policy(&[&["yank", "--undo"], &account[..]].concat());
    crate::iam_policy::assert_exact(&policy, &asked, &[]);
}
