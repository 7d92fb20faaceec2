//! Brings an image to a registry, and reads it back. What is there already is not sent again.

use crate::{
    model::digest::Digest,
    oci::{documents::Blob, image::Image, registry::Registry, registry_error::RegistryError},
};
use serde::Serialize;

/// Why the image is not in the registry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Somebody may rely on what the tag names.
    #[error("the tag {tag} is another image (sha256:{found})")]
    TagTaken { tag: String, found: Digest },
    #[error("the registry has {what} with other bytes than were sent (sha256:{found})")]
    ReadBack { what: String, found: Digest },
    #[error("the registry does not have {what}, which it has accepted")]
    Missing { what: String },
}

/// How much of the image was sent, and how much was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Pushed {
    pub(crate) uploaded: usize,
    pub(crate) existing: usize,
}

/// Pushes what is missing, and reads all manifests back. `replace` moves a tag that is another image.
pub(crate) fn push(
    registry: &mut Registry,
    image: &Image,
    tag: &str,
    replace: bool,
) -> Result<Pushed, PushError> {
    let tagged = registry.manifest(tag)?.map(|bytes| Digest::of(&bytes));
    if let Some(found) = tagged.filter(|found| *found != image.index.digest && !replace) {
        return Err(PushError::TagTaken { tag: tag.to_owned(), found });
    }
    let mut pushed = Pushed::default();
    let mut count = |sent: bool| if sent { pushed.uploaded += 1 } else { pushed.existing += 1 };
    for arch in &image.images {
        for blob in [&arch.config, &arch.layer] {
            let missing = !registry.has_blob(blob)?;
            if missing {
                registry.upload(blob)?;
            }
            count(missing);
        }
        count(put(registry, &arch.manifest.name(), &arch.manifest)?);
    }
    // The tag comes last, so that it never names an image that is incomplete.
    count(put(registry, tag, &image.index)?);
    for arch in &image.images {
        for blob in [&arch.config, &arch.layer] {
            if !registry.has_blob(blob)? {
                return Err(PushError::Missing { what: blob.name() });
            }
        }
        read_back(registry, &arch.manifest.name(), &arch.manifest)?;
    }
    read_back(registry, tag, &image.index)?;
    Ok(pushed)
}

/// Stores a manifest unless it is there. Returns whether it was sent.
fn put(registry: &mut Registry, reference: &str, blob: &Blob) -> Result<bool, RegistryError> {
    if registry.manifest(reference)?.is_some_and(|bytes| bytes == blob.bytes) {
        return Ok(false);
    }
    registry.put_manifest(reference, blob)?;
    Ok(true)
}

fn read_back(registry: &mut Registry, reference: &str, blob: &Blob) -> Result<(), PushError> {
    match registry.manifest(reference)? {
        Some(bytes) if Digest::of(&bytes) == blob.digest => Ok(()),
        Some(bytes) => Err(PushError::ReadBack { what: reference.to_owned(), found: Digest::of(&bytes) }),
        None => Err(PushError::Missing { what: reference.to_owned() }),
    }
}
