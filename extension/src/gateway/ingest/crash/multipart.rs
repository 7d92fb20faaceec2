//! A parser for `multipart/form-data` bodies that are completely in memory.

use crate::gateway::media_type::parameter;
use std::fmt;

/// One field of a form. Its data is a slice of the body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    pub(super) name: Option<String>,
    /// Present if the field is a file.
    pub(super) file_name: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) data: &'a [u8],
}

/// The most fields of a form. A crash report has some dozens.
const MAX_PARTS: usize = 500;
/// The longest headers of a field, in bytes.
const MAX_HEADERS: usize = 4 * 1024;
/// The most headers of a field.
const MAX_HEADER_COUNT: usize = 32;

/// Why a body is not read as a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MultipartError {
    /// The form is not complete.
    Malformed,
    /// It has more fields than any crash report.
    TooManyParts,
    /// A field has headers that are too long or too many.
    HeadersTooLarge,
}

impl fmt::Display for MultipartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("incomplete multipart data"),
            Self::TooManyParts => write!(f, "more than {MAX_PARTS} fields"),
            Self::HeadersTooLarge => {
                write!(f, "the headers of a field exceed {MAX_HEADERS} bytes or {MAX_HEADER_COUNT} lines")
            }
        }
    }
}

/// Splits a form into its fields. Fails if the last boundary is missing, or if there is more to keep than a real form
/// has: an empty field takes few bytes in the body and many more in memory.
pub(super) fn parse<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<Part<'a>>, MultipartError> {
    let delimiter = format!("\r\n--{boundary}");
    let delimiter = delimiter.as_bytes();
    let first = delimiter.get(2..).unwrap_or_default();
    // The text before the first boundary has no meaning (RFC 2046).
    let mut rest = match body.strip_prefix(first) {
        Some(rest) => rest,
        None => split_at_first(body, delimiter).ok_or(MultipartError::Malformed)?.1,
    };
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Ok(parts);
        }
        // Spaces and tabs may follow a boundary.
        let (padding, content) = split_at_first(rest, b"\r\n").ok_or(MultipartError::Malformed)?;
        if !padding.iter().all(|b| matches!(b, b' ' | b'\t')) {
            return Err(MultipartError::Malformed);
        }
        let (headers, content) = match content.strip_prefix(b"\r\n") {
            Some(content) => (&[][..], content),
            None => split_headers(content)?,
        };
        let (data, after) = split_at_first(content, delimiter).ok_or(MultipartError::Malformed)?;
        if parts.len() == MAX_PARTS {
            return Err(MultipartError::TooManyParts);
        }
        parts.push(parse_part(headers, data));
        rest = after;
    }
}

/// Splits off the headers of a field.
fn split_headers(content: &[u8]) -> Result<(&[u8], &[u8]), MultipartError> {
    const END: &[u8] = b"\r\n\r\n";
    let start = content.get(..MAX_HEADERS + END.len()).unwrap_or(content);
    let Some((headers, _)) = split_at_first(start, END) else {
        let is_cut = start.len() < content.len();
        return Err(if is_cut { MultipartError::HeadersTooLarge } else { MultipartError::Malformed });
    };
    if headers.split(|b| *b == b'\n').count() > MAX_HEADER_COUNT {
        return Err(MultipartError::HeadersTooLarge);
    }
    Ok((headers, content.get(headers.len() + END.len()..).unwrap_or_default()))
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
            assert_eq!(parse(&whole[..end], "x"), Err(MultipartError::Malformed), "{end}");
        }
        assert_eq!(parse(b"--xyz\r\n\r\n\r\n--xyz--", "x"), Err(MultipartError::Malformed));
    }

    #[test]
    fn fields_and_their_headers_are_bounded() {
        let form = |fields: usize, headers: &str| {
            let fields = format!("--x\r\n{headers}\r\n\r\n").repeat(fields);
            format!("{fields}--x--").into_bytes()
        };
        let error = |body: &[u8]| parse(body, "x").err();
        assert_eq!(parse(&form(MAX_PARTS, ""), "x").unwrap().len(), MAX_PARTS);
        assert_eq!(error(&form(MAX_PARTS + 1, "")), Some(MultipartError::TooManyParts));
        assert_eq!(error(&form(1, &"A: b\r\n".repeat(MAX_HEADER_COUNT - 1))), None);
        assert_eq!(error(&form(1, &"A: b\r\n".repeat(100))), Some(MultipartError::HeadersTooLarge));
        let long = format!("A: {}\r\n", "b".repeat(MAX_HEADERS));
        assert_eq!(error(&form(1, &long)), Some(MultipartError::HeadersTooLarge));
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
