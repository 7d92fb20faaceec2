//! Reads the `Content-Type` header.

use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;

/// The value of `Content-Type`, or an empty text if the header is missing or not ASCII.
pub(super) fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The media type in lower case and without parameters: `application/json` for `Application/JSON; charset=utf-8`.
/// `None` if there is no valid type.
pub(super) fn essence(headers: &HeaderMap) -> Option<String> {
    let essence = content_type(headers).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (kind, subtype) = essence.split_once('/')?;
    (!kind.is_empty() && !subtype.is_empty()).then_some(essence)
}

/// The value of a parameter in a header like `form-data; name="a"; filename="b"`.
pub(super) fn parameter(header: &str, name: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (found, value) = rest.split_once('=')?;
        let (value, after) = if let Some(quoted) = value.trim_start().strip_prefix('"') {
            unquoted(quoted)?
        } else {
            let end = value.find(';').unwrap_or(value.len());
            let (value, after) = value.split_at_checked(end)?;
            (value.trim().to_owned(), after)
        };
        if found.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after.trim_start().strip_prefix(';')?;
    }
}

/// The text up to the closing quote, and the text after it. Browsers write `%22` for quotes in names and do not
/// escape backslashes, so a backslash is an escape only before a quote or another backslash.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' if chars.peek().is_some_and(|(_, next)| matches!(next, '"' | '\\')) => {
                value.extend(chars.next().map(|(_, escaped)| escaped));
            }
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn media_types_without_parameters() {
        let of = |text| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(text));
            essence(&headers)
        };
        assert_eq!(of("Application/JSON ; charset=utf-8").as_deref(), Some("application/json"));
        assert_eq!((of(""), of("json"), of("/json"), essence(&HeaderMap::new())), (None, None, None, None));
    }

    #[test]
    fn parameters_of_a_header() {
        let header = r#"form-data; name="a; \"b\""; Filename = c:\d.txt;x=y"#;
        for (name, value) in
            [("name", Some(r#"a; "b""#)), ("filename", Some(r"c:\d.txt")), ("x", Some("y")), ("z", None)]
        {
            assert_eq!(parameter(header, name).as_deref(), value, "{name}");
        }
        assert_eq!(parameter("multipart/form-data; boundary=\"open", "boundary"), None);
        assert_eq!(parameter("multipart/form-data", "boundary"), None);
    }
}
