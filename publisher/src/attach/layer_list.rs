//! What attaching does to a function's list of layers: a pure decision.

use crate::{
    aws::{audience::AccountId, layer_arn::LayerArn},
    model::layer_name::LayerName,
};
use serde::Serialize;
use std::collections::BTreeSet;

/// Lambda's limit of layers on a function.
pub(crate) const MOST: usize = 5;
/// How the layers are called where nobody wanted it otherwise, in whatever style.
const USUAL: [&str; 2] = ["SentryLambdaExtension-", "SentryLambdaExtensionRelay-"];
/// How Sentry's own layers with an SDK are called.
const SDK: [&str; 2] = ["SentryNodeServerlessSDK", "SentryPythonServerlessSDK"];

/// The layers of which a function needs one at most: of one account, of either architecture, with Relay or without.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    /// Whose they are; where nobody knows, the usual names are enough.
    pub(crate) account: Option<AccountId>,
    /// What they are called.
    pub(crate) names: BTreeSet<String>,
}

/// What attaching or detaching does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ListChange {
    /// Nothing: it is as it should be.
    None,
    /// Adds the layer behind the others.
    Append,
    /// Puts it where another version or variant of it was.
    Replace,
    /// Takes it away.
    Remove,
}

/// A function's layers as they should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// What it takes.
    pub(crate) action: ListChange,
    /// All layers, in order.
    pub(crate) layers: Vec<String>,
}

impl Family {
    /// Whether a layer is one of them.
    pub(crate) fn has(&self, arn: &str) -> bool {
        arn.parse().is_ok_and(|arn: LayerArn| {
            self.account.as_ref().is_none_or(|account| *account == arn.account) && self.called(&arn.name)
        })
    }

    /// Somebody else's copy: the same files, in the same places.
    pub(crate) fn resembles(&self, arn: &str) -> bool {
        !self.has(arn) && arn.parse().is_ok_and(|arn: LayerArn| self.called(&arn.name))
    }

    fn called(&self, name: &LayerName) -> bool {
        self.names.contains(name.as_str()) || USUAL.iter().any(|usual| name.as_str().starts_with(usual))
    }
}

/// Whether a layer is Sentry's own with an SDK, some of which bring an extension along that wants the same port.
pub(crate) fn is_sentrys_sdk(arn: &str) -> bool {
    arn.parse().is_ok_and(|arn: LayerArn| SDK.iter().any(|sdk| arn.name.as_str().starts_with(sdk)))
}

/// The layer takes the place of the first of its family, or the last one; nothing else moves.
pub(crate) fn attach(before: &[String], wanted: &LayerArn, family: &Family) -> Decision {
    let wanted = wanted.to_string();
    let ours = |arn: &String| *arn == wanted || family.has(arn);
    let place = before.iter().position(ours);
    let mut layers: Vec<String> = before.iter().filter(|arn| !ours(arn)).cloned().collect();
    let place_among_others = place.unwrap_or(layers.len());
    layers.insert(place_among_others, wanted);
    let action = match place {
        _ if layers == before => ListChange::None,
        Some(_) => ListChange::Replace,
        None => ListChange::Append,
    };
    Decision { action, layers }
}

/// All of the family go; nothing else moves.
pub(crate) fn detach(before: &[String], family: &Family) -> Decision {
    let layers: Vec<String> = before.iter().filter(|arn| !family.has(arn)).cloned().collect();
    let action = if layers.len() == before.len() { ListChange::None } else { ListChange::Remove };
    Decision { action, layers }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arn(account: u64, name: &str, version: i64) -> String {
        format!("arn:aws:lambda:eu-west-1:{account:012}:layer:{name}:{version}")
    }

    fn ours(name: &str, version: i64) -> String {
        arn(1, name, version)
    }

    fn family() -> Family {
        let account = Some(AccountId::try_from("000000000001".to_owned()).unwrap());
        Family { account, names: ["Ext-arm64", "Ext-x86_64"].map(str::to_owned).into() }
    }

    fn attached(before: &[String], wanted: &str) -> (ListChange, Vec<String>) {
        let decision = attach(before, &wanted.parse().unwrap(), &family());
        (decision.action, decision.layers)
    }

    #[test]
    fn a_new_layer_comes_last() {
        let (a, b, wanted) = (arn(2, "a", 1), arn(2, "b", 2), ours("Ext-arm64", 7));
        assert_eq!(attached(&[], &wanted), (ListChange::Append, vec![wanted.clone()]));
        let expected = vec![a.clone(), b.clone(), wanted.clone()];
        assert_eq!(attached(&[a, b], &wanted), (ListChange::Append, expected));
    }

    #[test]
    fn every_version_and_variant_gives_way_to_the_one_and_the_others_keep_their_order() {
        let (a, b, wanted) = (arn(2, "a", 1), arn(2, "b", 2), ours("Ext-arm64", 7));
        for old in [
            ours("Ext-arm64", 6),
            ours("Ext-arm64", 8),
            ours("Ext-x86_64", 7),
            ours("SentryLambdaExtensionRelay-arm64", 3),
            ours("SentryLambdaExtension-arm64-1_2_3", 1),
        ] {
            let before = [a.clone(), old.clone(), b.clone(), old];
            let expected = vec![a.clone(), wanted.clone(), b.clone()];
            assert_eq!(attached(&before, &wanted), (ListChange::Replace, expected));
        }
    }

    #[test]
    fn what_is_right_stays_and_twice_is_not_right() {
        let (a, wanted) = (arn(2, "a", 1), ours("Ext-arm64", 7));
        let right = [wanted.clone(), a.clone()];
        assert_eq!(attached(&right, &wanted), (ListChange::None, right.to_vec()));
        let twice = [ours("Ext-arm64", 6), a.clone(), wanted.clone()];
        assert_eq!(attached(&twice, &wanted), (ListChange::Replace, right.to_vec()));
    }

    #[test]
    fn somebody_elses_layers_are_not_ours_whatever_their_name() {
        let (copy, wanted) = (arn(2, "Ext-arm64", 6), ours("Ext-arm64", 7));
        assert_eq!(attached(std::slice::from_ref(&copy), &wanted).0, ListChange::Append);
        assert!(family().resembles(&copy) && !family().resembles(&wanted));
        assert!(!family().resembles(&arn(2, "a", 1)) && !family().has("no arn"));
        assert!(is_sentrys_sdk(&arn(2, "SentryNodeServerlessSDKv10", 97)) && !is_sentrys_sdk(&wanted));
    }

    #[test]
    fn detaching_takes_ours_and_leaves_the_rest() {
        let (a, b) = (arn(2, "a", 1), arn(2, "b", 2));
        let before = [a.clone(), ours("Ext-arm64", 6), b.clone(), ours("Ext-x86_64", 1)];
        let decision = detach(&before, &family());
        assert_eq!((decision.action, decision.layers), (ListChange::Remove, vec![a.clone(), b]));
        let without = vec![a];
        assert_eq!(detach(&without, &family()), Decision { action: ListChange::None, layers: without });
    }
}
