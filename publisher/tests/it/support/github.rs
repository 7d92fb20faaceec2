//! A repository on GitHub, as the scripts in `ci/` see it through the stand-in for `gh`, and a copy of its default
//! branch.

use super::{
    cli::{Publisher, Run},
    dist::{COMMIT, Dist},
};
use crate::build_fixture::repository;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

const REPOSITORY: &str = "owner/name";

pub struct GitHub {
    folder: tempfile::TempDir,
}

impl GitHub {
    /// A repository whose default branch has these scripts in `ci/`.
    pub fn new(scripts: &[&str]) -> Self {
        let github = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["branch/ci", "branch/dist", "state/releases", "state/tags", "state/issues"] {
            fs::create_dir_all(github.path(folder)).unwrap();
        }
        for script in scripts {
            fs::copy(repository().join("ci").join(script), github.path("branch/ci").join(script)).unwrap();
        }
        github
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The list of layers on the default branch.
    pub fn set_branch_layers(&self, layers: &Value) {
        fs::write(self.path("branch/dist/layers.json"), layers.to_string()).unwrap();
    }

    /// Publishes a version and makes its release, which has an attestation for each file.
    pub fn release(&self, publisher: &Publisher, seed: &str, version: &str, regions: &str) -> PathBuf {
        let dist = Dist::new(&format!("{version} of {seed}"));
        dist.edit_build(|build| build["version"] = json!(version));
        publisher.run(&dist, &["publish", "--execute", "--regions", regions]).expect(0);
        let tag = format!("v{version}");
        let there = self.path("state/releases").join(&tag);
        fs::create_dir(&there).unwrap();
        for name in dist.files().iter().filter(|name| !name.ends_with(".journal")) {
            fs::copy(dist.path().join(name), there.join(name)).unwrap();
            self.attest(&tag, &there.join(name));
        }
        fs::write(self.path("state/tags").join(&tag), format!("{COMMIT}\n")).unwrap();
        // The stand-in sorts releases by the time of their notes.
        fs::write(there.join("notes"), "").unwrap();
        there
    }

    /// Notes that the release workflow has made a file for a tag.
    pub fn attest(&self, tag: &str, file: &Path) {
        let noted = self.path("state/attestations");
        let mut text = fs::read_to_string(&noted).unwrap_or_default();
        let digest = hex_sha256(&fs::read(file).unwrap());
        let workflow = format!("{REPOSITORY}/.github/workflows/release.yml");
        writeln!(text, "{digest} refs/tags/{tag} {COMMIT} {workflow}").unwrap();
        fs::write(noted, text).unwrap();
    }

    /// Runs a script of the default branch, as a workflow does. It uses the publisher of this build, unless `env` says
    /// otherwise.
    pub fn run(&self, publisher: &Publisher, script: &str, args: &[&str], env: &[(&str, &str)]) -> Run {
        let mut path = vec![repository().join("ci/stand-ins")];
        path.extend(env::split_paths(&env::var_os("PATH").unwrap()));
        let started = Instant::now();
        let output = publisher
            .command(self.path("branch/ci").join(script).as_os_str())
            .args(args)
            .current_dir(self.path("branch"))
            .env("PATH", env::join_paths(path).unwrap())
            .env("PUBLISHER", env!("CARGO_BIN_EXE_publisher"))
            .env("GH_STATE", self.path("state"))
            .env("GITHUB_REPOSITORY", REPOSITORY)
            .env("GITHUB_OUTPUT", self.path("output"))
            .envs(env.iter().copied())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Run { code: output.status.code(), stdout, stderr, took: started.elapsed() }
    }

    /// The issue with this number.
    pub fn issue(&self, number: u32) -> Option<Value> {
        let text = fs::read(self.path("state/issues").join(number.to_string())).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }
}

pub fn hex_sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
