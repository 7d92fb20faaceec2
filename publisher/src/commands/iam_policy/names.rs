//! Converts names from the command line to names in a policy, which never match more than the user asked for.

use crate::model::arch::Arch;
use std::str::FromStr;

/// A name that cannot be used in a policy.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PolicyNameError {
    /// The template has an unknown placeholder.
    #[error(
        "`{0}` has an unknown placeholder; there are {{arch}} {{version}} {{major}} {{minor}} {{patch}}, \
         and {{region}} in a bucket"
    )]
    Placeholder(String),
    /// The name has a character that such names cannot have. For example, a `*` would allow more than the user meant.
    #[error("`{0}` has characters that are not allowed in such a name")]
    Characters(String),
    /// The text is not the ARN of a layer.
    #[error("`{0}` is neither `any` nor the ARN of a layer, like arn:aws:lambda:*:123456789012:layer:NAME")]
    Layer(String),
    /// The text is not the ARN of a key.
    #[error("`{0}` is not the ARN of a key, like arn:aws:kms:{{region}}:123456789012:key/ID")]
    Key(String),
    /// The text is not of the form `OWNER/NAME`.
    #[error("`{0}` is not of the form OWNER/NAME")]
    Pair(String),
}

/// The names that a layer may have: one for each architecture. A `*` replaces the placeholders for the release.
pub(crate) fn patterns(template: &str) -> Result<Vec<String>, PolicyNameError> {
    let open = ["{version}", "{major}", "{minor}", "{patch}"];
    let of = |arch: Arch| {
        fill(template, &[("{arch}", arch.name())], &open, |c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    let mut patterns = Arch::ALL.into_iter().map(of).collect::<Result<Vec<_>, _>>()?;
    patterns.dedup();
    Ok(patterns)
}

/// The names that a bucket may have. A `*` replaces the placeholder for the region.
pub(crate) fn bucket(template: &str) -> Result<String, PolicyNameError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    fill(template, &[], &["{region}"], plain)
}

fn fill(
    template: &str,
    fixed: &[(&str, &str)],
    open: &[&str],
    plain: impl Fn(char) -> bool,
) -> Result<String, PolicyNameError> {
    let mut rest = template.to_owned();
    for placeholder in fixed.iter().map(|(placeholder, _)| placeholder).chain(open) {
        rest = rest.replace(placeholder, "");
    }
    if rest.contains(['{', '}']) {
        return Err(PolicyNameError::Placeholder(template.to_owned()));
    }
    if template.is_empty() || !rest.chars().all(plain) {
        return Err(PolicyNameError::Characters(template.to_owned()));
    }
    let mut name = template.to_owned();
    for (placeholder, value) in fixed {
        name = name.replace(placeholder, value);
    }
    for placeholder in open {
        name = name.replace(placeholder, "*");
    }
    Ok(name)
}

/// A repository as GitHub's tokens name it: `repo:OWNER/NAME`. Newer tokens have numbers beside the owner and the name.
#[derive(Clone, Debug)]
pub(crate) struct Repository(String);

/// The name of a deployment environment of a repository.
#[derive(Clone, Debug)]
pub(crate) struct GithubEnvironment(String);

impl Repository {
    /// Parses `OWNER/NAME`.
    pub(crate) fn named(text: &str) -> Result<Self, PolicyNameError> {
        let (owner, name) = pair(text)?;
        Ok(Self(format!("repo:{}/{}", plain(owner)?, plain(name)?)))
    }

    /// Parses `repo:OWNER/NAME`, the form that GitHub writes in tokens.
    pub(crate) fn prefixed(text: &str) -> Result<Self, PolicyNameError> {
        let (owner, name) = pair(text.strip_prefix("repo:").unwrap_or_default())?;
        for part in [owner, name] {
            plain(&part.replacen('@', "-", 1))?;
        }
        Ok(Self(text.to_owned()))
    }

    /// The complete subject in the tokens of a job in the environment. It is not a pattern, because a role that trusts
    /// a pattern trusts other branches too.
    pub(crate) fn subject(&self, environment: &GithubEnvironment) -> String {
        format!("{}:environment:{}", self.0, environment.0)
    }
}

/// Stands for all layers of everybody.
pub(crate) const ANY: &str = "any";

/// Parses `any` or the ARN of a layer, in which `*` matches any text. Without a version, all versions are meant.
pub(crate) fn layer(text: &str) -> Result<String, PolicyNameError> {
    let bad = || PolicyNameError::Layer(text.to_owned());
    let good = |c: char| c.is_ascii_alphanumeric() || "-_*".contains(c);
    let parts: Vec<&str> = text.split(':').collect();
    let version = match parts[..] {
        [ANY] => return Ok(text.to_owned()),
        ["arn", partition, "lambda", _, _, "layer", _] if partition.starts_with("aws") => ":*",
        ["arn", partition, "lambda", _, _, "layer", _, _] if partition.starts_with("aws") => "",
        _ => return Err(bad()),
    };
    if parts.iter().any(|part| part.is_empty() || !part.chars().all(good)) {
        return Err(bad());
    }
    Ok(format!("{text}{version}"))
}

/// Parses the ARN of a key. A `*` replaces the placeholder for the region. An alias cannot be used, because IAM checks
/// the key itself.
pub(crate) fn key(text: &str) -> Result<String, PolicyNameError> {
    let bad = || PolicyNameError::Key(text.to_owned());
    let filled = text.replacen("{region}", "*", 1);
    let good = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    match filled.split(':').collect::<Vec<_>>()[..] {
        ["arn", partition, "kms", region, account, key]
            if partition.starts_with("aws")
                && (region == "*" || good(region))
                && account.len() == 12
                && account.chars().all(|c| c.is_ascii_digit())
                && key.strip_prefix("key/").is_some_and(good) =>
        {
            Ok(filled.clone())
        }
        _ => Err(bad()),
    }
}

/// Checks a pattern for names of functions, in which `*` matches any text.
pub(crate) fn function(text: &str) -> Result<String, PolicyNameError> {
    plain(&text.replace('*', "x")).map(|_| text.to_owned())
}

/// Checks that a policy matches the name only literally.
pub(crate) fn plain(text: &str) -> Result<String, PolicyNameError> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || !text.chars().all(good) {
        return Err(PolicyNameError::Characters(text.to_owned()));
    }
    Ok(text.to_owned())
}

fn pair(text: &str) -> Result<(&str, &str), PolicyNameError> {
    text.split_once('/').ok_or_else(|| PolicyNameError::Pair(text.to_owned()))
}

impl FromStr for GithubEnvironment {
    type Err = PolicyNameError;

    fn from_str(text: &str) -> Result<Self, PolicyNameError> {
        plain(text).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_placeholders_become_wildcards() {
        assert_eq!(patterns("X-{arch}").unwrap(), ["X-arm64", "X-x86_64"]);
        assert_eq!(patterns("X-{arch}-{major}_{minor}").unwrap(), ["X-arm64-*_*", "X-x86_64-*_*"]);
        assert_eq!(patterns("X").unwrap(), ["X"]);
        assert_eq!(bucket("layers-{region}").unwrap(), "layers-*");
        for bad in ["*", "X-{arch}*", "X:{arch}", "", "X-{architecture}", "X-{arch"] {
            assert!(patterns(bad).is_err(), "{bad}");
        }
        for bad in ["layers-*", "layers/{region}", "Layers", "", "{arch}"] {
            assert!(bucket(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_layer_of_others_and_a_key_are_named_by_arn() {
        let arn = "arn:aws:lambda:*:184161586896:layer:opentelemetry-*";
        assert_eq!(layer(arn).unwrap(), format!("{arn}:*"));
        assert_eq!(layer(&format!("{arn}:7")).unwrap(), format!("{arn}:7"));
        assert_eq!(layer("any").unwrap(), "any");
        for bad in [
            "*",
            "",
            "arn:aws:lambda:*:1:function:x",
            "arn:aws:lambda::1:layer:x",
            "arn:aws:lambda:*:1:layer:\"",
        ] {
            assert!(layer(bad).is_err(), "{bad}");
        }
        let arn = "arn:aws:kms:{region}:123456789012:key/1234abcd-12ab";
        assert_eq!(key(arn).unwrap(), "arn:aws:kms:*:123456789012:key/1234abcd-12ab");
        for bad in
            ["*", "arn:aws:kms:*:123456789012:alias/x", "arn:aws:kms:eu-west-1:1:key/x", "1234abcd-12ab"]
        {
            assert!(key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_subject_is_one_job_of_one_repository() {
        let production: GithubEnvironment = "production".parse().unwrap();
        let named = Repository::named("octo/lambda").unwrap();
        assert_eq!(named.subject(&production), "repo:octo/lambda:environment:production");
        let prefixed = Repository::prefixed("repo:octo@12/lambda@345").unwrap();
        assert_eq!(prefixed.subject(&production), "repo:octo@12/lambda@345:environment:production");
        assert!(Repository::prefixed("repo:octo/lambda").is_ok());
        for bad in ["octo", "octo/*", "*/lambda", "octo/", "/lambda", "octo/a/b", "octo/a:b", "octo@1/a"] {
            assert!(Repository::named(bad).is_err(), "{bad}");
        }
        for bad in
            ["octo/lambda", "repo:octo", "repo:octo/*", "repo:*/x", "repo:octo@1/", "repo:a/b:ref:c", ""]
        {
            assert!(Repository::prefixed(bad).is_err(), "{bad}");
        }
        assert!("pro*".parse::<GithubEnvironment>().is_err() && "".parse::<GithubEnvironment>().is_err());
    }
}
