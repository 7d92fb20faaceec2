//! `publisher build`: compiles the extension and packs it into layer zips.

use crate::{
    artifacts::{
        build_manifest::{self, Artifact, BuildManifest, RelayPart, Toolchain},
        bundle,
    },
    build::{
        commit::Commit,
        compile::{Compile, Program},
        dist::{self, Dist},
        finish,
        layer_zip::{self, EntryContent, ZipEntry},
        licences::Licences,
        linked_crates,
        musl_std::{self, StdMode},
        relay::{
            part::{self, PackedRelay},
            registry, source,
            store::Store,
        },
        release,
        tools::Tools,
        unstable_flags::UnstableFlags,
        workspace::{PACKAGE, Workspace},
        zip_cache::ZipCache,
    },
    failure::{Code, Failure, chain},
    github_actions::WorkflowStep,
    model::{
        arch::Arch,
        digest::Digest,
        variant::{LayerKind, Variant},
    },
    ui::{self, Ui},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    path::PathBuf,
};

/// Arguments of `publisher build`.
#[derive(clap::Args)]
pub(crate) struct Build {
    /// Architecture to build for; may be repeated [default: both]
    #[arg(long = "arch", value_name = "ARCH", value_enum)]
    archs: Vec<Arch>,

    /// Folder to write to [default: dist in the workspace]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Where Rust's std for musl comes from
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    std: StdMode,

    /// Also make layers with Sentry's own Relay: a file, a folder with relay-Linux-x86_64 and
    /// relay-Linux-aarch64, or a version
    #[arg(long, value_name = "PATH|VERSION")]
    relay: Option<String>,

    /// The release registry that knows Relay's versions
    #[arg(long, value_name = "URL", default_value = registry::DEFAULT, requires = "relay")]
    relay_registry: String,

    /// Refuse what is no release: a version that CHANGELOG.md does not name as released, changes that are in no
    /// commit, a tag of another version
    #[arg(long)]
    release: bool,

    /// Leave Relay's debug sections in
    #[arg(long, requires = "relay")]
    keep_debug: bool,
}

/// A finished zip that is not yet in the output folder.
struct Packed {
    artifact: Artifact,
    zip: Vec<u8>,
}

impl Build {
    /// Finds the tools, compiles, checks and packs. It writes the files only after all of this succeeded.
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let workspace = Workspace::find()?;
        let epoch = env::var_os("SOURCE_DATE_EPOCH").map(|value| value.to_string_lossy().into_owned());
        let mtime = layer_zip::mtime(epoch.as_deref()).map_err(|error| {
            Failure::message(Code::Usage, error.to_string()).hint("unset it, or use: git log -1 --format=%ct")
        })?;
        let commit = Commit::of(&workspace.root).unwrap_or_else(|error| {
            ui.warning(format_args!("the commit is not recorded: {}", chain(&error)));
            Commit::Unknown
        });
        let out = self.out.clone().unwrap_or_else(|| workspace.root.join("dist"));
        if self.release {
            release::check(&workspace, &commit, &out)?;
        }
        let dist = Dist::open(&out)?;
        let archs = self.archs();
        let mut parts = self.relays(&archs, &workspace, ui)?;
        let tools = Tools::find(&workspace, ui)?;
        let std = musl_std::provide(self.std, &archs, &tools.rust, &workspace, ui)?;
        let smaller = UnstableFlags::of(std, &tools.rust, &workspace.root, ui);

        let zips = Packer { cache: ZipCache::of(&workspace), mtime, ui };
        let compile = Compile {
            program: Program::Extension,
            workspace: &workspace,
            commit: &commit,
            tools: &tools,
            std,
            smaller: &smaller,
        };
        let mut packed = Vec::new();
        for arch in archs {
            ui.status("Building", format_args!("sentry-lambda-extension {} for {arch}", workspace.version));
            // A crate without a licence must not get into a layer. This is checked first, because the compiler
            // runs for minutes.
            let crates = linked_crates::linked(&workspace, PACKAGE, arch.target())?;
            let licences = Licences::collect(&workspace, &crates)?;
            let binary = finish::finished(arch, &compile.run(arch)?, &workspace.version, &crates)?;
            packed.push(zips.pack(arch, &binary, &licences)?);
            if let Some(part) = parts.remove(&arch) {
                packed.push(zips.pack_with_relay(arch, &binary, &licences, part)?);
            }
        }
        let manifest = BuildManifest {
            schema: build_manifest::SCHEMA,
            version: workspace.version.clone(),
            commit: commit.full(),
            toolchain: Toolchain {
                rustc: tools.rust.version.clone(),
                cargo_lambda: tools.cargo_lambda_version.clone(),
                zig: tools.zig_version.clone(),
                std: std.name().to_owned(),
            },
            artifacts: packed.iter().map(|packed| packed.artifact.clone()).collect(),
        };
        let manifest = write(&dist, &packed, manifest, commit.is_exact(), ui)?;
        report(&manifest, ui)?;
        report_to_github(&manifest)
    }

    /// Loads and prepares Relay. This comes before the compiler, which runs for minutes, so that problems show early.
    fn relays(
        &self,
        archs: &[Arch],
        workspace: &Workspace,
        ui: &Ui,
    ) -> Result<BTreeMap<Arch, PackedRelay>, Failure> {
        let Some(relay) = &self.relay else { return Ok(BTreeMap::new()) };
        let asked = if self.archs.is_empty() { &[] } else { archs };
        let store = Store::new(workspace, &self.relay_registry, ui)?;
        let relays = source::load(relay, asked, archs, &store)?;
        let parts =
            relays.into_iter().map(|relay| Ok((relay.arch, PackedRelay::make(relay, self.keep_debug, ui)?)));
        parts.collect()
    }

    /// The architectures to build, without duplicates and in their usual order.
    fn archs(&self) -> Vec<Arch> {
        if self.archs.is_empty() {
            return Arch::ALL.to_vec();
        }
        self.archs.iter().copied().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

/// Packs binaries into zips.
struct Packer<'a> {
    cache: ZipCache,
    mtime: zip::DateTime,
    ui: &'a Ui,
}

impl Packer<'_> {
    fn pack(&self, arch: Arch, binary: &[u8], licences: &Licences) -> Result<Packed, Failure> {
        let mut entries = vec![ZipEntry::extension(binary), ZipEntry::wrapper()];
        entries.extend(licences.entries());
        let zip = self.zip(&entries)?;
        Ok(Packed { artifact: artifact(arch, binary, &zip, None), zip })
    }

    /// Packs the extension together with Relay.
    fn pack_with_relay(
        &self,
        arch: Arch,
        binary: &[u8],
        licences: &Licences,
        part: PackedRelay,
    ) -> Result<Packed, Failure> {
        let entries = part.entries(binary, licences)?;
        let zip = self.zip(&entries)?;
        let artifact = artifact(arch, binary, &zip, Some(part.about));
        part::warn_of_size(&artifact.file, artifact.size, self.ui);
        Ok(Packed { artifact, zip })
    }

    fn zip(&self, entries: &[ZipEntry<'_>]) -> Result<Vec<u8>, Failure> {
        let time = self.mtime.to_string();
        let names: Vec<String> = entries.iter().map(identity).collect();
        let mut input = vec![time.as_bytes()];
        for (name, entry) in names.iter().zip(entries) {
            input.extend([name.as_bytes(), content(entry)]);
        }
        let make = || layer_zip::assemble(entries, self.mtime);
        self.cache.zip(&input, self.ui, make).map_err(Failure::new)
    }
}

/// The part of the cache key that describes an entry apart from its content: the name, and the mode or the link target.
fn identity(entry: &ZipEntry<'_>) -> String {
    match entry.kind {
        EntryContent::File { mode, .. } => format!("{} {mode:o}", entry.name),
        EntryContent::Link(target) => format!("{} -> {target}", entry.name),
    }
}

fn content<'a>(entry: &ZipEntry<'a>) -> &'a [u8] {
    match entry.kind {
        EntryContent::File { content, .. } => content,
        EntryContent::Link(_) => &[],
    }
}

fn artifact(arch: Arch, binary: &[u8], zip: &[u8], relay: Option<RelayPart>) -> Artifact {
    let kind = if relay.is_some() { LayerKind::Relay } else { LayerKind::Plain };
    Artifact {
        arch,
        file: dist::zip_name(Variant::new(arch, kind)),
        sha256: Digest::of(zip).to_string(),
        size: zip.len() as u64,
        binary_sha256: Digest::of(binary).to_string(),
        binary_size: binary.len() as u64,
        relay,
    }
}

/// Writes the zips first, then the lists that name them. Returns the manifest as it was written.
fn write(
    dist: &Dist,
    packed: &[Packed],
    mut manifest: BuildManifest,
    exact_commit: bool,
    ui: &Ui,
) -> Result<BuildManifest, Failure> {
    let previous = dist.previous();
    for Packed { artifact, zip } in packed {
        dist.write(&artifact.file, zip)?;
    }
    if let Some(previous) = previous {
        let kept = dist::kept(&previous, &manifest, exact_commit, |name| dist.hash(name));
        for artifact in &kept {
            ui.status("Keeping", format_args!("{}, of the same commit and tools", artifact.file));
        }
        manifest.artifacts.extend(kept);
        manifest.artifacts.sort_by_key(Artifact::variant);
    }
    for variant in Variant::all() {
        let listed = manifest.artifacts.iter().any(|artifact| artifact.variant() == variant);
        let name = dist::zip_name(variant);
        if !listed && dist.remove(&name)? {
            ui.status("Removed", format_args!("{name}, of another build"));
        }
    }
    dist.write(bundle::SUMS, dist::sums(&manifest.artifacts).as_bytes())?;
    dist.write(build_manifest::FILE, format!("{}\n", manifest.to_json().map_err(Failure::new)?).as_bytes())?;
    Ok(manifest)
}

fn report(manifest: &BuildManifest, ui: &Ui) -> Result<(), Failure> {
    if ui.json() {
        ui.result(manifest.to_json().map_err(Failure::new)?);
        return Ok(());
    }
    let rows = manifest.artifacts.iter().map(|artifact| {
        let size = |bytes: u64| format!("{bytes:>9}");
        [artifact.file.clone(), size(artifact.binary_size), size(artifact.size), artifact.sha256.clone()]
    });
    ui.result(ui::table(["zip", "binary, bytes", "zip, bytes", "sha256"], rows));
    Ok(())
}

/// Writes the summary and the outputs of the workflow step, if GitHub Actions runs this command.
fn report_to_github(manifest: &BuildManifest) -> Result<(), Failure> {
    let row =
        |artifact: &Artifact| format!("| `{}` | {} | `{}` |", artifact.file, artifact.size, artifact.sha256);
    let rows: Vec<String> = manifest.artifacts.iter().map(row).collect();
    let version = &manifest.version;
    let commit = &manifest.commit;
    let head =
        format!("### Built: {version}, commit `{commit}`\n\n| Zip | Bytes | sha256 |\n| --- | ---: | --- |");
    let step = WorkflowStep::from_env();
    step.summary(&format!("{head}\n{}", rows.join("\n")))?;
    step.output("version", version)?;
    Ok(())
}
