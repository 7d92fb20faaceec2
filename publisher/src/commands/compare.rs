//! `publisher compare`: checks that two builds of one commit have the same bytes.

use crate::{
    artifacts::{
        build_folder::BuildFolder,
        build_manifest::{Artifact, BuildManifestError},
    },
    failure::{Code, Failure},
    ui::Ui,
};
use std::path::{Path, PathBuf};

/// Arguments of `publisher compare`.
#[derive(clap::Args)]
pub(crate) struct Compare {
    /// One build: a folder as `publisher build` leaves it
    #[arg(value_name = "DIR")]
    first: PathBuf,

    /// The other build
    #[arg(value_name = "DIR")]
    second: PathBuf,
}

impl Compare {
    /// Prints the hash of each zip if the two builds are the same, and fails if they are not.
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let first = open(&self.first)?;
        same(&first, &open(&self.second)?, ui)?;
        if ui.json() {
            ui.result(first.manifest.to_json().map_err(Failure::new)?);
        } else {
            ui.result(report(&first.manifest.artifacts).join("\n"));
        }
        Ok(())
    }
}

pub(crate) fn open(folder: &Path) -> Result<BuildFolder, Failure> {
    BuildFolder::open(folder).map_err(|error: BuildManifestError| {
        Failure::new(error).hint("name folders as `publisher build --out` leaves them")
    })
}

/// Fails if any file differs between the two builds.
pub(crate) fn same(first: &BuildFolder, second: &BuildFolder, ui: &Ui) -> Result<(), Failure> {
    let different = first.differences(second).map_err(Failure::new)?;
    if different.is_empty() {
        return Ok(());
    }
    for build in [first, second] {
        ui.text(&describe(build).join("\n"));
    }
    let different: Vec<String> = different.into_iter().collect();
    let text = format!("two builds differ: {}", different.join(" "));
    Err(Failure::message(Code::Failed, text).hint(
        "if only the zips differ, the packing differs; if the binaries differ, the compiling does; compare their \
         tools first",
    ))
}

/// Returns one line for each zip that was built twice.
pub(crate) fn report(artifacts: &[Artifact]) -> Vec<String> {
    let line =
        |artifact: &Artifact| format!("built twice, the same bytes: {} {}", artifact.file, artifact.sha256);
    artifacts.iter().map(line).collect()
}

/// Returns one line for each zip of a build, with its binary and the tools that made it.
fn describe(build: &BuildFolder) -> Vec<String> {
    let folder = build.path.display();
    let tools = &build.manifest.toolchain;
    let tools = [&*tools.rustc, &tools.cargo_lambda, &tools.zig, &tools.std].join("; ");
    let line = |artifact: &Artifact| {
        let Artifact { file, sha256, binary_sha256, .. } = artifact;
        format!("  {folder}: {file} {sha256}, binary {binary_sha256}, by {tools}")
    };
    build.manifest.artifacts.iter().map(line).collect()
}
