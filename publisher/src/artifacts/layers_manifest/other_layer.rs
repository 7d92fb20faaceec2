//! What `layers.json` says of layers that are not the extension's, for example those of an SDK.
//!
//! Such a file has schema 3. It has no commit and no toolchain, because the publisher did not build the zips. It says
//! instead what the extension's layers need not say: the shape of the names, the licence, and the name in the release
//! registry.

use crate::artifacts::layers_manifest::{LayersManifest, OTHER_SCHEMA, SCHEMA, YANKED_SCHEMA};
use serde::{Deserialize, Serialize};

/// The properties of layers that are not the extension's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OtherLayer {
    /// The template of the layers' names, as it was given. It is the same in every release.
    pub(crate) name_template: String,
    /// The licence that AWS shows to users of the layers.
    pub(crate) license: String,
    /// The template of the names in Sentry's release registry, such as `aws-layer:python`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) canonical: Option<String>,
}

impl LayersManifest {
    /// The schema that fits to the content.
    pub(super) fn schema_of_content(&self) -> u32 {
        match (&self.other_layer, &self.yanked) {
            (Some(_), _) => OTHER_SCHEMA,
            (None, Some(_)) => YANKED_SCHEMA,
            (None, None) => SCHEMA,
        }
    }

    /// What contradicts the schema, if anything does.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        let is_built = self.commit.is_some() && self.toolchain.is_some();
        let is_other = self.commit.is_none() && self.toolchain.is_none() && self.relay_layers.is_empty();
        if self.schema != self.schema_of_content() {
            return Some("the fields `yanked` and `other_layer` say otherwise");
        }
        match self.other_layer {
            Some(_) if !is_other => {
                Some("`other_layer` goes without `commit`, `toolchain` and `relay_layers`")
            }
            None if !is_built => Some("`commit` or `toolchain` is missing"),
            _ => None,
        }
    }

    /// What the layers are, for titles.
    pub(crate) fn what(&self) -> &str {
        self.other_layer.as_ref().map_or("Sentry Lambda extension", |other| &other.name_template)
    }
}

#[cfg(test)]
mod tests {
    use crate::artifacts::layers_manifest::{LayersManifest, sample};

    #[test]
    fn the_schema_follows_from_the_content() {
        let other = sample::other();
        assert_eq!((other.schema, other.contradiction()), (3, None));
        let mut yanked = other.clone();
        yanked.mark_yanked("2026-11-26T03:00:00Z".to_owned(), None);
        assert_eq!((yanked.schema, yanked.contradiction()), (3, None));
        assert!(yanked.unmark_yanked());
        assert_eq!(yanked, other);

        let wrong = [
            LayersManifest { schema: 1, ..sample::other() },
            LayersManifest { schema: 3, ..sample::full() },
            LayersManifest { schema: 2, ..sample::full() },
            LayersManifest { commit: sample::full().commit, ..sample::other() },
            LayersManifest { relay_layers: sample::full().relay_layers, ..sample::other() },
            LayersManifest { toolchain: None, ..sample::full() },
        ];
        for manifest in wrong {
            assert!(manifest.contradiction().is_some(), "{manifest:?}");
        }
    }
}
