//! The licences that go with a binary: in a layer that of the extension, and the notices of everything that is linked
//! in.

use crate::{
    build::{
        layer_zip::ZipEntry,
        linked_crates::{self, LicenceText, LinkedCrate},
        workspace::{PUBLISHER, Workspace},
    },
    failure::{Code, Failure},
    model::layer_layout,
};
use std::{collections::BTreeMap, fmt::Write, fs};

const APACHE: &str = include_str!("../../licences/Apache-2.0.txt");
const MUSL: &str = include_str!("../../licences/musl.txt");
const ZIG: &str = include_str!("../../licences/zig.txt");
/// Repositories whose crates come without a text, and the text in the repository.
const TEXTS_OF_REPOSITORIES: [(&str, &str); 1] =
    [("https://github.com/Nugine/simd", include_str!("../../licences/nugine-simd.txt"))];

/// The texts for the layer of one architecture.
pub(crate) struct Licences {
    own: String,
    notices: String,
}

/// A crate came without the text of its licence, so the layer may not be given to anybody.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} {version} ({license:?}), which is linked into the binary, has no licence file")]
pub(crate) struct NoLicenceText {
    name: String,
    version: String,
    license: String,
}

impl From<NoLicenceText> for Failure {
    fn from(error: NoLicenceText) -> Self {
        Self::new(error).hint("use a version of the crate that has one, or ask its authors for one")
    }
}

impl Licences {
    /// Reads the workspace's licence, and takes those of the linked crates.
    pub(crate) fn collect(workspace: &Workspace, crates: &[LinkedCrate]) -> Result<Self, Failure> {
        let path = workspace.root.join("LICENSE");
        let own = fs::read_to_string(&path).map_err(|error| {
            Failure::message(Code::Failed, format!("cannot read {}: {error}", path.display()))
                .hint("the layer carries this file: restore it, for example with git checkout")
        })?;
        Ok(Self { own, notices: notices(EXTENSION_HEAD, crates)? })
    }

    pub(crate) fn entries(&self) -> [ZipEntry<'_>; 2] {
        [
            ZipEntry::file(layer_layout::LICENSE, 0o644, self.own.as_bytes()),
            ZipEntry::file(layer_layout::NOTICES, 0o644, self.notices.as_bytes()),
        ]
    }
}

/// The targets that a release has the publisher for.
const PUBLISHER_TARGETS: [&str; 4] = [
    "aarch64-unknown-linux-musl",
    "x86_64-unknown-linux-musl",
    "aarch64-apple-darwin",
    "x86_64-apple-darwin",
];

/// The notices for the publisher of a release. One text serves all its targets.
pub(crate) fn notices_of_publisher(workspace: &Workspace) -> Result<String, Failure> {
    let mut crates: BTreeMap<(String, String), LinkedCrate> = BTreeMap::new();
    for target in PUBLISHER_TARGETS {
        for linked in linked_crates::linked(workspace, PUBLISHER, target)? {
            crates.insert((linked.name.clone(), linked.version.clone()), linked);
        }
    }
    let crates: Vec<LinkedCrate> = crates.into_values().collect();
    Ok(notices(PUBLISHER_HEAD, &crates)?)
}

const EXTENSION_HEAD: &str = "The Sentry extension for AWS Lambda is under the licence in the file LICENSE beside \
                              this one. Its binary contains the\nsoftware below, which is under these licences.\n";
const PUBLISHER_HEAD: &str = "The publisher of the Sentry extension for AWS Lambda is under the licence BSD-3-Clause, \
                              in the file LICENSE of its\nrepository. Its binaries contain the software below, which \
                              is under these licences.\n";

/// Writes each text once, below the names of everything that it is for.
fn notices(head: &str, crates: &[LinkedCrate]) -> Result<String, NoLicenceText> {
    let mut apache = vec!["Rust's standard library".to_owned()];
    let mut others: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for linked in crates {
        let title = format!("{} {}", linked.name, linked.version);
        let mut texts: Vec<&LicenceText> = linked.texts.iter().collect();
        if offers_apache(&linked.license) {
            apache.push(title.clone());
            texts.retain(|text| is_notice(&text.file));
        } else {
            texts = chosen(linked, crates);
            if let (true, Some(text)) = (texts.is_empty(), text_of_repository(linked)) {
                others.entry(text.trim().to_owned()).or_default().push(title.clone());
            } else if texts.is_empty() {
                let LinkedCrate { name, version, license, .. } = linked;
                let (name, version, license) = (name.clone(), version.clone(), license.clone());
                return Err(NoLicenceText { name, version, license });
            }
        }
        for text in texts {
            others.entry(text.text.trim().to_owned()).or_default().push(title.clone());
        }
    }
    others.entry(MUSL.trim().to_owned()).or_default().push("musl".to_owned());
    others.entry(ZIG.trim().to_owned()).or_default().push("Zig's compiler-rt".to_owned());
    let mut groups: Vec<(Vec<String>, String)> =
        others.into_iter().map(|(text, names)| (names, text)).collect();
    // Further copies of Apache-2.0 stand next to the first one, which is then near enough for Deflate to refer to.
    groups.sort_by_cached_key(|group| (!group.1.contains("Apache License"), group.clone()));
    let mut document = head.to_owned();
    for (names, text) in [(apache, APACHE.trim_matches('\n').to_owned())].into_iter().chain(groups) {
        // Writing to a string cannot fail.
        let _ = write!(document, "\n{}\n{}\n\n{text}\n", "=".repeat(80), wrapped(&names));
    }
    Ok(document)
}

/// Whether a crate may be used under Apache-2.0 alone. This licence asks for its text, which all these crates share,
/// and for notices, but not for a list of copyright holders. So it needs the fewest bytes.
fn offers_apache(license: &str) -> bool {
    alternatives(license).any(|alternative| alternative == "Apache-2.0")
}

/// The licences among which a user of the crate may choose. An expression with `AND` or parentheses is one of its own,
/// for which all texts of the crate are taken.
fn alternatives(license: &str) -> impl Iterator<Item = &str> {
    let simple = !license.contains(" AND ") && !license.contains('(');
    let parts: Vec<&str> =
        if simple { license.split(" OR ").flat_map(|part| part.split('/')).collect() } else { vec![license] };
    parts.into_iter().map(str::trim)
}

/// A text that has to be passed on under any licence.
fn is_notice(file: &str) -> bool {
    let file = file.to_ascii_uppercase();
    file.contains("NOTICE") || file.contains("THIRD-PARTY")
}

/// The texts for a crate that is not under Apache-2.0: those of the MIT licence, if the crate may be used under it and
/// names a file after it; else all. A crate without any has those of a crate of the same repository.
fn chosen<'a>(linked: &'a LinkedCrate, crates: &'a [LinkedCrate]) -> Vec<&'a LicenceText> {
    let is_mit = |text: &&LicenceText| text.file.to_ascii_uppercase().contains("MIT");
    if alternatives(&linked.license).any(|alternative| alternative == "MIT")
        && linked.texts.iter().any(|text| is_mit(&text))
    {
        return linked.texts.iter().filter(|text| is_mit(text) || is_notice(&text.file)).collect();
    }
    let same_terms = |other: &&LinkedCrate| {
        !other.texts.is_empty()
            && other.license == linked.license
            && other.repository.is_some()
            && other.repository == linked.repository
    };
    let source = if linked.texts.is_empty() { crates.iter().find(same_terms) } else { Some(linked) };
    source.map(|source| source.texts.iter().collect()).unwrap_or_default()
}

/// The text of the repository of a crate that comes without one.
fn text_of_repository(linked: &LinkedCrate) -> Option<&'static str> {
    let is_of = |repository: &&str| linked.repository.as_deref() == Some(*repository);
    TEXTS_OF_REPOSITORIES.iter().find(|(repository, _)| is_of(repository)).map(|(_, text)| *text)
}

/// Names separated by commas, in lines of at most 80 columns.
fn wrapped(names: &[String]) -> String {
    let mut text = String::new();
    let mut column = 0;
    for (index, name) in names.iter().enumerate() {
        let name = if index + 1 == names.len() { name.clone() } else { format!("{name},") };
        if column + 1 + name.len() > 80 && column > 0 {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        column += name.len();
        text.push_str(&name);
    }
    text
}

#[cfg(test)]
#[path = "licences_tests.rs"]
mod tests;
