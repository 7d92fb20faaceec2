//! Asks `gh` whether the release workflow of a repository attested a zip.

use crate::build::exec;
use std::{
    io::{Read, Seek, Write},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The longest wait for `gh`, which asks GitHub.
const LONGEST: Duration = Duration::from_mins(2);
/// The exit code of `gh` if nobody is signed in.
const SIGNED_OUT: i32 = 4;

/// What is known about the attestation.
pub(super) enum Attestation {
    Holds(String),
    Fails(String),
    /// It could not be checked, for this reason.
    Unknown(String),
}

/// Checks the attestation of these bytes. If the tag and the commit are known, it has to be of them.
pub(super) fn check(zip: &[u8], repository: Option<&str>, source: Option<(&str, &str)>) -> Attestation {
    let Some(repository) = repository else {
        return Attestation::Unknown("name the repository with --repository".to_owned());
    };
    let Some(gh) = exec::find("gh") else {
        return Attestation::Unknown("gh is not installed: https://cli.github.com".to_owned());
    };
    match ask(Command::new(gh), zip, repository, source) {
        Ok(attestation) => attestation,
        Err(error) => Attestation::Unknown(format!("gh could not be asked: {error}")),
    }
}

fn ask(
    mut gh: Command,
    zip: &[u8],
    repository: &str,
    source: Option<(&str, &str)>,
) -> std::io::Result<Attestation> {
    let mut file = tempfile::Builder::new().suffix(".zip").tempfile()?;
    file.write_all(zip)?;
    let mut said = tempfile::tempfile()?;
    gh.args(["attestation", "verify"]).arg(file.path());
    gh.args([
        "--repo",
        repository,
        "--signer-workflow",
        &format!("{repository}/.github/workflows/release.yml"),
    ]);
    if let Some((tag, commit)) = source {
        gh.args(["--source-ref", &format!("refs/tags/{tag}"), "--source-digest", commit]);
    }
    gh.arg("--deny-self-hosted-runners");
    gh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said.try_clone()?);
    let mut child = gh.spawn()?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() > LONGEST {
            child.kill()?;
            child.wait()?;
            return Ok(Attestation::Unknown(format!("gh did not end within {} s", LONGEST.as_secs())));
        }
        thread::sleep(Duration::from_millis(20));
    };
    if status.success() {
        return Ok(Attestation::Holds(format!("by the release workflow of {repository}")));
    }
    let mut text = String::new();
    said.rewind()?;
    said.take(4096).read_to_string(&mut text)?;
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it gave no reason").to_owned();
    Ok(if status.code() == Some(SIGNED_OUT) { Attestation::Unknown(last) } else { Attestation::Fails(last) })
}
