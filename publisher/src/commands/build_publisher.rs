//! `publisher build-publisher`: compiles this program as a release has it: static, with the release's layers inside.

use crate::{
    artifacts::layers_manifest::LayersManifest,
    build::{
        commit::Commit,
        compile::{Compile, Program},
        dependency_list,
        dist::Dist,
        elf, licences, linked_crates,
        musl_std::{self, StdMode},
        tools::Tools,
        unstable_flags::UnstableFlags,
        workspace::{PUBLISHER, Workspace},
    },
    failure::{Code, Failure, chain},
    model::{arch::Arch, digest::Digest},
    ui::{self, Ui},
};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

/// The file with the licences of what is linked in.
const NOTICES: &str = "publisher-THIRD-PARTY-NOTICES.txt";

/// Arguments of `publisher build-publisher`.
#[derive(clap::Args)]
pub(crate) struct BuildPublisher {
    /// Architecture to build for; may be repeated [default: both]
    #[arg(long = "arch", value_name = "ARCH", value_enum)]
    archs: Vec<Arch>,

    /// The layers.json of the release, which goes into the program
    #[arg(long, value_name = "FILE")]
    layers: PathBuf,

    /// Folder to write to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Where Rust's std for musl comes from
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    std: StdMode,
}

/// A finished program.
#[derive(Serialize)]
struct Built {
    arch: Arch,
    file: String,
    size: usize,
    sha256: String,
}

impl BuildPublisher {
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let workspace = Workspace::find()?;
        let layers = self.checked_layers(&workspace)?;
        let commit = Commit::of(&workspace.root).unwrap_or(Commit::Unknown);
        let dist = Dist::open(&self.out)?;
        // A crate without a licence must not get into a release. This is checked first, because the compiler runs for
        // minutes.
        let notices = licences::notices_of_publisher(&workspace)?;
        let archs: BTreeSet<Arch> =
            if self.archs.is_empty() { Arch::ALL.into() } else { self.archs.iter().copied().collect() };
        let archs: Vec<Arch> = archs.into_iter().collect();
        let tools = Tools::find(&workspace, ui)?;
        let std = musl_std::provide(self.std, &archs, &tools.rust, &workspace, ui)?;
        let compile = Compile {
            program: Program::Publisher { layers: &layers },
            workspace: &workspace,
            commit: &commit,
            tools: &tools,
            std,
            // Those options shorten what `{:?}` prints, which this program uses.
            smaller: &UnstableFlags::default(),
        };
        let mut built = Vec::new();
        for arch in archs {
            ui.status("Building", format_args!("{PUBLISHER} {} for {arch}", workspace.version));
            let binary = compile.run(arch)?;
            let refused = |error| {
                let text = format!("the publisher built for {arch} does not run everywhere: {error}");
                Failure::message(Code::Failed, text)
                    .hint("nothing was written; publisher doctor shows the tools that made it")
            };
            elf::check(&binary, arch).map_err(refused)?;
            let crates = linked_crates::linked(&workspace, PUBLISHER, arch.target())?;
            let list = dependency_list::list(PUBLISHER, &workspace.version, &crates).map_err(Failure::new)?;
            let binary = dependency_list::add(&binary, &list).map_err(refused)?;
            let file = format!("{PUBLISHER}-linux-{arch}");
            dist.write(&file, &binary)?;
            fs::set_permissions(self.out.join(&file), Permissions::from_mode(0o755)).map_err(Failure::new)?;
            built.push(Built { arch, file, size: binary.len(), sha256: Digest::of(&binary).to_string() });
        }
        dist.write(NOTICES, notices.as_bytes())?;
        report(ui, &built)
    }

    /// The absolute path of the list of layers, if it is of this version and may be attached.
    fn checked_layers(&self, workspace: &Workspace) -> Result<PathBuf, Failure> {
        let hint = "name the layers.json that `publisher publish --execute` has written for this version";
        let manifest = LayersManifest::read(&self.layers).map_err(|error| Failure::new(error).hint(hint))?;
        if manifest.version != workspace.version {
            let (theirs, ours) = (manifest.version, &workspace.version);
            let text = format!("{} is of {theirs}, and this is publisher {ours}", self.layers.display());
            return Err(Failure::message(Code::Failed, text).hint(hint));
        }
        if let Some(yanked) = manifest.yanked {
            let text = format!("{} was {yanked}", manifest.version);
            return Err(Failure::message(Code::Failed, text).hint("release another version"));
        }
        std::path::absolute(&self.layers).map_err(|error| Failure::message(Code::Failed, chain(&error)))
    }
}

fn report(ui: &Ui, built: &[Built]) -> Result<(), Failure> {
    if ui.json() {
        ui.result(serde_json::to_string_pretty(built).map_err(Failure::new)?);
        return Ok(());
    }
    let rows =
        built.iter().map(|built| [built.file.clone(), format!("{:>9}", built.size), built.sha256.clone()]);
    ui.result(ui::table(["program", "bytes", "sha256"], rows));
    Ok(())
}
