//! `publisher assemble`: combines the builds of several machines into one release.

use crate::{
    artifacts::{
        build_folder::BuildFolder,
        build_manifest::{self, BuildManifest},
        bundle::{self, Bundle},
    },
    build::dist,
    commands::compare,
    failure::{Code, Failure},
    github_actions::WorkflowStep,
    model::arch::Arch,
    ui::Ui,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Arguments of `publisher assemble`.
#[derive(clap::Args)]
pub(crate) struct Assemble {
    /// The folder with the builds, each made twice: built-arm64-first, built-arm64-second, built-x86_64-first and
    /// built-x86_64-second
    #[arg(value_name = "BUILT")]
    built: PathBuf,

    /// The folder to make of them; it must not exist
    #[arg(value_name = "OUT")]
    out: PathBuf,
}

impl Assemble {
    /// Compares the two builds of each architecture, and combines the first builds.
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        if self.out.exists() {
            let text = format!("{} exists already", self.out.display());
            return Err(Failure::message(Code::Failed, text).hint("name a folder that does not exist"));
        }
        let mut builds = Vec::new();
        for arch in Arch::ALL {
            let copy = |name: &str| compare::open(&self.built.join(format!("built-{arch}-{name}")));
            let first = copy("first")?;
            compare::same(&first, &copy("second")?, ui)?;
            builds.push(first);
        }
        let manifest =
            BuildManifest::merged(builds.iter().map(|build| &build.manifest)).ok_or_else(|| {
                let files: Vec<String> = builds
                    .iter()
                    .map(|build| build.path.join(build_manifest::FILE).display().to_string())
                    .collect();
                let text = "the architectures were built from different commits or by different tools";
                Failure::message(Code::Failed, text).hint(format!("see: diff {}", files.join(" ")))
            })?;
        self.write(&builds, &manifest)?;
        let lines = compare::report(&manifest.artifacts);
        if ui.json() {
            ui.result(manifest.to_json().map_err(Failure::new)?);
        } else {
            ui.result(lines.join("\n"));
        }
        let list: Vec<String> = lines.iter().map(|line| format!("- {line}")).collect();
        WorkflowStep::from_env().summary(&list.join("\n"))?;
        Ok(())
    }

    /// Writes a temporary folder, and moves it into place once it is complete and fit to be published.
    fn write(&self, builds: &[BuildFolder], manifest: &BuildManifest) -> Result<(), Failure> {
        let cannot_write = |error: io::Error| {
            let text = format!("cannot create {}: {error}", self.out.display());
            Failure::message(Code::Failed, text).hint("choose a writable folder")
        };
        let parent =
            self.out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let temporary =
            tempfile::Builder::new().prefix(".assemble-").tempdir_in(parent).map_err(cannot_write)?;
        for build in builds {
            for file in build.manifest.artifacts.iter().filter_map(|artifact| artifact.file_name()) {
                fs::copy(build.path.join(file), temporary.path().join(file)).map_err(cannot_write)?;
            }
        }
        fs::write(temporary.path().join(bundle::SUMS), dist::sums(&manifest.artifacts))
            .map_err(cannot_write)?;
        let json = format!("{}\n", manifest.to_json().map_err(Failure::new)?);
        fs::write(temporary.path().join(build_manifest::FILE), json).map_err(cannot_write)?;
        Bundle::open(temporary.path(), None)
            .map_err(|error| Failure::new(error).hint("build again: ci/build"))?;
        readable(temporary.path())
            .and_then(|()| fs::rename(temporary.path(), &self.out))
            .map_err(cannot_write)
    }
}

/// Makes the folder readable for everybody, because temporary folders are private to their owner.
#[cfg(unix)]
fn readable(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn readable(_folder: &Path) -> io::Result<()> {
    Ok(())
}
