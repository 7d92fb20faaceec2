//! Which old versions can go: a pure decision.

use std::collections::BTreeSet;

/// Of all versions of a layer in a region, those that are neither among the newest `keep` nor named by a manifest.
pub fn superfluous(versions: &[i64], named: &BTreeSet<i64>, keep: usize) -> Vec<i64> {
    let mut newest_first = versions.to_vec();
    newest_first.sort_unstable_by_key(|number| std::cmp::Reverse(*number));
    newest_first.into_iter().skip(keep).filter(|number| !named.contains(number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_and_the_named_stay() {
        let named = BTreeSet::from([1, 9]);
        assert_eq!(superfluous(&[2, 9, 1, 7, 8], &named, 2), [7, 2]);
        assert_eq!(superfluous(&[2, 9, 1, 7, 8], &named, 9), Vec::<i64>::new());
        assert_eq!(superfluous(&[3, 2], &BTreeSet::new(), 0), [3, 2]);
    }
}
