//! Recognizes responses that are web pages. They come from proxies, firewalls and sign-in pages instead of AWS.

use aws_sdk_lambda::config::http::HttpResponse;
use std::fmt;

/// The number of bytes of a page that are searched.
const MAX_SEARCHED: usize = 4096;

/// A web page instead of a response of the API.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WebPage {
    status: u16,
    title: Option<String>,
}

impl WebPage {
    /// Returns the page if the response is one. AWS's own responses are JSON, or XML that contains no HTML.
    pub(crate) fn of(raw: &HttpResponse) -> Option<Self> {
        Self::read(raw.status().as_u16(), raw.body().bytes()?)
    }

    fn read(status: u16, body: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(body.get(..MAX_SEARCHED).unwrap_or(body));
        let lower = text.to_ascii_lowercase();
        let begins = lower.trim_start();
        if !begins.starts_with("<!doctype html") && !begins.starts_with("<html") {
            return None;
        }
        // Conversion to lower case in ASCII does not move any byte.
        let title = lower.split_once("<title").and_then(|(before, rest)| {
            let (tag, rest) = rest.split_once('>')?;
            let start = before.len() + "<title".len() + tag.len() + 1;
            let end = start + rest.split_once("</title")?.0.len();
            let words: Vec<&str> = text.get(start..end)?.split_whitespace().collect();
            Some(words.join(" ")).filter(|title| !title.is_empty())
        });
        Some(Self { status, title })
    }
}

impl fmt::Display for WebPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HTTP {} with a web page", self.status)?;
        if let Some(title) = &self.title {
            write!(f, " (\"{title}\")")?;
        }
        f.write_str(" instead of AWS's answer: a proxy or a sign-in page is in between")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_known_by_its_first_tag_and_told_by_its_title() {
        let said = |body: &str| WebPage::read(403, body.as_bytes()).map(|page| page.to_string());
        let full = said("\n<!DOCTYPE html><html><head><TITLE lang=en>Access\n denied</TITLE>").unwrap();
        assert!(full.starts_with("HTTP 403 with a web page (\"Access denied\") instead of"), "{full}");
        assert!(said("<html>no title").unwrap().starts_with("HTTP 403 with a web page instead of"));
        for other in ["", "{}", "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>"] {
            assert_eq!(said(other), None, "{other}");
        }
    }
}
