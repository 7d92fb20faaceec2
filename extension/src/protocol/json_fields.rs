//! Reads a few fields of a JSON object and passes over the rest. An odd value costs only itself.
//!
//! A struct with a derived reader would do the same, but each takes two kilobytes of the binary.

use serde::de::{Deserialize as _, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Returns the values of these fields, unread. `None`: the bytes do not begin with a JSON object. What follows it is
/// ignored.
pub(crate) fn fields<'a, const N: usize>(
    json: &'a [u8],
    names: [&str; N],
) -> Option<[Option<&'a RawValue>; N]> {
    let mut found = [None; N];
    read(json, &names, &mut found).then_some(found)
}

fn read<'a>(json: &'a [u8], names: &[&str], found: &mut [Option<&'a RawValue>]) -> bool {
    serde_json::Deserializer::from_slice(json).deserialize_map(Object { names, found }).is_ok()
}

/// Returns the same of an object that is the value of a field.
pub(crate) fn fields_of<'a, const N: usize>(
    object: Option<&'a RawValue>,
    names: [&str; N],
) -> Option<[Option<&'a RawValue>; N]> {
    fields(object?.get().as_bytes(), names)
}

/// Returns the JSON value at the start of the bytes. What comes after it is ignored.
pub(crate) fn leading(json: &[u8]) -> Option<&RawValue> {
    <&RawValue>::deserialize(&mut serde_json::Deserializer::from_slice(json)).ok()
}

/// Returns the elements of an array. There are none if it is something else.
pub(crate) fn elements(array: Option<&RawValue>) -> Vec<&RawValue> {
    array.and_then(|array| serde_json::from_str(array.get()).ok()).unwrap_or_default()
}

/// Returns the text, if the value is one.
pub(crate) fn text(value: Option<&RawValue>) -> Option<Cow<'_, str>> {
    let json = value?.get();
    let text = json.strip_prefix('"')?.strip_suffix('"')?;
    // Most texts have no escapes.
    if text.contains('\\') {
        serde_json::from_str(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(text))
    }
}

/// Returns the truth value, which may be written as text.
pub(crate) fn truth(value: Option<&RawValue>) -> Option<bool> {
    value?.get().trim_matches('"').parse().ok()
}

struct Object<'n, 'f, 'a> {
    names: &'n [&'n str],
    found: &'f mut [Option<&'a RawValue>],
}

impl<'a> Visitor<'a> for Object<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(index) = object.next_key_seed(Name(self.names))? {
            match index.and_then(|index| self.found.get_mut(index)) {
                Some(value) => *value = Some(object.next_value()?),
                None => drop(object.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Reads the name of a field, as its place among the names.
struct Name<'n>(&'n [&'n str]);

impl<'a> DeserializeSeed<'a> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Option<usize>, E> {
        Ok(self.0.iter().position(|known| *known == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wanted_fields_are_found_and_others_are_passed_over() {
        let json =
            br#" {"x":{"a":[1,"}"]},"a":"1\n","b" : null, "c":[{"a":2}, 7], "a\u0062":true, "a":"2"} rest"#;
        let [a, b, c, ab, none] = fields(json, ["a", "b", "c", "ab", "none"]).unwrap();
        assert_eq!((text(a).as_deref(), text(b), b.map(RawValue::get)), (Some("2"), None, Some("null")));
        let elements = elements(c);
        assert_eq!(elements.iter().map(|one| one.get()).collect::<Vec<_>>(), ["{\"a\":2}", "7"]);
        assert_eq!(fields_of(elements.first().copied(), ["a"]).unwrap()[0].unwrap().get(), "2");
        assert_eq!((truth(ab), truth(a), none.is_none()), (Some(true), None, true));
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        for odd in ["", "[]", "7", "{", "{\"a\":", "{\"a\":1", "{\"a\":nonsense}", "\u{feff}{}"] {
            assert!(fields(odd.as_bytes(), ["a"]).is_none(), "{odd}");
        }
        assert!(fields(b"{\"a\":\"\xff\"}", ["a"]).is_none(), "it is not UTF-8");
        assert!(elements(leading(b"{}")).is_empty());
        assert_eq!(fields(b"{}", ["a"]).map(|[a]| a.is_none()), Some(true));
    }

    #[test]
    fn texts_are_copied_only_for_their_escapes() {
        assert!(matches!(text(leading(br#""plain" more"#)), Some(Cow::Borrowed("plain"))));
        assert!(matches!(text(leading(br#""two\nlines""#)), Some(Cow::Owned(text)) if text == "two\nlines"));
        for odd in [&b"7"[..], b"null", br#""\ud800""#, br#""open"#, b""] {
            assert_eq!(text(leading(odd)), None, "{odd:?}");
        }
        assert_eq!(
            ["true", "\"false\"", "\"\"", "1"].map(|json| truth(leading(json.as_bytes()))),
            [Some(true), Some(false), None, None]
        );
    }
}
