//! `publisher verify --all-regions` and `--report`: what the watch of the published layers asks, and what it tells.

use crate::support::{
    account::Account,
    cli::{Publisher, Run},
    dist::Dist,
    emulator::ministack,
    iam,
    proxy::{Proxy, Verdict},
};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

const REGIONS: &str = "eu-west-1,us-east-1";

/// Published layers, and a proxy that tells which regions the account has.
struct Case {
    owner: Account,
    dist: Dist,
    proxy: Proxy,
    folder: tempfile::TempDir,
}

impl Case {
    /// The account lists these regions. Without a list, it may not be asked for.
    fn new(seed: &str, listed: Option<&'static [(&'static str, &'static str)]>) -> Self {
        let owner = Account::new(ministack());
        let dist = Dist::new(seed);
        let args = ["publish", "--execute", "--regions", REGIONS];
        Publisher::at(&ministack().url(), &owner.key).run(&dist, &args).expect(0);
        let proxy = Proxy::start(ministack().address(), move |seen| {
            if seen.service != "account" {
                return Verdict::Forward;
            }
            let Some(listed) = listed else { return Verdict::error(403, "AccessDeniedException") };
            let all =
                listed.iter().map(|(name, state)| json!({"RegionName": name, "RegionOptStatus": state}));
            Verdict::Answer(200, json!({"Regions": all.collect::<Vec<_>>()}).to_string())
        });
        Self { owner, dist, proxy, folder: tempfile::tempdir().unwrap() }
    }

    fn report(&self) -> PathBuf {
        self.folder.path().join("report.md")
    }

    fn verify(&self, more: &[&str]) -> Run {
        let report = self.report();
        let args = ["verify", "--all-regions", "--report", report.to_str().unwrap()];
        Publisher::at(&self.proxy.url(), &self.owner.key).run(&self.dist, &[&args, more].concat())
    }
}

const AS_PUBLISHED: &[(&str, &str)] =
    &[("eu-west-1", "ENABLED"), ("us-east-1", "ENABLED_BY_DEFAULT"), ("af-south-1", "DISABLED")];

#[test]
fn an_empty_report_says_that_nothing_differs() {
    let case = Case::new("covered", Some(AS_PUBLISHED));
    case.verify(&["--download"]).expect(0);
    assert_eq!(fs::read_to_string(case.report()).unwrap(), "");
    // That is all that it asks for, beside what it takes to publish.
    let asked = iam::requested_actions(&case.proxy.requests(), &case.owner.key);
    let policy =
        Publisher::new().run_bare(&["iam-policy", "watch", "--account", &case.owner.key]).expect(0).json();
    assert!(asked.iter().all(|ask| iam::allows(&policy, ask)), "{asked:?}");
    let publish =
        Publisher::new().run_bare(&["iam-policy", "verify", "--account", &case.owner.key]).expect(0).json();
    assert!(asked.iter().any(|ask| !iam::allows(&publish, ask)), "{asked:?}");
}

#[test]
fn the_report_names_what_differs_in_which_region() {
    let case = Case::new("differs", Some(AS_PUBLISHED));
    case.owner.revoke("eu-west-1", "SentryLambdaExtension-x86_64", 1);
    // A region that the last release had and this list lacks.
    let last = case.folder.path().join("last.json");
    let mut layers = case.dist.layers();
    let arm64 = &mut layers["layers"]["arm64"]["regions"];
    arm64["ap-south-1"] = arm64["us-east-1"].clone();
    fs::write(&last, layers.to_string()).unwrap();
    case.verify(&["--previous", last.to_str().unwrap()]).expect(1);
    let report = fs::read_to_string(case.report()).unwrap();
    assert!(
        report.starts_with("The published layers of 1.2.3 are not as its `layers.json` says.\n"),
        "{report}"
    );
    let row = "| eu-west-1 | x86_64 | `permission is private, expected public` |\n";
    assert!(report.contains(row) && report.matches("\n| ").count() == 3, "{report}");
    assert!(report.contains("had layers in ap-south-1 (arm64)"), "{report}");
}

#[test]
fn a_region_that_the_account_has_enabled_since_is_told() {
    const MORE: &[(&str, &str)] = &[
        ("ap-east-2", "ENABLED"),
        ("eu-west-1", "ENABLED"),
        ("mx-central-1", "ENABLING"),
        ("us-east-1", "ENABLED_BY_DEFAULT"),
        ("af-south-1", "DISABLED"),
    ];
    let case = Case::new("uncovered", Some(MORE));
    let run = case.verify(&[]).expect(3).says("enabled that have no layer: ap-east-2 mx-central-1");
    run.says("publisher publish --regions ap-east-2,mx-central-1");
    let report = fs::read_to_string(case.report()).unwrap();
    assert!(report.contains("the region ap-east-2 enabled, and no layer is there"), "{report}");
    case.verify(&["--allow-fewer-regions", "ap-east-2,mx-*"]).expect(0);
    assert_eq!(fs::read_to_string(case.report()).unwrap(), "");
    Publisher::at(&case.proxy.url(), &case.owner.key).run(&case.dist, &["verify"]).expect(0);
}

#[test]
fn nothing_is_reported_if_the_regions_are_not_known() {
    let case = Case::new("unlisted", None);
    case.verify(&[]).expect(1).says("list of regions cannot be read").says("allow account:ListRegions");
    assert!(!case.report().exists());
    case.verify(&["--regions", "eu-west-1"]).expect(2);
    let report = case.folder.path().join("no-folder/report.md");
    let args = ["verify", "--report", report.to_str().unwrap()];
    Publisher::at(&case.proxy.url(), &case.owner.key).run(&case.dist, &args).expect(1).says("--report FILE");
    let _: Value = case.dist.layers();
}
