//! `verify --arn`: compares one layer version with the files of its release, with the credentials of any account.
//!
//! The bytes are unpacked only if they are those of the release. So a zip of somebody else is never parsed.

use crate::{
    artifacts::{layers_manifest::LayersManifest, safe_zip, zip_contents},
    aws::{
        download,
        layer_arn::LayerArn,
        layers::{RegionLayers, VisibleVersion},
    },
    commands::{
        common::account,
        verify::{
            Verify,
            attestation::{self, Attestation},
            release_files::ReleaseFiles,
        },
    },
    failure::{Code, Failure, chain},
    model::{
        digest::Digest,
        layer_layout::{LICENSE, NOTICES, RELAY_LICENSE},
        variant::Variant,
    },
    ui::{self, Ui},
};
use serde::Serialize;
use std::io::Cursor;
use zip::ZipArchive;

/// The maximum size of a zip that is downloaded. Lambda's limit for an unpacked layer is the same.
const LARGEST_ZIP: u64 = 250 * 1024 * 1024;

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Ok,
    Differs,
    /// It could not be checked. This says nothing about the layer version.
    Unknown,
}

#[derive(Serialize)]
struct ArnCheck {
    check: &'static str,
    outcome: Outcome,
    detail: String,
}

/// The result as `--json` prints it.
#[derive(Serialize)]
struct ArnDocument<'a> {
    arn: String,
    ok: bool,
    description: &'a str,
    license: &'a str,
    sha256: String,
    checks: &'a [ArnCheck],
}

/// The checks so far.
#[derive(Default)]
struct Checks(Vec<ArnCheck>);

impl Checks {
    fn add(&mut self, check: &'static str, outcome: Outcome, detail: impl Into<String>) {
        self.0.push(ArnCheck { check, outcome, detail: detail.into() });
    }

    fn compare(&mut self, check: &'static str, holds: bool, detail: impl Into<String>) {
        self.add(check, if holds { Outcome::Ok } else { Outcome::Differs }, detail);
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.0.iter().filter(|check| check.outcome == outcome).count()
    }
}

impl Verify {
    pub(super) async fn verify_arn(&self, ui: &Ui, arn: &LayerArn) -> Result<(), Failure> {
        let files = ReleaseFiles::open(&self.dist)?;
        let (session, _) = account::open_session(ui, &self.account_options, Some(&arn.region)).await?;
        let layers = RegionLayers::new(&session, &arn.region);
        let version = layers.visible_version(&arn.to_string()).await.map_err(|error| {
            Failure::new(layers.in_region(error)).hint(
                "the version does not exist, is not shared with this account, or was yanked; nothing could be compared",
            )
        })?;
        let zip = download::bytes(&version.location, session.timeouts.answer(), LARGEST_ZIP).await;
        let zip = zip.map_err(|error| Failure::new(error).hint("run the same command again"))?;
        let digest = Digest::of(&zip);
        let mut checks = Checks::default();
        let variant = compare_with_release(&mut checks, &files, arn, &version, &digest);
        let is_of_release = checks.count(Outcome::Differs) == 0;
        if is_of_release {
            look_inside(&mut checks, &files, &zip, variant);
            self.ask_github(&mut checks, &files, &zip);
        } else {
            let text = "not unpacked, since it is not a layer of this release";
            checks.add("content", Outcome::Unknown, text);
        }
        show(ui, arn, &version, &digest, &checks)
    }

    fn ask_github(&self, checks: &mut Checks, files: &ReleaseFiles, zip: &[u8]) {
        let tag = files.manifest.as_ref().map(|manifest| format!("v{}", manifest.version));
        let commit = files.manifest.as_ref().and_then(|manifest| manifest.commit.as_deref());
        let source = tag.as_deref().zip(commit);
        match attestation::check(zip, self.repository.as_deref(), source) {
            Attestation::Holds(text) => checks.add("attestation", Outcome::Ok, text),
            Attestation::Fails(text) => checks.add("attestation", Outcome::Differs, text),
            Attestation::Unknown(text) => checks.add("attestation", Outcome::Unknown, text),
        }
    }
}

/// Compares what Lambda says, and the downloaded bytes, with the files of the release. Returns the layer's variant if
/// `layers.json` has the ARN.
fn compare_with_release(
    checks: &mut Checks,
    files: &ReleaseFiles,
    arn: &LayerArn,
    version: &VisibleVersion,
    digest: &Digest,
) -> Option<Variant> {
    checks.compare("download", digest.base64() == version.code_sha256, format!("sha256 {digest}"));
    let layer = files.layer(&arn.to_string());
    match (&files.manifest, layer) {
        (None, _) => checks.add("layers.json", Outcome::Unknown, "there is none in the folder"),
        (Some(manifest), None) => {
            let text = format!("the release {} has no such layer version", manifest.version);
            checks.add("layers.json", Outcome::Differs, text);
        }
        (Some(manifest), Some((variant, layer))) => {
            checks.add("layers.json", Outcome::Ok, origin(variant, manifest));
            let text = format!("layers.json has {}", layer.sha256);
            checks.compare("sha256", layer.sha256 == *digest, text);
            let short = digest.short();
            let words = match &manifest.commit {
                Some(commit) => [manifest.version.as_str(), commit.get(..12).unwrap_or(commit)],
                None => [short.as_str(); 2],
            };
            let holds = words.iter().all(|word| version.description.contains(word));
            let text: String = version.description.chars().filter(|c| !c.is_control()).collect();
            checks.compare("description", holds, text);
        }
    }
    if let Some(yanked) = files.manifest.as_ref().and_then(|manifest| manifest.yanked.as_ref()) {
        checks.add("yank", Outcome::Differs, format!("the release was {yanked}"));
    }
    if files.has_sums() {
        let found = files.zip_named(digest);
        let text =
            found.map_or_else(|| "lists no zip with these bytes".to_owned(), |name| format!("it is {name}"));
        checks.compare("SHA256SUMS", found.is_some(), text);
    } else {
        checks.add("SHA256SUMS", Outcome::Unknown, "there is none in the folder");
    }
    layer.map(|(variant, _)| variant)
}

/// What `layers.json` says about the origin of a layer.
fn origin(variant: Variant, manifest: &LayersManifest) -> String {
    match &manifest.commit {
        Some(commit) => format!("{variant} of {}, commit {commit}", manifest.version),
        None => format!("{variant} of {} {}", manifest.what(), manifest.version),
    }
}

/// Checks the content of a zip whose bytes are those of the release.
fn look_inside(checks: &mut Checks, files: &ReleaseFiles, zip: &[u8], variant: Option<Variant>) {
    let Some(variant) = variant else {
        checks.add(
            "content",
            Outcome::Unknown,
            "without layers.json, it is not known which architecture it is for",
        );
        return;
    };
    let is_other = files.manifest.as_ref().is_some_and(|manifest| manifest.other_layer.is_some());
    let Some(arch) = variant.arch.single().filter(|_| !is_other) else {
        match safe_zip::check(zip) {
            Ok(()) => checks.add("content", Outcome::Ok, "it can be unpacked, and nothing leads out of /opt"),
            Err(error) => checks.add("content", Outcome::Differs, chain(&error)),
        }
        return;
    };
    match zip_contents::check(zip, arch) {
        Ok(()) => {
            checks.add("content", Outcome::Ok, format!("an extension for {arch} and its wrapper"));
        }
        Err(error) => checks.add("content", Outcome::Differs, chain(&error)),
    }
    match ZipArchive::new(Cursor::new(zip)) {
        Ok(archive) => {
            let texts: Vec<&str> = [LICENSE, NOTICES, RELAY_LICENSE]
                .into_iter()
                .filter(|n| archive.index_for_name(n).is_some())
                .collect();
            let outcome = if texts.contains(&LICENSE) { Outcome::Ok } else { Outcome::Unknown };
            let text = if texts.is_empty() { "the layer has no texts".to_owned() } else { texts.join(", ") };
            checks.add("licences", outcome, text);
        }
        Err(error) => checks.add("licences", Outcome::Differs, chain(&error)),
    }
    match files.bill_of_materials(arch) {
        None => checks.add("SBOM", Outcome::Unknown, "there is none in the folder"),
        Some(Ok((name, count))) => checks.add("SBOM", Outcome::Ok, format!("{name}: {count} components")),
        Some(Err(error)) => checks.add("SBOM", Outcome::Differs, error),
    }
}

fn show(
    ui: &Ui,
    arn: &LayerArn,
    version: &VisibleVersion,
    digest: &Digest,
    checks: &Checks,
) -> Result<(), Failure> {
    let differing = checks.count(Outcome::Differs);
    if ui.json() {
        let document = ArnDocument {
            arn: arn.to_string(),
            ok: differing == 0,
            description: &version.description,
            license: &version.license,
            sha256: digest.to_string(),
            checks: &checks.0,
        };
        ui.result(serde_json::to_string_pretty(&document).map_err(Failure::new)?);
    } else {
        let row = |check: &ArnCheck| {
            let outcome = match check.outcome {
                Outcome::Ok => "ok",
                Outcome::Differs => "differs",
                Outcome::Unknown => "not checked",
            };
            [check.check.to_owned(), outcome.to_owned(), check.detail.clone()]
        };
        ui.result(ui::table(["check", "result", ""], checks.0.iter().map(row)));
    }
    if differing > 0 {
        let text = format!("{arn} is not what the release says: {differing} checks differ");
        return Err(Failure::message(Code::Failed, text)
            .hint("do not attach it; compare it with the files of the release that it claims to be of"));
    }
    let unknown = checks.count(Outcome::Unknown);
    if unknown > 0 {
        ui.warning(format!("{unknown} checks could not be made; the table says why"));
    }
    ui.status("Verified", format!("{arn}: all that could be checked holds"));
    Ok(())
}
