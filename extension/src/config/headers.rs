//! `SENTRY_EXTENSION_HEADERS`: headers for every request upstream. Access gateways in front of a Sentry want them.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

/// The headers that the extension itself sets, and those that are about one connection only.
const RESERVED: [&str; 17] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-sentry-auth",
    crate::hop_marker::NAME,
];

/// The headers of the setting. `Debug` does not print their values, which may be credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamHeaders(Vec<(HeaderName, HeaderValue)>);

impl UpstreamHeaders {
    /// Parses the setting: `Name: value` a line, or separated by semicolons if it has only one line. Returns the valid
    /// headers, and what is wrong with each other entry. The texts do not quote the entries.
    pub(super) fn parse(text: &str) -> (Self, Vec<String>) {
        let separator = if text.trim().contains(['\n', '\r']) { &['\n', '\r'][..] } else { &[';'] };
        let entries = text.split(separator).map(|entry| entry.trim().trim_end_matches(';'));
        let (mut headers, mut mistakes) = (Vec::new(), Vec::new());
        for (at, entry) in entries.filter(|entry| !entry.is_empty()).enumerate() {
            match parse_header(entry) {
                Ok(header) => headers.push(header),
                Err(why) => mistakes.push(format!("has an entry (number {}) that {why}", at + 1)),
            }
        }
        (Self(headers), mistakes)
    }

    /// Sets the headers in a request. They replace those of the same names that the SDK sent.
    pub(crate) fn set(&self, request: &mut HeaderMap) {
        for (name, _) in &self.0 {
            request.remove(name);
        }
        for (name, value) in &self.0 {
            request.append(name, value.clone());
        }
    }
}

fn parse_header(entry: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = entry.split_once(':').ok_or("is not a header like `Name: value`")?;
    let name = HeaderName::try_from(name.trim()).map_err(|_| "has an invalid name")?;
    if RESERVED.contains(&name.as_str()) {
        return Err(format!("sets {name}, which the extension itself sets"));
    }
    let mut value =
        HeaderValue::from_str(value.trim()).map_err(|_| format!("has an invalid value for {name}"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (Vec<String>, Vec<String>) {
        let (headers, mistakes) = UpstreamHeaders::parse(text);
        let shown = headers.0.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap()));
        (shown.collect(), mistakes)
    }

    #[test]
    fn headers_are_separated_by_lines_or_semicolons() {
        let two = ["cf-access-client-id=a.access", "cf-access-client-secret=b:c="];
        for text in [
            "CF-Access-Client-Id: a.access\nCF-Access-Client-Secret: b:c=",
            "CF-Access-Client-Id:a.access;CF-Access-Client-Secret: b:c=;",
            "\r\n CF-Access-Client-Id: a.access ;\r\n\r\nCF-Access-Client-Secret:  b:c=\r\n",
        ] {
            assert_eq!(parsed(text), (two.map(str::to_owned).to_vec(), vec![]), "{text:?}");
        }
        let cookies = "Cookie: a=1; b=2\nX-Empty:\nCookie: c=3";
        assert_eq!(parsed(cookies).0, ["cookie=a=1; b=2", "x-empty=", "cookie=c=3"]);
        assert_eq!(parsed(" \n; "), (vec![], vec![]));
    }

    #[test]
    fn invalid_entries_are_named_without_their_values() {
        let text = "X-Good: 1\nsecret\nBad Name: secret\nX-Bad: sec\u{1}ret\n: secret\n\
            Host: secret\nX-Sentry-Auth: secret";
        let (good, mistakes) = parsed(text);
        assert_eq!(good, ["x-good=1"]);
        assert_eq!(mistakes.len(), 6, "{mistakes:?}");
        let all = mistakes.join("\n");
        for part in
            ["number 2", "`Name: value`", "an invalid name", "value for x-bad", "sets host", "x-sentry-auth"]
        {
            assert!(all.contains(part), "{part}: {all}");
        }
        assert!(!all.contains("secret"), "{all}");
    }

    #[test]
    fn values_are_not_shown_and_replace_those_of_the_sdk() {
        let (headers, _) = UpstreamHeaders::parse("Authorization: Bearer secret; X-Two: a; X-Two: b");
        assert!(!format!("{headers:?}").contains("secret"), "{headers:?}");
        let mut request = HeaderMap::new();
        request.insert("authorization", HeaderValue::from_static("Bearer other"));
        headers.set(&mut request);
        assert_eq!(request.get("authorization").unwrap(), "Bearer secret");
        assert_eq!(request.get_all("x-two").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(request.len(), 3);
    }
}
