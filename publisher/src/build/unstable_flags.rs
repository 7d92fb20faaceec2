//! Options that make the binary even smaller if std is compiled from source, as far as this Rust has them.
//!
//! These options are unstable: any release may rename or drop one, and rustc and cargo refuse to compile with an
//! option that they do not know. So unknown options are left out, with a warning.

use crate::{
    build::{musl_std::StdKind, rust::Rust},
    ui::Ui,
};
use std::{fs, path::Path};

/// Options for rustc. Each makes the binary a few per cent smaller; `docs/performance-experiments.md` has the
/// figures.
const FLAGS: [&str; 4] = [
    // A panic in a destructor ends the process, so that no drop needs a landing pad. No destructor of ours can panic.
    "-Zpanic-in-drop=abort",
    // Only panics unwind, and they start from calls.
    "-Zuse-sync-unwind=yes",
    // In the text of an error, `{:?}` prints the name of an enum variant without its fields.
    "-Zfmt-debug=shallow",
    // A panic names its file but not the line. Its message tells the rest, and all places in one file share their data.
    "-Zlocation-detail=file",
];

/// The feature of std that optimizes it for size.
const FOR_SIZE: &str = "optimize_for_size";

/// The options that this Rust has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnstableFlags {
    /// The flags that rustc accepts.
    pub(crate) flags: Vec<&'static str>,
    /// Whether std has the feature `optimize_for_size`.
    pub(crate) std_for_size: bool,
}

impl UnstableFlags {
    /// Finds the options that the rustc that cargo would call in `folder` has. If std is not compiled, there are
    /// none.
    pub(crate) fn of(std: StdKind, rust: &Rust, folder: &Path, ui: &Ui) -> Self {
        if std == StdKind::Prebuilt {
            return Self::default();
        }
        let library = rust.sources().join("library");
        // cargo looks for the feature in all of std's packages. These two pass it on to the others.
        let std_for_size = ["sysroot", "std"].iter().any(|package| {
            let manifest = fs::read_to_string(library.join(package).join("Cargo.toml"));
            manifest.is_ok_and(|manifest| has_feature(&manifest, FOR_SIZE))
        });
        let this = Self { flags: accepted(|flags| Rust::accepts(flags, folder)), std_for_size };
        if let Some(missing) = this.missing() {
            ui.warning(format_args!("the binary will be larger: this Rust does not have {missing}"));
        }
        this
    }

    fn missing(&self) -> Option<String> {
        let flags = FLAGS.into_iter().filter(|flag| !self.flags.contains(flag));
        let feature = (!self.std_for_size).then_some(FOR_SIZE);
        let names: Vec<&str> = flags.chain(feature).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}

/// Asks rustc about all flags at once and, if it refuses them, about each one.
fn accepted(accepts: impl Fn(&[&str]) -> bool) -> Vec<&'static str> {
    if accepts(&FLAGS) {
        return FLAGS.to_vec();
    }
    FLAGS.into_iter().filter(|flag| accepts(&[flag])).collect()
}

/// Whether a `Cargo.toml` declares this feature.
fn has_feature(manifest: &str, feature: &str) -> bool {
    let lines = manifest.lines().map(str::trim).skip_while(|&line| line != "[features]").skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .any(|(name, _)| name.trim().trim_matches('"') == feature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_rustc_that_accepts_all_flags_is_asked_once() {
        let asked = Cell::new(0);
        let flags = accepted(|_| {
            asked.set(asked.get() + 1);
            true
        });
        assert_eq!((flags.as_slice(), asked.get()), (&FLAGS[..], 1));
        assert_eq!(UnstableFlags { flags, std_for_size: true }.missing(), None);
    }

    #[test]
    fn a_flag_that_rustc_refuses_is_left_out_and_named() {
        let without_drop = |flags: &[&str]| !flags.iter().any(|flag| flag.contains("panic-in-drop"));
        let flags = accepted(without_drop);
        assert_eq!(flags, ["-Zuse-sync-unwind=yes", "-Zfmt-debug=shallow", "-Zlocation-detail=file"]);
        let missing = UnstableFlags { flags, std_for_size: true }.missing();
        assert_eq!(missing.as_deref(), Some("-Zpanic-in-drop=abort"));

        assert!(accepted(|_| false).is_empty());
        let missing = UnstableFlags::default().missing().unwrap();
        assert!(FLAGS.iter().all(|flag| missing.contains(flag)) && missing.ends_with(", optimize_for_size"));
    }

    #[test]
    fn only_the_table_of_features_declares_a_feature() {
        let manifest = "[dependencies]\nfast = 1\n\n[features]\ndefault = []\n\
            optimize_for_size = [\"core/x\"]\n\n[lints]\nmore = 1\n";
        assert!(has_feature(manifest, FOR_SIZE) && has_feature(manifest, "default"));
        for other in ["fast", "more", "optimize", ""] {
            assert!(!has_feature(manifest, other), "{other}");
        }
        assert!(!has_feature("[package]\n", FOR_SIZE));
    }
}
