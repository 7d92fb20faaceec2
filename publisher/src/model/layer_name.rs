//! Layer names: expands templates with placeholders and checks the names against Lambda's rules.

use crate::model::{
    arch::Arch,
    layer_arch::LayerArch,
    variant::{LayerKind, Variant},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Lambda's limit for a layer name, in characters.
const MAX_LENGTH: usize = 140;

/// A layer name that Lambda accepts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct LayerName(String);

/// Why a template gives no usable names.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LayerNameError {
    #[error(
        "the layer name template has `{0}`, which is not a placeholder; \
         there are {{arch}} {{version}} {{major}} {{minor}} {{patch}}"
    )]
    Placeholder(String),
    #[error("the layer name template `{0}` has an unmatched brace")]
    Brace(String),
    #[error(
        "`{0}` cannot be a layer's name, which has 1 to 140 of the characters A-Z a-z 0-9 - and _ \
         (a version has dots; use {{major}}_{{minor}}_{{patch}})"
    )]
    Characters(String),
    #[error("the layer name `{0}` is longer than 140 characters")]
    TooLong(String),
    /// Both architectures would share a name, although their binaries differ.
    #[error("`{0}` would be the name of both architectures' layers; add {{arch}} to the template")]
    Same(String),
    /// One layer for both architectures has one name.
    #[error("the layer name template `{0}` has {{arch}}, and the layer is one for both architectures")]
    ArchOfBoth(String),
    /// A layer with Relay and one without would share a name.
    #[error(
        "`{0}` would be the name of a layer with Relay and of one without; choose another --relay-layer-name"
    )]
    SameKinds(String),
}

impl LayerName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<LayerName> for String {
    fn from(name: LayerName) -> Self {
        name.0
    }
}

impl TryFrom<String> for LayerName {
    type Error = LayerNameError;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        if name.len() > MAX_LENGTH {
            return Err(LayerNameError::TooLong(name));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(LayerNameError::Characters(name));
        }
        Ok(Self(name))
    }
}

/// The template of the default layer names.
pub(crate) fn default_template(kind: LayerKind) -> &'static str {
    match kind {
        LayerKind::Plain => "SentryLambdaExtension-{arch}",
        LayerKind::Relay => "SentryLambdaExtensionRelay-{arch}",
    }
}

/// The template for the style in which every release is a separate layer, with version 1 in every region.
pub(crate) fn release_template(kind: LayerKind, version: &str) -> String {
    let allowed_or_underscore = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    format!("{}-{}", default_template(kind), version.chars().map(allowed_or_underscore).collect::<String>())
}

/// Whether the template gives every release a different name.
pub(crate) fn names_the_release(template: &str) -> bool {
    ["{version}", "{major}", "{minor}", "{patch}"].iter().any(|key| template.contains(key))
}

/// Expands a template to the names of both architectures' layers.
pub(crate) fn names(template: &str, version: &str) -> Result<[(Arch, LayerName); 2], LayerNameError> {
    let [first, second] = Arch::ALL;
    let one = expand(template, version, first.into())?;
    let other = expand(template, version, second.into())?;
    if one == other {
        return Err(LayerNameError::Same(one.0));
    }
    Ok([(first, one), (second, other)])
}

/// Expands a template to the names of the layers for these architectures.
pub(crate) fn names_for(
    template: &str,
    version: &str,
    arches: &[LayerArch],
) -> Result<BTreeMap<LayerArch, LayerName>, LayerNameError> {
    let mut names: BTreeMap<LayerArch, LayerName> = BTreeMap::new();
    for arch in arches {
        let name = expand(template, version, *arch)?;
        if names.values().any(|other| *other == name) {
            return Err(LayerNameError::Same(name.0));
        }
        names.insert(*arch, name);
    }
    Ok(names)
}

/// Expands both templates to the names of all four layers.
pub(crate) fn names_of_all_variants(
    plain: &str,
    relay: &str,
    version: &str,
) -> Result<BTreeMap<Variant, LayerName>, LayerNameError> {
    let plain = names(plain, version)?;
    let relay = names(relay, version)?;
    if let Some((_, name)) = relay.iter().find(|(_, name)| plain.iter().any(|(_, other)| other == name)) {
        return Err(LayerNameError::SameKinds(name.to_string()));
    }
    let of_kind = |names: [(Arch, LayerName); 2], kind| names.map(|(arch, n)| (Variant::new(arch, kind), n));
    Ok(of_kind(plain, LayerKind::Plain).into_iter().chain(of_kind(relay, LayerKind::Relay)).collect())
}

fn expand(template: &str, version: &str, arch: LayerArch) -> Result<LayerName, LayerNameError> {
    // Only {version} has the prerelease and build metadata. The other placeholders are plain numbers.
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let mut numbers = core.split('.');
    let major = numbers.next();
    let minor = numbers.next();
    let patch = numbers.next();
    let mut name = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (key, after_key) =
            after.split_once('}').ok_or_else(|| LayerNameError::Brace(template.to_owned()))?;
        let value = match key {
            "arch" if arch == LayerArch::Both => {
                return Err(LayerNameError::ArchOfBoth(template.to_owned()));
            }
            "arch" => Some(arch.name()),
            "version" => Some(version),
            "major" => major,
            "minor" => minor,
            "patch" => patch,
            _ => None,
        };
        name.push_str(before);
        name.push_str(value.ok_or_else(|| LayerNameError::Placeholder(format!("{{{key}}}")))?);
        rest = after_key;
    }
    if rest.contains('}') {
        return Err(LayerNameError::Brace(template.to_owned()));
    }
    name.push_str(rest);
    LayerName::try_from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(template: &str) -> Result<[String; 2], LayerNameError> {
        names(template, "1.20.3-rc.1").map(|all| all.map(|(_, name)| name.to_string()))
    }

    #[test]
    fn placeholders_are_filled_in() {
        assert_eq!(
            pair("SentryLambdaExtension-{arch}").unwrap(),
            ["SentryLambdaExtension-arm64", "SentryLambdaExtension-x86_64"]
        );
        assert_eq!(pair("x-{arch}-{major}_{minor}_{patch}").unwrap(), ["x-arm64-1_20_3", "x-x86_64-1_20_3"]);
    }

    #[test]
    fn a_release_template_puts_the_version_into_the_name() {
        let pair = |version: &str| {
            names(&release_template(LayerKind::Plain, version), version).unwrap().map(|(_, n)| n.to_string())
        };
        assert_eq!(
            pair("1.2.3"),
            ["SentryLambdaExtension-arm64-1_2_3", "SentryLambdaExtension-x86_64-1_2_3"]
        );
        assert_eq!(pair("1.2.3-rc.1+b.5")[0], "SentryLambdaExtension-arm64-1_2_3-rc_1_b_5");
        assert_eq!(release_template(LayerKind::Relay, "1.2.3"), "SentryLambdaExtensionRelay-{arch}-1_2_3");
    }

    #[test]
    fn layers_with_and_without_relay_have_different_names() {
        let all = |relay| names_of_all_variants("x-{arch}", relay, "1.2.3");
        let names: Vec<String> = all("x-{arch}-relay").unwrap().values().map(ToString::to_string).collect();
        assert_eq!(names, ["x-arm64", "x-arm64-relay", "x-x86_64", "x-x86_64-relay"]);
        assert_eq!(all("x-{arch}"), Err(LayerNameError::SameKinds("x-arm64".to_owned())));
        assert_eq!(all("y"), Err(LayerNameError::Same("y".to_owned())));
    }

    #[test]
    fn a_layer_for_both_architectures_has_one_name_without_one() {
        let all = |template, arches: &[LayerArch]| {
            let names = names_for(template, "1.20.3", arches)?;
            Ok(names.into_iter().map(|(arch, name)| format!("{arch} {name}")).collect::<Vec<_>>())
        };
        let (arm64, x86_64) = (LayerArch::Arm64, LayerArch::X86_64);
        assert_eq!(all("x-{major}", &[LayerArch::Both]), Ok(vec!["both x-1".to_owned()]));
        let template = "x-{arch}";
        let error = LayerNameError::ArchOfBoth(template.to_owned());
        assert_eq!(all(template, &[LayerArch::Both]), Err(error));
        let named = ["arm64 x-arm64", "x86_64 x-x86_64"].map(str::to_owned).to_vec();
        assert_eq!(all(template, &[x86_64, arm64]), Ok(named));
        assert_eq!(all("x", &[arm64, x86_64]), Err(LayerNameError::Same("x".to_owned())));
        assert_eq!(all("x", &[arm64]), Ok(vec!["arm64 x".to_owned()]));
    }

    #[test]
    fn names_that_lambda_refuses_are_refused_here() {
        assert!(matches!(pair("x-{arch}-{version}"), Err(LayerNameError::Characters(_))));
        assert!(matches!(pair("x y {arch}"), Err(LayerNameError::Characters(_))));
        assert!(matches!(pair(""), Err(LayerNameError::Characters(_))));
        assert!(matches!(pair("{architecture}"), Err(LayerNameError::Placeholder(_))));
        assert!(matches!(pair("x-{arch"), Err(LayerNameError::Brace(_))));
        assert!(matches!(pair("x-arch}"), Err(LayerNameError::Brace(_))));
        assert_eq!(pair("same"), Err(LayerNameError::Same("same".to_owned())));
        assert!(pair(&format!("{}{{arch}}", "x".repeat(134))).is_ok());
        assert!(matches!(pair(&format!("{}{{arch}}", "x".repeat(135))), Err(LayerNameError::TooLong(_))));
    }
}
