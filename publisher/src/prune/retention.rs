//! Decides which old versions can be deleted, without calling AWS.

use std::collections::BTreeSet;

/// Returns the versions of a layer in one region that are neither among the newest `keep` nor named by a manifest. The
/// newest version always stays, because it is what `--latest` attaches.
pub(crate) fn superfluous(versions: &[i64], named: &BTreeSet<i64>, keep: usize) -> Vec<i64> {
    let mut newest_first = versions.to_vec();
    newest_first.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
    newest_first.into_iter().skip(keep.max(1)).filter(|number| !named.contains(number)).collect()
}

/// Returns the layers that are neither of the newest `keep` releases nor named by a manifest, newest first. Each
/// layer in `found` is one release. The newest one always stays.
pub(crate) fn superfluous_releases<R: Ord>(
    found: Vec<(R, String)>,
    named: &BTreeSet<&str>,
    keep: usize,
) -> Vec<String> {
    let mut newest_first = found;
    newest_first.sort_by(|(a, _), (b, _)| b.cmp(a));
    let old = newest_first.into_iter().skip(keep.max(1)).map(|(_, name)| name);
    old.filter(|name| !named.contains(name.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_and_the_named_versions_stay() {
        let named = BTreeSet::from([1, 9]);
        assert_eq!(superfluous(&[2, 9, 1, 7, 8], &named, 2), [7, 2]);
        assert_eq!(superfluous(&[2, 9, 1, 7, 8], &named, 9), Vec::<i64>::new());
        assert_eq!(superfluous(&[3, 2], &BTreeSet::new(), 0), [2], "the newest is never superfluous");
    }

    #[test]
    fn the_newest_and_the_named_releases_stay() {
        let found = || [2, 1, 4, 3].map(|n| (n, format!("x-{n}"))).to_vec();
        assert_eq!(superfluous_releases(found(), &BTreeSet::from(["x-1"]), 2), ["x-2"]);
        assert_eq!(superfluous_releases(found(), &BTreeSet::new(), 0), ["x-3", "x-2", "x-1"]);
        assert_eq!(superfluous_releases(found(), &BTreeSet::new(), 4), [""; 0]);
    }
}
