//! Job summaries and outputs for GitHub Actions. They are written if the environment asks for them.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::{ARCHES, Dist},
    emulator::ministack,
    proxy::{Proxy, Verdict},
};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::PathBuf};

struct Job {
    folder: tempfile::TempDir,
    publisher: Publisher,
}

impl Job {
    fn new() -> Self {
        Self::at(&ministack().url())
    }

    fn at(url: &str) -> Self {
        let owner = Account::new(ministack());
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let publisher = Publisher::at(url, &owner.key)
            .env("GITHUB_STEP_SUMMARY", &path("summary"))
            .env("GITHUB_OUTPUT", &path("output"));
        Self { folder, publisher }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn summary(&self) -> String {
        fs::read_to_string(self.path("summary")).unwrap()
    }

    /// The job's outputs, parsed as GitHub's runner does.
    fn outputs(&self) -> BTreeMap<String, String> {
        let text = fs::read_to_string(self.path("output")).unwrap();
        let mut lines = text.lines();
        let mut all = BTreeMap::new();
        while let Some(line) = lines.next() {
            if let Some((name, end)) = line.split_once("<<") {
                let value: Vec<&str> = lines.by_ref().take_while(|line| *line != end).collect();
                all.insert(name.to_owned(), value.join("\n"));
            } else if let Some((name, value)) = line.split_once('=') {
                all.insert(name.to_owned(), value.to_owned());
            }
        }
        all
    }
}

const PUBLISH: [&str; 3] = ["publish", "--regions", "eu-west-1,us-east-1"];
const EXECUTE: [&str; 4] = ["publish", "--regions", "eu-west-1,us-east-1", "--execute"];

#[test]
fn a_plan_is_in_the_summary_and_a_release_in_the_outputs() {
    let job = Job::new();
    fs::write(job.path("summary"), "# Mine\n").unwrap();
    fs::write(job.path("output"), "mine=1\n").unwrap();
    let dist = Dist::new("github").with_relay(1000, &["python3.14"]);
    job.publisher.run(&dist, &PUBLISH).expect(0);
    let plan = job.summary();
    assert!(plan.starts_with("# Mine\n### Plan for 1.2.3: 8 publish\n"), "{plan}");
    assert!(plan.contains("us-east-1  x86_64 with Relay  publish"), "{plan}");
    assert_eq!(job.outputs().keys().collect::<Vec<_>>(), ["mine", "version"], "nothing is published yet");

    job.publisher.run(&dist, &EXECUTE).expect(0);
    let outputs = job.outputs();
    assert_eq!((outputs["mine"].as_str(), outputs["version"].as_str()), ("1", "1.2.3"));
    assert!(!outputs["layers"].contains('\n'));
    let layers: Value = serde_json::from_str(&outputs["layers"]).unwrap();
    assert_eq!(layers, dist.layers());
    let summary = job.summary().split_off(plan.len());
    for kind in ["layers", "relay_layers"] {
        for region in ["eu-west-1", "us-east-1"] {
            let arn = |arch: &str| layers[kind][arch]["regions"][region]["arn"].as_str().unwrap().to_owned();
            let row = format!("| `{region}` | `{}` | `{}` |", arn(ARCHES[0]), arn(ARCHES[1]));
            assert!(summary.lines().any(|line| line == row), "no {row} in\n{summary}");
        }
    }

    job.publisher.run(&dist, &["verify"]).expect(0);
    let verified = job.summary().split_off(plan.len() + summary.len());
    assert!(verified.contains("8 layer versions of 1.2.3 are as layers.json says"), "{verified}");
    assert_eq!(job.outputs()["layers"], outputs["layers"]);
}

#[test]
fn missing_and_different_layers_are_in_the_summary() {
    let proxy = Proxy::start(ministack().address(), |seen| {
        if seen.publishes() && seen.region == "us-east-1" && seen.line.contains("arm64") {
            Verdict::error(403, "AccessDeniedException")
        } else {
            Verdict::Forward
        }
    });
    let job = Job::at(&proxy.url());
    let dist = Dist::new("github, incomplete");
    job.publisher.run(&dist, &EXECUTE).expect(3);
    let shown = job.summary();
    assert!(shown.starts_with("### Layers of 1.2.3: 3 published, 1 failed\n"), "{shown}");
    assert!(shown.contains("| `us-east-1` | – | `arn:"), "{shown}");
    let (_, missing) = shown.split_once("Not done:").unwrap();
    assert!(missing.contains("us-east-1  arm64  failed") && missing.contains("AccessDenied"), "{shown}");
    let passed_on: Value = serde_json::from_str(&job.outputs()["layers"]).unwrap();
    assert_eq!(passed_on, dist.layers());

    let before = shown.len();
    let mut layers = dist.layers();
    layers["layers"]["arm64"]["regions"]["eu-west-1"]["version"] = 9.into();
    fs::write(dist.path().join("layers.json"), layers.to_string()).unwrap();
    job.publisher.run(&dist, &["verify"]).expect(1);
    let shown = job.summary().split_off(before);
    assert!(shown.contains("1 of 3 layer versions of 1.2.3 are not as layers.json says"), "{shown}");
    assert!(shown.contains("eu-west-1  arm64  differs  version is missing, expected 9"), "{shown}");
}

#[test]
fn an_output_that_cannot_be_written_is_an_error_and_the_release_stays() {
    let job = Job::new();
    let dist = Dist::new("github, no output");
    fs::create_dir(job.path("output")).unwrap();
    let run = job.publisher.run(&dist, &EXECUTE).expect(1);
    run.says("which GITHUB_OUTPUT names").says("everything else is done");
    assert_eq!(dist.layers()["layers"]["arm64"]["regions"].as_object().unwrap().len(), 2);
}
