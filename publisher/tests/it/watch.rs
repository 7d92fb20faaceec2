//! `ci/watch`: compares the layers of the last release with what AWS has, and keeps one issue about what differs.
//! GitHub is a stand-in.

use crate::support::{
    account::Account,
    cli::{Publisher, Run},
    emulator::ministack,
    github::GitHub,
    proxy::{Proxy, Verdict},
};
use serde_json::{Value, json};
use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];
const SCRIPTS: [&str; 4] = ["watch", "download-publisher", "verify-attestations", "lib.sh"];

/// What is wrong in AWS.
#[derive(Default)]
struct Wrong {
    /// The account has enabled a region in which there is no layer.
    region: AtomicBool,
    /// The bytes that users get are not those of which AWS names the hash.
    bytes: AtomicBool,
    /// The list of regions may not be read.
    denied: AtomicBool,
}

/// A release, and a proxy in front of AWS in which something can go wrong.
struct Case {
    github: GitHub,
    publisher: Publisher,
    wrong: Arc<Wrong>,
    layers: Value,
}

impl Case {
    fn new() -> Self {
        let owner = Account::new(ministack());
        let direct = Publisher::at(&ministack().url(), &owner.key);
        let github = GitHub::new(&SCRIPTS);
        let there = github.release(&direct, &owner.key, "1.2.3", &REGIONS.join(","));
        let layers: Value = serde_json::from_slice(&fs::read(there.join("layers.json")).unwrap()).unwrap();
        let wrong = Arc::new(Wrong::default());
        let url = Arc::new(OnceLock::<String>::new());
        let proxy = Proxy::start(ministack().address(), {
            let (wrong, url) = (Arc::clone(&wrong), Arc::clone(&url));
            move |seen| match seen.service.as_str() {
                "account" if wrong.denied.load(Ordering::SeqCst) => {
                    Verdict::error(403, "AccessDeniedException")
                }
                "account" => {
                    let more = wrong.region.load(Ordering::SeqCst).then_some("ap-southeast-4");
                    let region = |name| json!({"RegionName": name, "RegionOptStatus": "ENABLED"});
                    let regions: Vec<Value> = REGIONS.into_iter().chain(more).map(region).collect();
                    Verdict::Answer(200, json!({"Regions": regions}).to_string())
                }
                // Links to the bytes lead through the proxy, which answers them itself.
                "lambda" if wrong.bytes.load(Ordering::SeqCst) && seen.line.contains("find=LayerVersion") => {
                    let url = url.get().unwrap().clone();
                    Verdict::ForwardAndRewrite(Box::new(move |body| {
                        let mut answer: Value = serde_json::from_str(&body).unwrap();
                        answer["Content"]["Location"] = json!(format!("{url}/bytes"));
                        answer.to_string()
                    }))
                }
                _ if seen.line.ends_with("/bytes") => Verdict::Answer(200, "other bytes".to_owned()),
                _ => Verdict::Forward,
            }
        });
        url.set(proxy.url()).unwrap();
        let publisher = Publisher::at(&proxy.url(), &owner.key);
        Self { github, publisher, wrong, layers }
    }

    fn watch(&self) -> Run {
        self.github.run(&self.publisher, "watch", &[], &[])
    }

    /// The body of the open issue. There may be no other.
    fn issue(&self) -> String {
        let issue = self.github.issue(1).unwrap();
        assert_eq!((&issue["state"], self.github.issue(2)), (&json!("open"), None), "{issue}");
        issue["body"].as_str().unwrap().to_owned()
    }
}

#[test]
fn before_the_first_release_there_is_nothing_to_watch() {
    let github = GitHub::new(&SCRIPTS);
    github.run(&Publisher::new(), "watch", &[], &[]).expect(0).says("there is no release yet");
    assert_eq!(github.issue(1), None);
}

#[test]
fn one_issue_says_what_differs_and_closes_when_nothing_does() {
    let case = Case::new();
    case.watch().expect(0);
    assert_eq!(case.github.issue(1), None);

    case.wrong.bytes.store(true, Ordering::SeqCst);
    case.watch().expect(1);
    let told = case.issue();
    assert!(told.contains("| eu-west-1 | arm64 |") && told.contains("downloaded sha256"), "{told}");
    // A second day with the same difference says nothing new.
    case.watch().expect(1);
    assert_eq!(case.github.issue(1).unwrap()["comments"], json!([]));

    case.wrong.region.store(true, Ordering::SeqCst);
    case.watch().expect(1);
    let told = case.issue();
    assert!(told.contains("the region ap-southeast-4 enabled, and no layer is there"), "{told}");
    assert_eq!(case.github.issue(1).unwrap()["comments"].as_array().unwrap().len(), 1);

    // Where nothing can be compared, nothing is told either.
    case.wrong.denied.store(true, Ordering::SeqCst);
    case.watch().expect(1).says("the issue was left alone");
    assert_eq!(case.issue(), told);
    case.wrong.denied.store(false, Ordering::SeqCst);

    case.wrong.bytes.store(false, Ordering::SeqCst);
    case.watch().expect(3);
    let told = case.issue();
    assert!(told.contains("ap-southeast-4") && !told.contains("| eu-west-1 |"), "{told}");
    case.wrong.region.store(false, Ordering::SeqCst);
    case.watch().expect(0);
    let issue = case.github.issue(1).unwrap();
    assert_eq!((issue["state"].as_str(), case.github.issue(2)), (Some("closed"), None));
}

/// The default branch has what came after the release, and may not have the release yet.
#[test]
fn the_newer_of_two_lists_counts_and_no_region_of_the_release_may_be_missing() {
    let case = Case::new();
    let mut older = case.layers.clone();
    older["version"] = json!("1.2.2");
    older["layers"]["arm64"]["regions"]["eu-west-1"]["version"] = json!(7);
    case.github.set_branch_layers(&older);
    case.watch().expect(0);

    let mut fewer = case.layers.clone();
    for arch in ["arm64", "x86_64"] {
        fewer["layers"][arch]["regions"].as_object_mut().unwrap().remove("eu-west-1");
    }
    case.github.set_branch_layers(&fewer);
    case.watch().expect(3);
    let told = case.issue();
    assert!(told.contains("had layers in eu-west-1"), "{told}");
}

#[test]
fn the_publisher_of_the_release_is_used_if_the_workflow_has_attested_it() {
    let case = Case::new();
    let system = if env::consts::OS == "macos" { "macos" } else { "linux" };
    let arch = if env::consts::ARCH == "aarch64" { "arm64" } else { env::consts::ARCH };
    let file = case.github.path("state/releases/v1.2.3").join(format!("publisher-{system}-{arch}"));
    let used = case.github.path("used");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$*\" >'{}'\nexec '{}' \"$@\"\n",
        used.display(),
        env!("CARGO_BIN_EXE_publisher")
    );
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let watch = || case.github.run(&case.publisher, "watch", &[], &[("PUBLISHER", "")]);
    watch().expect(1).says("is not from the release workflow");
    assert!(!used.exists() && case.github.issue(1).is_none());
    case.github.attest("v1.2.3", &file);
    watch().expect(0);
    let arguments = fs::read_to_string(used).unwrap();
    assert!(arguments.contains("--download --all-regions"), "{arguments}");
}
