//! The headers of an envelope that waits, in one allocation.

use super::allocation::allocated;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use hyper::header::{HeaderName, HeaderValue};
use std::fmt;

/// The bytes in front of a header: the lengths of its name and of its value.
const LENGTHS: usize = 2 + 4;
/// What the copies of a text share, of which each try makes one.
const SHARED: usize = allocated(24);

/// A list of headers. They are one text, because the allocator of the layer's binary rounds each allocation up and
/// keeps it, so that a list with two texts for each header would take three times as much. The text does not share
/// memory with the headers that it was made of.
///
/// They contain the key, so `Debug` prints only their length.
#[derive(Clone, Default)]
pub struct Headers(Bytes);

impl Headers {
    /// Returns copies of the headers, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
        let mut rest = self.0.clone();
        std::iter::from_fn(move || {
            let name = usize::from(rest.try_get_u16().ok()?);
            let value = usize::try_from(rest.try_get_u32().ok()?).ok()?;
            if name.checked_add(value)? > rest.len() {
                return None;
            }
            let name = HeaderName::from_lowercase(&rest.split_to(name)).ok()?;
            Some((name, HeaderValue::from_maybe_shared(rest.split_to(value)).ok()?))
        })
    }

    /// Returns the bytes that it takes where it has an allocation of its own.
    pub(super) fn allocated(&self) -> usize {
        if self.0.is_empty() { 0 } else { allocated(self.0.len()) + SHARED }
    }

    /// Gives the text to a function that stores it elsewhere.
    pub(super) fn map(&mut self, store: impl FnOnce(Bytes) -> Bytes) {
        self.0 = store(std::mem::take(&mut self.0));
    }
}

impl From<Vec<(HeaderName, HeaderValue)>> for Headers {
    fn from(list: Vec<(HeaderName, HeaderValue)>) -> Self {
        let length = |(name, value): &(HeaderName, HeaderValue)| LENGTHS + name.as_str().len() + value.len();
        let mut text = BytesMut::with_capacity(list.iter().map(length).sum());
        for (name, value) in &list {
            let name = name.as_str();
            // hyper takes no longer ones, neither from a client nor for upstream.
            let (Ok(name_length), Ok(value_length)) = (u16::try_from(name.len()), u32::try_from(value.len()))
            else {
                continue;
            };
            text.put_u16(name_length);
            text.put_u32(value_length);
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(value.as_bytes());
        }
        Self(text.freeze())
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Headers").field("bytes", &self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::{CONTENT_TYPE, USER_AGENT};

    fn list() -> Vec<(HeaderName, HeaderValue)> {
        vec![
            (HeaderName::from_static("x-sentry-auth"), HeaderValue::from_static("Sentry sentry_key=a")),
            (USER_AGENT, HeaderValue::from_static("")),
            (CONTENT_TYPE, HeaderValue::from_bytes(b"caf\xe9\t \"").unwrap()),
            (USER_AGENT, HeaderValue::from_bytes(&[b'x'; 70_000]).unwrap()),
        ]
    }

    #[test]
    fn headers_are_what_they_were_made_of() {
        assert_eq!(Headers::from(list()).iter().collect::<Vec<_>>(), list());
        assert_eq!(Headers::default().iter().count(), 0);
        assert_eq!((Headers::default().allocated(), Headers::from(Vec::new()).allocated()), (0, 0));
    }

    #[test]
    fn they_do_not_keep_the_memory_of_a_request() {
        let read_buffer = Bytes::from(vec![b'x'; 100_000]);
        let value = HeaderValue::from_maybe_shared(read_buffer.slice(..10)).unwrap();
        let headers = Headers::from(vec![(USER_AGENT, value)]);
        assert!(read_buffer.is_unique(), "the headers share it");
        assert_eq!(headers.allocated(), allocated(LENGTHS + "user-agent".len() + 10) + SHARED);
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", Headers::from(list()).clone()).find("sentry"), None);
    }

    #[test]
    fn a_text_that_is_cut_has_the_headers_before_the_cut() {
        let whole = Headers::from(list());
        for length in 0..100 {
            let cut: Vec<_> = Headers(whole.0.slice(..length)).iter().collect();
            assert_eq!(cut, list()[..cut.len()], "{length}");
        }
    }
}
