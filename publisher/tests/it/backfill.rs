//! `ci/backfill`: brings the zips of the last releases to a region that AWS has opened since. GitHub is a stand-in.

use crate::support::{
    account::Account,
    cli::{Publisher, Run},
    dist::layer_name,
    emulator::ministack,
    github::{GitHub, hex_sha256},
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

const RELEASED_IN: &str = "eu-west-1";
const NEW: &str = "ap-southeast-4";

/// A repository with releases that are published in one region.
struct Case {
    owner: Account,
    publisher: Publisher,
    github: GitHub,
}

impl Case {
    fn new() -> Self {
        let owner = Account::new(ministack());
        let publisher = Publisher::at(&ministack().url(), &owner.key);
        let github = GitHub::new(&["backfill", "lib.sh", "verify-attestations"]);
        Self { owner, publisher, github }
    }

    fn release(&self, version: &str) -> PathBuf {
        self.github.release(&self.publisher, &self.owner.key, version, RELEASED_IN)
    }

    /// Changes the list of layers of a release, as a yank does.
    fn yank(release: &Path) {
        let file = release.join("layers.json");
        let mut layers: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        layers["schema"] = json!(2);
        layers["yanked"] = json!({"at": "2026-11-26T03:00:00Z", "reason": "it crashes"});
        fs::write(file, layers.to_string()).unwrap();
    }

    fn backfill(&self, releases: &str) -> Run {
        self.backfill_with(releases, &[])
    }

    fn backfill_with(&self, releases: &str, env: &[(&str, &str)]) -> Run {
        let out = self.github.path("backfilled");
        let args = [releases, NEW, out.to_str().unwrap()];
        let env = [&[("AWS_ACCOUNT_ID", &*self.owner.key)], env].concat();
        self.github.run(&self.publisher, "backfill", &args, &env)
    }

    /// The list of layers that the backfill has left for a release.
    fn layers(&self, version: &str) -> Option<Value> {
        let file = self.github.path("backfilled").join(format!("v{version}")).join("layers.json");
        fs::read(file).ok().map(|text| serde_json::from_slice(&text).unwrap())
    }

    /// The numbers that a release has in the new region, by the list that was left.
    fn numbers(&self, version: &str) -> [Value; 2] {
        let layers = self.layers(version).unwrap();
        ["arm64", "x86_64"].map(|arch| layers["layers"][arch]["regions"][NEW]["version"].clone())
    }

    /// The versions that are in the new region.
    fn versions(&self) -> Vec<i64> {
        self.owner.versions(NEW, &layer_name("x86_64"))
    }

    /// The tag for which the workflow proposes the list of layers. `publish` writes outputs of its own beside it.
    fn tag(&self) -> Option<String> {
        let output = fs::read_to_string(self.github.path("output")).unwrap_or_default();
        output.lines().filter_map(|line| line.strip_prefix("tag=")).next_back().map(str::to_owned)
    }
}

/// A new project has one release, and may be asked for more than it has.
#[test]
fn the_only_release_is_brought_there_also_if_more_are_wanted() {
    for wanted in ["1", "3"] {
        let case = Case::new();
        case.release("1.2.3");
        case.backfill(wanted).expect(0);
        assert_eq!(case.numbers("1.2.3"), [json!(1), json!(1)], "of {wanted}");
        let layers = case.layers("1.2.3").unwrap();
        let there = &layers["layers"]["arm64"]["regions"];
        assert_eq!(there[NEW]["grant"], "public");
        assert_eq!(there[RELEASED_IN]["version"], 1, "what was there stays in the list: {there}");
        assert!(layers.get("missing_regions").is_none(), "{layers}");
        assert_eq!(case.tag().as_deref(), Some("v1.2.3"));
        // A second run publishes nothing twice.
        case.backfill(wanted).expect(0);
        assert_eq!(case.versions(), [1]);
    }
}

#[test]
fn the_last_releases_are_brought_there_the_oldest_first_and_without_those_that_were_yanked() {
    let case = Case::new();
    case.release("1.0.0");
    case.release("1.1.0");
    Case::yank(&case.release("1.2.0"));
    case.release("1.3.0");
    case.backfill("3").expect(0).says("v1.2.0 was yanked, so it is not published");
    assert_eq!(case.versions(), [1, 2]);
    assert_eq!(case.numbers("1.1.0"), [json!(1), json!(1)]);
    assert_eq!(case.numbers("1.3.0"), [json!(2), json!(2)]);
    assert!(case.numbers("1.2.0").iter().all(Value::is_null));
    assert!(case.layers("1.0.0").is_none(), "it is not among the last three");
    assert_eq!(case.tag().as_deref(), Some("v1.3.0"));
}

/// The default branch knows what came after the release.
#[test]
fn a_region_that_an_earlier_backfill_has_added_stays_in_the_list() {
    let case = Case::new();
    let mut layers: Value =
        serde_json::from_slice(&fs::read(case.release("1.2.3").join("layers.json")).unwrap()).unwrap();
    for arch in ["arm64", "x86_64"] {
        let places = &mut layers["layers"][arch]["regions"];
        let arn = places[RELEASED_IN]["arn"].as_str().unwrap().replace(RELEASED_IN, "us-east-1");
        places["us-east-1"] = places[RELEASED_IN].clone();
        places["us-east-1"]["arn"] = json!(arn);
    }
    case.github.set_branch_layers(&layers);
    case.backfill("1").expect(0);
    let after = case.layers("1.2.3").unwrap();
    let regions = after["layers"]["arm64"]["regions"].as_object().unwrap();
    assert_eq!(regions.keys().collect::<Vec<_>>(), [NEW, RELEASED_IN, "us-east-1"]);

    // Before the release's pull request is merged, the branch has the list of the release before.
    let case = Case::new();
    case.release("1.2.3");
    layers["version"] = json!("1.2.2");
    case.github.set_branch_layers(&layers);
    case.backfill("1").expect(0);
    let after = case.layers("1.2.3").unwrap();
    let regions = after["layers"]["arm64"]["regions"].as_object().unwrap();
    assert_eq!(regions.keys().collect::<Vec<_>>(), [NEW, RELEASED_IN]);
}

#[test]
fn nothing_is_proposed_if_the_layers_are_not_as_they_should_be_or_the_account_is_another() {
    let case = Case::new();
    case.release("1.2.3");
    case.backfill_with("1", &[("AWS_ACCOUNT_ID", "123456789012")]).expect(1).says("123456789012");
    assert_eq!(case.versions(), [0; 0]);
    // A publisher that finds a difference.
    let finds = case.github.path("finds-a-difference");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = verify ]; then printf '%s\\n' \"$*\"; exit 1; fi\nexec '{}' \"$@\"\n",
        env!("CARGO_BIN_EXE_publisher")
    );
    fs::write(&finds, script).unwrap();
    fs::set_permissions(&finds, fs::Permissions::from_mode(0o755)).unwrap();
    let run = case.backfill_with("1", &[("PUBLISHER", finds.to_str().unwrap())]).expect(1);
    run.says(&format!("--regions {NEW} --download"));
    assert_eq!(case.tag(), None);
}

#[test]
fn a_release_that_the_workflow_did_not_attest_or_that_does_not_exist_is_refused() {
    let case = Case::new();
    case.backfill("1").expect(1).says("owner/name has no release");
    let there = case.release("1.2.3");
    let zip = there.join("sentry-lambda-extension-arm64.zip");
    let content = fs::read(&zip).unwrap();
    // Somebody has replaced a zip, and its sum beside it.
    let other = [&content[..], b"x"].concat();
    let sums = fs::read_to_string(there.join("SHA256SUMS")).unwrap();
    fs::write(&zip, &other).unwrap();
    case.backfill("1").expect(1).says("sentry-lambda-extension-arm64.zip: FAILED");
    fs::write(there.join("SHA256SUMS"), sums.replace(&hex_sha256(&content), &hex_sha256(&other))).unwrap();
    case.backfill("1").expect(1).says("is not from the release workflow for refs/tags/v1.2.3");
    assert_eq!(case.versions(), [0; 0]);
    for wrong in ["0", "100", "three"] {
        case.backfill(wrong).expect(1).says("is no number of releases");
    }
}
