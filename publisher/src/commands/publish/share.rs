//! Parses `--share-with`, which says who may use the layers.

use crate::aws::audience::{Audience, BadGrantee, Grantee};
use std::str::FromStr;

/// One of the values of `--share-with`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// All AWS accounts.
    Public,
    /// Only the owner's account.
    Private,
    /// An account or an organization.
    With(Grantee),
}

/// The text does not name anybody that layers can be shared with.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadShare {
    /// The text begins like an account or an organization, but is not a valid one.
    #[error(transparent)]
    Grantee(#[from] BadGrantee),
    /// The text has none of the valid forms.
    #[error(
        "`{0}` is neither `public` nor `private`, nor an account (twelve digits) or an organization (o-…)"
    )]
    Form(String),
}

impl FromStr for Share {
    type Err = BadShare;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "public" | "everybody" => Ok(Self::Public),
            "private" | "nobody" => Ok(Self::Private),
            _ if text.starts_with("o-") => Ok(Self::With(Grantee::Organization(text.parse()?))),
            _ if text.starts_with(|first: char| first.is_ascii_digit()) => {
                Ok(Self::With(Grantee::Account(text.parse()?)))
            }
            _ => Err(BadShare::Form(text.to_owned())),
        }
    }
}

/// The audience of all values together. It is `None` if `public` or `private` is combined with another value.
pub(super) fn audience(shares: &[Share]) -> Option<Audience> {
    match shares {
        [Share::Public] => Some(Audience::public()),
        [Share::Private] => Some(Audience::of([])),
        [] => None,
        _ => {
            let grantee = |share: &Share| match share {
                Share::With(grantee) => Some(grantee.clone()),
                Share::Public | Share::Private => None,
            };
            shares.iter().map(grantee).collect::<Option<Vec<_>>>().map(Audience::of)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(list: &[&str]) -> Vec<Share> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn one_word_or_a_list_of_readers() {
        assert_eq!(audience(&shares(&["public"])), Some(Audience::public()));
        assert_eq!(audience(&shares(&["private"])), Some(Audience::of([])));
        let some = audience(&shares(&["123456789012", "o-a1b2c3d4e5"])).unwrap();
        assert_eq!(some.to_string(), "account 123456789012, organization o-a1b2c3d4e5");
        for mixed in [["public", "123456789012"], ["123456789012", "private"], ["public", "private"]] {
            assert_eq!(audience(&shares(&mixed)), None, "{mixed:?}");
        }
        for (bad, says) in [("12", "twelve digits"), ("o-", "o- and 10 to 32"), ("me", "neither `public`")] {
            let error = bad.parse::<Share>().unwrap_err().to_string();
            assert!(error.contains(says), "{bad}: {error}");
        }
    }
}
