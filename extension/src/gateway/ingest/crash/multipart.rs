//! A parser for `multipart/form-data` bodies that are completely in memory.

use crate::gateway::media_type::parameter;

/// One field of a form. Its data is a slice of the body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) name: Option<String>,
    /// Present if the field is a file.
    pub(super) file_name: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) data: &'a [u8],
}

/// The body is not a complete form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MalformedMultipart;

/// Splits a form into its fields. Fails if the last boundary is missing.
pub(super) fn parse<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<Part<'a>>, MalformedMultipart> {
    let delimiter = format!("\r\n--{boundary}");
    let delimiter = delimiter.as_bytes();
    let first = delimiter.get(2..).unwrap_or_default();
    // The text before the first boundary has no meaning (RFC 2046).
    let mut rest = match body.strip_prefix(first) {
        Some(rest) => rest,
        None => split_at_first(body, delimiter).ok_or(MalformedMultipart)?.1,
    };
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        // Spaces and tabs may follow a boundary.
        let (padding, content) = split_at_first(rest, b"\r\n").ok_or(MalformedMultipart)?;
        if !padding.iter().all(|b| matches!(b, b' ' | b'\t')) {
            return Err(MalformedMultipart);
        }
        let (headers, content) = match content.strip_prefix(b"\r\n") {
            Some(content) => (&[][..], content),
            None => split_at_first(content, b"\r\n\r\n").ok_or(MalformedMultipart)?,
        };
        let (data, after) = split_at_first(content, delimiter).ok_or(MalformedMultipart)?;
        parts.push(parse_part(headers, data));
        rest = after;
    }
}

/// The boundary of a form without headers, read from its first line. Old Electron SDKs upload a file that is such a
/// form.
pub(super) fn boundary_in_first_line(body: &[u8]) -> Option<&str> {
    let first = body.split(|b| matches!(b, b'\r' | b'\n')).find(|line| !line.is_empty())?;
    std::str::from_utf8(first).ok()?.strip_prefix("--").filter(|boundary| !boundary.is_empty())
}

fn parse_part<'a>(headers: &[u8], data: &'a [u8]) -> Part<'a> {
    let headers = String::from_utf8_lossy(headers);
    let disposition = header(&headers, "content-disposition").unwrap_or_default();
    Part {
        name: parameter(disposition, "name"),
        file_name: parameter(disposition, "filename"),
        content_type: header(&headers, "content-type").map(str::to_owned),
        data,
    }
}

fn header<'a>(headers: &'a str, wanted: &str) -> Option<&'a str> {
    let mut fields = headers.split("\r\n").filter_map(|line| line.split_once(':'));
    fields.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
}

/// The bytes before and after the first occurrence of `needle`, or `None` if there is none.
fn split_at_first<'a>(bytes: &'a [u8], needle: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let at = from + bytes.get(from..)?.iter().position(|b| *b == first)?;
        let (before, candidate) = bytes.split_at_checked(at)?;
        if let Some(after) = candidate.strip_prefix(needle) {
            return Some((before, after));
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_files() {
        let body = b"preamble\r\n--x y\r\nContent-Disposition: form-data; name=\"sentry\"\r\n\r\n{}\r\n--x y  \r\n\
            content-disposition: form-data; name=\"f\"; filename=\"a.dmp\"\r\nContent-Type: text/plain\r\n\r\n\
            MDMP\r\n--x\r\n--\r\n--x y\r\nContent-Disposition: form-data; name=\"e\"\r\n\r\n\r\n--x y--epilogue";
        let parts = parse(body, "x y").unwrap();
        assert_eq!(parts.len(), 3);
        assert_eq!((parts[0].name.as_deref(), parts[0].file_name.as_deref()), (Some("sentry"), None));
        assert_eq!(parts[0].data, b"{}");
        assert_eq!(parts[1].file_name.as_deref(), Some("a.dmp"));
        assert_eq!(parts[1].content_type.as_deref(), Some("text/plain"));
        assert_eq!(parts[1].data, b"MDMP\r\n--x\r\n--");
        assert_eq!((parts[2].name.as_deref(), parts[2].data), (Some("e"), &b""[..]));
    }

    #[test]
    fn an_empty_form() {
        assert_eq!(parse(b"--x--", "x"), Ok(vec![]));
        assert_eq!(parse(b"--x--\r\n", "x"), Ok(vec![]));
    }

    #[test]
    fn incomplete_forms_are_malformed() {
        let whole = b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--";
        assert!(parse(whole, "x").is_ok());
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end], "x"), Err(MalformedMultipart), "{end}");
        }
        assert_eq!(parse(b"--xyz\r\n\r\n\r\n--xyz--", "x"), Err(MalformedMultipart));
    }

    #[test]
    fn boundaries_in_the_first_line() {
        for (body, boundary) in [
            (&b"--some_val"[..], Some("some_val")),
            (b"\n\r--some_val\r\nafter", Some("some_val")),
            (b"--\nsecond line", None),
            (b"some_val", None),
            (b"", None),
        ] {
            assert_eq!(boundary_in_first_line(body), boundary, "{body:?}");
        }
    }
}
