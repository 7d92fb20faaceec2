//! Walks through a batch, element by element. An element that is not JSON costs only itself, as far as the start of the
//! next one can be found.

/// The most elements of a batch that are skipped. To find the next one may take a pass over the rest of the batch.
const MAX_SKIPPED: usize = 16;
/// What Lambda writes between two elements. Inside a JSON text the quotes would have backslashes.
const BETWEEN: &str = r#",{"time":"#;

/// A place in a batch, at the start of an element.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    /// `None` is the end.
    rest: Option<&'a str>,
    skipped: usize,
}

/// What became of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advance {
    /// It was read.
    Read,
    /// It, or what follows it, is not JSON. The cursor has gone on to the next one that can be found.
    Skipped,
    /// There are no more, or none that can be found.
    Ended,
}

impl<'a> Cursor<'a> {
    /// Starts in front of the first element. `None` means that the batch is not an array.
    pub(super) fn new(batch: &'a str) -> Option<Self> {
        let rest = batch.trim_ascii_start().strip_prefix('[')?.trim_ascii_start();
        Some(Self { rest: Some(rest).filter(|rest| !rest.starts_with(']')), skipped: 0 })
    }

    /// Goes on by one element. `read` reads the one at the start of the text and returns what follows it, or `None` if
    /// it is not JSON.
    pub(super) fn advance(&mut self, read: impl FnOnce(&'a str) -> Option<&'a str>) -> Advance {
        let Some(rest) = self.rest else { return Advance::Ended };
        let behind = read(rest);
        let separator = behind.unwrap_or_default().trim_ascii_start();
        if let Some(next) = separator.strip_prefix(',') {
            self.rest = Some(next.trim_ascii_start());
            return Advance::Read;
        }
        if separator.starts_with(']') {
            self.rest = None;
            return Advance::Read;
        }
        self.skipped += 1;
        let rest = behind.unwrap_or(rest);
        let next = rest.find(BETWEEN).filter(|_| self.skipped <= MAX_SKIPPED);
        self.rest = next.and_then(|at| rest.get(at + 1..));
        Advance::Skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks through a batch whose elements are `{"time":N}`, and returns each `N`, or "-" where something was skipped.
    fn walk(batch: &str) -> Vec<&str> {
        let Some(mut cursor) = Cursor::new(batch) else { return vec!["no array"] };
        let mut walked = Vec::new();
        loop {
            let mut number = "-";
            let advance = cursor.advance(|rest| {
                let (found, behind) = rest.strip_prefix("{\"time\":")?.split_once('}')?;
                number = Some(found).filter(|found| found.len() == 1)?;
                Some(behind)
            });
            match advance {
                Advance::Read => walked.push(number),
                Advance::Skipped => walked.push("-"),
                Advance::Ended => return walked,
            }
        }
    }

    #[test]
    fn whole_batches_are_walked_through() {
        assert_eq!(walk("[]"), [""; 0]);
        assert_eq!(walk(" [ {\"time\":1} , {\"time\":2}] and more"), ["1", "2"]);
        assert_eq!(walk("{}"), ["no array"]);
    }

    #[test]
    fn what_is_broken_is_skipped_up_to_the_next_element() {
        let elements = ["{\"time\":1}", "{\"time\":2}", "{\"time\":3}"];
        for (broken, expected) in [
            ("{\"time\":xx}", ["-", "2", "3"]),
            ("{\"time\":\"{\\\"time\\\":\"}", ["-", "2", "3"]),
            ("{\"time\":", ["-", "2", "3"]),
        ] {
            assert_eq!(walk(&format!("[{broken},{},{}]", elements[1], elements[2])), expected);
        }
        assert_eq!(walk("[{\"time\":1}x,{\"time\":2}]"), ["-", "2"], "what follows an element is broken");
        assert_eq!(walk("[{\"time\":1},{\"time\":2"), ["1", "-"], "it is cut off");
        assert_eq!(walk("[{\"time\":1},]"), ["1", "-"]);
        assert_eq!(walk("["), ["-"]);
    }

    #[test]
    fn the_search_is_bounded() {
        let broken = vec!["{\"time\":xx}"; 1000].join(",");
        assert_eq!(walk(&format!("[{broken},{{\"time\":1}}]")), vec!["-"; MAX_SKIPPED + 1]);
    }
}
