//! What can be wrong with a `layers.json`.

use crate::{
    artifacts::{atomic_file::WriteError, layers_manifest::SCHEMA},
    aws::partition::Partition,
};
use std::{io, path::PathBuf};

/// A `layers.json` that is of no use, or must not be lost.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayersError {
    /// Nothing was published.
    #[error("there is no {}", .0.display())]
    NotPublished(PathBuf),
    /// It is there and cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not the shape that this version writes.
    #[error("{} is not a manifest of published layers that this version can read", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// From another version of this tool.
    #[error("{} has schema {found}; this version reads schema {SCHEMA}", path.display())]
    Schema {
        /// Which.
        path: PathBuf,
        /// What it says.
        found: u32,
    },
    /// The file belongs to somebody else.
    #[error("{} lists these very zips in account {account} of {partition}", path.display())]
    OtherAccount {
        /// Which.
        path: PathBuf,
        /// The account in it.
        account: String,
        /// The partition in it.
        partition: Partition,
    },
    /// It could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}
