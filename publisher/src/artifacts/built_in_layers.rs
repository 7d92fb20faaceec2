//! The `layers.json` inside a released publisher. A release publishes the layers first, and then builds the publisher
//! with their list (`build.rs`). A publisher that was built from source has none.

use crate::artifacts::layers_manifest::{LayersError, LayersManifest};
use std::{path::Path, sync::OnceLock};

/// Empty if there are none.
const TEXT: &str = include_str!(concat!(env!("OUT_DIR"), "/layers.json"));

/// The layers inside this program, or `None` if it has none.
pub(crate) fn manifest() -> Option<Result<LayersManifest, LayersError>> {
    (!TEXT.is_empty())
        .then(|| LayersManifest::parse(TEXT.as_bytes(), Path::new("layers.json inside this publisher")))
}

/// The text of `--version`: that of the program, and that of the layers inside.
pub(crate) fn long_version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(|| {
        let layers = match manifest() {
            None => "built from source, without layers inside".to_owned(),
            Some(Ok(layers)) => format!("with the layers of {}", layers.version),
            Some(Err(error)) => format!("with layers that it cannot read: {error}"),
        };
        format!("{} ({layers})", env!("CARGO_PKG_VERSION"))
    })
}
