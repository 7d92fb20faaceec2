//! Decides how attaching or detaching changes a function's list of layers, without calling AWS.

use crate::{
    aws::{audience::AccountId, layer_arn::LayerArn},
    model::layer_name::LayerName,
};
use serde::Serialize;
use std::collections::BTreeSet;

/// Lambda's limit for the layers of one function.
pub(crate) const MAX_LAYERS: usize = 5;
/// The beginnings of the default layer names, in both version styles.
const DEFAULT_PREFIXES: [&str; 2] = ["SentryLambdaExtension-", "SentryLambdaExtensionRelay-"];
/// The beginnings of the names of Sentry's own layers, which contain an SDK.
const SDK_PREFIXES: [&str; 2] = ["SentryNodeServerlessSDK", "SentryPythonServerlessSDK"];

/// The layers of which a function needs at most one: those of one account, for either architecture, with Relay or
/// without.
#[derive(Clone, Debug)]
pub(crate) struct Family {
    /// The account that owns them. If it is unknown, the name alone decides.
    pub(crate) account: Option<AccountId>,
    /// The names of the layers. The default names always count as well.
    pub(crate) names: BTreeSet<String>,
}

/// How the list changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ListChange {
    /// The list is already right.
    None,
    /// The layer is added behind the others.
    Append,
    /// The layer replaces another version or variant of itself.
    Replace,
    /// The layer is removed.
    Remove,
    /// The list becomes what it was before an earlier run.
    Restore,
}

/// The layers that a function should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// The change that leads to this list.
    pub(crate) action: ListChange,
    /// All layers, in order.
    pub(crate) layers: Vec<String>,
}

impl Family {
    /// Whether a layer belongs to the family.
    pub(crate) fn has(&self, arn: &str) -> bool {
        arn.parse().is_ok_and(|arn: LayerArn| {
            self.account.as_ref().is_none_or(|account| *account == arn.account) && self.has_name(&arn.name)
        })
    }

    /// Whether a layer of another account has a name of this family. It is probably a copy, with the same files in
    /// the same places.
    pub(crate) fn resembles(&self, arn: &str) -> bool {
        !self.has(arn) && arn.parse().is_ok_and(|arn: LayerArn| self.has_name(&arn.name))
    }

    fn has_name(&self, name: &LayerName) -> bool {
        self.names.contains(name.as_str())
            || DEFAULT_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix))
    }
}

/// Whether a layer is one of Sentry's own with an SDK. Some of them contain an extension that uses the same port.
pub(crate) fn is_sentrys_sdk(arn: &str) -> bool {
    arn.parse()
        .is_ok_and(|arn: LayerArn| SDK_PREFIXES.iter().any(|prefix| arn.name.as_str().starts_with(prefix)))
}

/// Puts the layer in the place of the first one of its family, or at the end if there is none. The other layers keep
/// their order.
pub(crate) fn attach(before: &[String], wanted: &LayerArn, family: &Family) -> Decision {
    let wanted = wanted.to_string();
    let is_ours = |arn: &String| *arn == wanted || family.has(arn);
    let place = before.iter().position(is_ours);
    let mut layers: Vec<String> = before.iter().filter(|arn| !is_ours(arn)).cloned().collect();
    let place_among_others = place.unwrap_or(layers.len());
    layers.insert(place_among_others, wanted);
    let action = match place {
        _ if layers == before => ListChange::None,
        Some(_) => ListChange::Replace,
        None => ListChange::Append,
    };
    Decision { action, layers }
}

/// Removes all layers of the family. The other layers keep their order.
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
    fn the_layer_replaces_all_its_versions_and_variants_and_other_layers_keep_their_order() {
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
    fn a_right_list_stays_and_a_duplicate_is_removed() {
        let (a, wanted) = (arn(2, "a", 1), ours("Ext-arm64", 7));
        let right = [wanted.clone(), a.clone()];
        assert_eq!(attached(&right, &wanted), (ListChange::None, right.to_vec()));
        let twice = [ours("Ext-arm64", 6), a.clone(), wanted.clone()];
        assert_eq!(attached(&twice, &wanted), (ListChange::Replace, right.to_vec()));
    }

    #[test]
    fn layers_of_another_account_are_not_ours_whatever_their_name() {
        let (copy, wanted) = (arn(2, "Ext-arm64", 6), ours("Ext-arm64", 7));
        assert_eq!(attached(std::slice::from_ref(&copy), &wanted).0, ListChange::Append);
        assert!(family().resembles(&copy) && !family().resembles(&wanted));
        assert!(!family().resembles(&arn(2, "a", 1)) && !family().has("no arn"));
        assert!(is_sentrys_sdk(&arn(2, "SentryNodeServerlessSDKv10", 97)) && !is_sentrys_sdk(&wanted));
    }

    #[test]
    fn detaching_removes_our_layers_only() {
        let (a, b) = (arn(2, "a", 1), arn(2, "b", 2));
        let before = [a.clone(), ours("Ext-arm64", 6), b.clone(), ours("Ext-x86_64", 1)];
        let decision = detach(&before, &family());
        assert_eq!((decision.action, decision.layers), (ListChange::Remove, vec![a.clone(), b]));
        let without = vec![a];
        assert_eq!(detach(&without, &family()), Decision { action: ListChange::None, layers: without });
    }
}
