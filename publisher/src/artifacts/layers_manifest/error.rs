//! Errors of reading and writing `layers.json`.

use crate::{
    artifacts::{
        atomic_file::WriteError,
        layers_manifest::{OTHER_SCHEMA, SCHEMA},
    },
    aws::partition::Partition,
};
use std::{io, path::PathBuf};

/// Why `layers.json` cannot be used, or must not be replaced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LayersError {
    #[error("there is no {}", .0.display())]
    NotPublished(PathBuf),
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not a manifest of published layers that this version can read", path.display())]
    Parse { path: PathBuf, source: serde_json::Error },
    /// The file comes from another version of this tool.
    #[error("{} has schema {found}; this version reads schema {SCHEMA} to {OTHER_SCHEMA}", path.display())]
    Schema { path: PathBuf, found: u32 },
    /// The fields do not fit to the schema.
    #[error("{} has schema {found}, but {what}", path.display())]
    Contradiction { path: PathBuf, found: u32, what: &'static str },
    /// The file lists other layers, of which it would be the only record.
    #[error("{} is of other layers: {theirs}", path.display())]
    OtherLayer { path: PathBuf, theirs: String },
    /// Another account owns the layers in the file, so the file must not be replaced.
    #[error("{} lists the same zips in account {account} of {partition}", path.display())]
    OtherAccount {
        path: PathBuf,
        /// The account that the file names as the owner.
        account: String,
        partition: Partition,
    },
    #[error(transparent)]
    Write(#[from] WriteError),
}
