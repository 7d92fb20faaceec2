//! Why a registry did not do what it was asked for, in its own words where it has any.

use crate::build::relay::client::NoRoots;
use ureq::{Body, http::Response};

/// The limit for an answer that says why, in bytes.
const MAX_REASON: u64 = 64 * 1024;

/// Why a push failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error(transparent)]
    Roots(#[from] NoRoots),
    #[error("cannot reach {url}")]
    Unreachable { url: String, source: Box<ureq::Error> },
    #[error("{url} answered {status}{}", .text.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Status { url: String, status: u16, text: Option<String> },
    #[error("{url} does not let you push ({status}){}", .text.as_ref().map(|it| format!(": {it}")).unwrap_or_default())]
    Denied { url: String, status: u16, text: Option<String> },
    #[error("{url} wants an authorization that is not known here: {header}")]
    Challenge { url: String, header: String },
    /// The password must not be readable on its way.
    #[error("{registry} sends for a token to {realm}, which is not encrypted")]
    Realm { registry: String, realm: String },
    #[error("{url} did not answer with {what}")]
    Answer { url: String, what: &'static str },
}

pub(super) fn unreachable(url: &str, error: ureq::Error) -> RegistryError {
    RegistryError::Unreachable { url: shown(url), source: Box::new(error) }
}

/// The error for an answer, with the registry's own words.
pub(super) fn refused(url: &str, answer: Response<Body>) -> RegistryError {
    let status = answer.status().as_u16();
    let text = answer.into_body().into_with_config().limit(MAX_REASON).lossy_utf8(true).read_to_string();
    let text = text.ok().and_then(|text| reason(&text));
    let url = shown(url);
    if matches!(status, 401 | 403) {
        return RegistryError::Denied { url, status, text };
    }
    RegistryError::Status { url, status, text }
}

/// The first reason in the registry's answer.
fn reason(text: &str) -> Option<String> {
    let parsed: serde_json::Value = serde_json::from_str(text).ok()?;
    let error = parsed.pointer("/errors/0")?;
    let part = |name| error.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
    let reason = format!("{} {}", part("code"), part("message"));
    let plain: String = reason.chars().filter(|c| !c.is_control()).take(200).collect();
    Some(plain.trim().to_owned()).filter(|plain| !plain.is_empty())
}

/// A URL without its query, which may hold a signature.
fn shown(url: &str) -> String {
    url.split('?').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registrys_own_words_are_in_the_error() {
        let text = r#"{"errors": [{"code": "DENIED", "message": "not\u001b[31m yours"}]}"#;
        assert_eq!(reason(text).as_deref(), Some("DENIED not[31m yours"));
        for text in ["", "<html>", "{}", r#"{"errors": []}"#, r#"{"errors": [{}]}"#] {
            assert_eq!(reason(text), None, "{text}");
        }
        assert_eq!(shown("https://x/y?signature=z"), "https://x/y");
    }
}
