//! `publisher image`: puts the files of the layer into a container image, for functions that take no layers.

use crate::{
    artifacts::{
        build_manifest::BuildManifestError,
        bundle::{Bundle, BundleError},
    },
    failure::Failure,
    model::{arch::Arch, variant::LayerKind},
    oci::{
        credentials,
        image::Image,
        layout::{self, LayoutError},
        push::{self, PushError, Pushed},
        reference::Reference,
        registry::Registry,
        registry_error::RegistryError,
    },
    ui::Ui,
};
use serde::Serialize;
use std::{
    env,
    path::{Path, PathBuf},
};

/// Arguments of `publisher image`.
#[derive(clap::Args)]
pub(crate) struct ImageCommand {
    /// The folder with build.json, SHA256SUMS and the zips
    #[arg(long, value_name = "DIR", default_value = "dist")]
    dist: PathBuf,

    /// Only this architecture's image; both unless told
    #[arg(long, value_enum)]
    arch: Vec<Arch>,

    /// The files of the layers that carry Sentry's own Relay as well
    #[arg(long)]
    relay: bool,

    /// The folder to write the image into, as an OCI image layout [default: `image` or `image-relay` in --dist]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// The URL of the source code, for the image's annotations [default: that of GitHub Actions, if it runs this]
    #[arg(long, value_name = "URL")]
    source: Option<String>,

    /// Push the image to this name in a registry, e.g. ghcr.io/owner/name; the version is the tag unless one is given
    #[arg(long, value_name = "REF")]
    push: Option<Reference>,

    /// Move the tag, if it is another image
    #[arg(long, requires = "push")]
    replace: bool,
}

/// The result as `--json` prints it.
#[derive(Serialize)]
struct ImageDocument<'a> {
    /// The folder of the image layout.
    layout: &'a Path,
    version: &'a str,
    tag: &'a str,
    /// The digest of the index, by which the image can be named.
    digest: String,
    images: Vec<ArchDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pushed: Option<PushDocument>,
}

#[derive(Serialize)]
struct ArchDocument {
    arch: Arch,
    manifest: String,
    layer: String,
    size: usize,
}

#[derive(Serialize)]
struct PushDocument {
    reference: String,
    #[serde(flatten)]
    pushed: Pushed,
}

impl ImageCommand {
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let kind = if self.relay { LayerKind::Relay } else { LayerKind::Plain };
        let mut bundle = Bundle::open(&self.dist, Some(kind)).map_err(bundle_failure)?;
        let is_wanted =
            |arch: Option<Arch>| self.arch.is_empty() || arch.is_some_and(|arch| self.arch.contains(&arch));
        bundle.zips.retain(|zip| is_wanted(zip.variant.arch.single()));
        let source = self.source.clone().or_else(source_from_env);
        let image = Image::of(&bundle, kind, source.as_deref()).map_err(Failure::new)?;
        let out = self.out.clone().unwrap_or_else(|| self.dist.join(folder(kind)));
        layout::write(&image, &out).map_err(layout_failure)?;
        ui.status("Wrote", format!("{}, tag {}", out.display(), image.tag));
        let pushed = match &self.push {
            None => None,
            Some(reference) => {
                let tag = reference.tag.clone().unwrap_or_else(|| image.tag.clone());
                let reference = Reference { tag: Some(tag.clone()), ..reference.clone() };
                let pushed = self.push_to(&reference, &tag, &image)?;
                let Pushed { uploaded, existing } = pushed;
                ui.status("Pushed", format!("{reference}: {uploaded} sent, {existing} were there"));
                Some(PushDocument { reference: reference.to_string(), pushed })
            }
        };
        if ui.json() {
            let document = document(&out, &bundle, &image, pushed);
            ui.result(serde_json::to_string_pretty(&document).map_err(Failure::new)?);
        } else {
            ui.result(snippet(&image, pushed.as_ref()));
        }
        Ok(())
    }

    fn push_to(&self, reference: &Reference, tag: &str, image: &Image) -> Result<Pushed, Failure> {
        let credentials = credentials::find(&reference.registry).map_err(|error| {
            Failure::new(error).hint("log in again, or set DOCKER_CONFIG to another folder")
        })?;
        let mut registry = Registry::new(reference, credentials).map_err(registry_failure)?;
        push::push(&mut registry, image, tag, self.replace).map_err(|error| match error {
            PushError::Registry(error) => registry_failure(error),
            error @ PushError::TagTaken { .. } => {
                Failure::new(error).hint("push under another tag, or move this one: --replace")
            }
            error => Failure::new(error).hint("do not use the image; run the same command again"),
        })
    }
}

fn folder(kind: LayerKind) -> &'static str {
    match kind {
        LayerKind::Plain => "image",
        LayerKind::Relay => "image-relay",
    }
}

/// The URL of the repository for which GitHub Actions runs this.
fn source_from_env() -> Option<String> {
    let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
    Some(format!("{}/{}", set("GITHUB_SERVER_URL")?, set("GITHUB_REPOSITORY")?))
}

/// What a user writes into a Dockerfile.
fn snippet(image: &Image, pushed: Option<&PushDocument>) -> String {
    match pushed {
        // The digest makes sure that the image stays the same, whoever moves the tag.
        Some(pushed) => format!("COPY --from={}@{} /opt/ /opt/", pushed.reference, image.index.name()),
        None => "COPY --from=sentry-lambda-extension /opt/ /opt/".to_owned(),
    }
}

fn document<'a>(
    layout: &'a Path,
    bundle: &'a Bundle,
    image: &'a Image,
    pushed: Option<PushDocument>,
) -> ImageDocument<'a> {
    let images = image.images.iter().map(|image| ArchDocument {
        arch: image.arch,
        manifest: image.manifest.name(),
        layer: image.layer.name(),
        size: image.layer.bytes.len(),
    });
    ImageDocument {
        layout,
        version: &bundle.version,
        tag: &image.tag,
        digest: image.index.name(),
        images: images.collect(),
        pushed,
    }
}

fn bundle_failure(error: BundleError) -> Failure {
    let next = match &error {
        BundleError::NoRelay(_) => "build them: publisher build --relay PATH|VERSION",
        BundleError::Manifest(BuildManifestError::NotBuilt(_)) => {
            "name the folder with the zips, build.json and SHA256SUMS of a release with --dist, or build them: ci/build"
        }
        _ => "build first: ci/build; --dist names another folder to look in",
    };
    Failure::new(error).hint(next)
}

fn layout_failure(error: LayoutError) -> Failure {
    let next = match &error {
        LayoutError::Occupied(_) => "name another folder with --out; nothing was written",
        _ => "make the folder writable, or name another one with --out",
    };
    Failure::new(error).hint(next)
}

fn registry_failure(error: RegistryError) -> Failure {
    let next = match &error {
        RegistryError::Denied { .. } | RegistryError::Challenge { .. } => {
            "log in to the registry with `docker login`, as somebody who may push there"
        }
        RegistryError::Realm { .. } => "do not push there, or ask who runs the registry",
        RegistryError::Roots(_) => "correct the variable, or unset it to trust the system's certificates",
        _ => "run the same command again; what is in the registry already is not sent again",
    };
    Failure::new(error).hint(next)
}
