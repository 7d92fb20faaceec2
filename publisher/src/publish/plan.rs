//! Decides what one layer needs in one region, by comparing what is wanted with what is there. There is no I/O here.

use crate::{
    artifacts::layers_manifest::{Layer, RelayInside},
    aws::{audience::Audience, layers::LayerVersion, policy::Repair},
    model::{
        digest::Digest,
        layer_name::LayerName,
        variant::{LayerKind, Variant},
    },
};
use serde::Serialize;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

/// The licence that AWS shows to users of the extension's layer. Relay has its own licence, which must be named with
/// every copy.
pub(crate) fn license(kind: LayerKind) -> &'static str {
    match kind {
        LayerKind::Plain => "BSD-3-Clause",
        LayerKind::Relay => {
            "BSD-3-Clause; Sentry Relay under the licence in https://github.com/getsentry/relay"
        }
    }
}

/// The version that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) variant: Variant,
    /// The name of the layer.
    pub(crate) layer: LayerName,
    /// The digest of the zip.
    pub(crate) digest: Digest,
    /// The size of the zip in bytes.
    pub(crate) size: u64,
    /// The compatible runtimes. An empty list means all.
    pub(crate) runtimes: Vec<String>,
    /// The licence that AWS shows.
    pub(crate) license: String,
    pub(crate) audience: Audience,
}

/// What one layer needs in one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// There is no version with these bytes.
    Publish,
    /// The bytes are there, but the policy does not grant them to everybody in the audience.
    Grant,
    /// The bytes are there, but the policy grants them to somebody outside the audience.
    Repair,
    /// Everything is there. The version is adopted as it is.
    Adopt,
}

/// The result of looking at one layer in one region.
#[derive(Clone, Debug)]
pub(crate) struct Inspection {
    /// The action that the layer needs.
    pub(crate) action: Action,
    /// The existing version that the action applies to.
    pub(crate) found: Option<LayerVersion>,
    /// The changes that its policy needs. For a new version, the changes that it will need.
    pub(crate) repair: Repair,
    /// The number that the next version will most likely get.
    pub(crate) next: i64,
    /// An additional message for the user.
    pub(crate) note: Option<String>,
}

impl Wanted {
    /// The entry for `layers.json`, before the layer is in any region.
    pub(crate) fn listed(&self, relay: Option<RelayInside>) -> Layer {
        Layer {
            name: self.layer.clone(),
            sha256: self.digest,
            code_sha256: self.digest.base64(),
            size: self.size,
            runtimes: (relay.is_some() || !self.runtimes.is_empty()).then(|| self.runtimes.clone()),
            relay,
            regions: BTreeMap::new(),
            missing_regions: BTreeSet::new(),
        }
    }

    /// Whether a description names these bytes. If it does, the version is worth reading.
    pub(crate) fn is_named_in(&self, description: &str) -> bool {
        description.contains(&self.digest.short())
    }

    /// The changes that the policy of a version needs.
    pub(crate) fn repair(&self, found: &LayerVersion) -> Repair {
        found.policy.repair(&self.audience)
    }

    /// The action for the version that was found. A version that cannot be adopted counts as not found.
    pub(crate) fn action(&self, found: Option<&LayerVersion>) -> Action {
        let Some(version) = found else { return Action::Publish };
        let repair = self.repair(version);
        match (repair.add.is_empty(), repair.remove.is_empty()) {
            (true, true) => Action::Adopt,
            (false, true) => Action::Grant,
            (_, false) => Action::Repair,
        }
    }

    /// Chooses among several versions with the same bytes: the newest whose policy is right, or else the oldest. So
    /// two runs at the same time choose the same version.
    pub(crate) fn choose<'a>(&self, identical: &'a [LayerVersion]) -> Option<&'a LayerVersion> {
        let right = identical.iter().filter(|version| version.policy.matches(&self.audience));
        right.max_by_key(|version| version.number).or_else(|| identical.iter().min_by_key(|v| v.number))
    }

    /// For versions with the same bytes that appeared while we published: the one to keep, and the others that have
    /// no grants and so can be deleted.
    pub(crate) fn kept_and_removable(
        appeared: &[LayerVersion],
    ) -> (Option<&LayerVersion>, Vec<&LayerVersion>) {
        let granted = |version: &&LayerVersion| !version.policy.is_empty();
        let oldest_granted = appeared.iter().filter(granted).min_by_key(|version| version.number);
        let kept = oldest_granted.or_else(|| appeared.iter().min_by_key(|version| version.number));
        let mut others: Vec<&LayerVersion> = appeared
            .iter()
            .filter(|version| Some(version.number) != kept.map(|kept| kept.number) && !granted(version))
            .collect();
        others.sort_by_key(|version| Reverse(version.number));
        (kept, others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        aws::policy::Policy,
        model::{arch::Arch, layer_arch::LayerArch},
    };

    fn wanted() -> Wanted {
        let layer = LayerName::try_from("x".to_owned()).unwrap();
        let audience = Audience::public();
        let variant = Variant::new(Arch::Arm64, LayerKind::Plain);
        let license = license(LayerKind::Plain).to_owned();
        let digest = Digest::of(b"zip");
        Wanted { variant, layer, digest, size: 3, runtimes: Vec::new(), license, audience }
    }

    fn policy(principal: &str) -> Policy {
        Policy::read(&format!(
            r#"{{"Statement":[{{"Sid":"x","Effect":"Allow","Principal":"{principal}",
                "Action":"lambda:GetLayerVersion"}}]}}"#
        ))
    }

    fn version() -> LayerVersion {
        LayerVersion {
            number: 1,
            arn: String::new(),
            code_sha256: Digest::of(b"zip").base64(),
            size: 3,
            architectures: vec!["arm64".to_owned()],
            runtimes: Vec::new(),
            license: license(LayerKind::Plain).to_owned(),
            description: format!("sha256 {}", Digest::of(b"zip").short()),
            policy: policy("*"),
        }
    }

    fn numbered(number: i64, policy: Policy) -> LayerVersion {
        LayerVersion { number, policy, ..version() }
    }

    #[test]
    fn a_version_with_the_same_bytes_needs_at_most_a_policy_change() {
        assert_eq!(wanted().action(Some(&version())), Action::Adopt);
        for policy in [Policy::default(), policy("123456789012")] {
            assert_eq!(wanted().action(Some(&LayerVersion { policy, ..version() })), Action::Grant);
        }
        let private = Wanted { audience: Audience::of([]), ..wanted() };
        assert_eq!(private.action(Some(&version())), Action::Repair);
        assert_eq!(wanted().action(None), Action::Publish);
    }

    #[test]
    fn each_fixed_property_that_differs_is_reported() {
        let wrong = [
            LayerVersion { code_sha256: "other".to_owned(), ..version() },
            LayerVersion { size: 4, ..version() },
            LayerVersion { architectures: vec!["x86_64".to_owned()], ..version() },
            LayerVersion { runtimes: vec!["nodejs22.x".to_owned()], ..version() },
            LayerVersion { license: String::new(), ..version() },
        ];
        for version in wrong {
            assert_eq!(wanted().fixed_differences(&version).len(), 1, "{version:?}");
        }
        let none = LayerVersion { architectures: Vec::new(), ..version() };
        assert_eq!(wanted().fixed_differences(&none).len(), 1, "arm64 has to be named");
        let x86_64 = Wanted { variant: Variant::new(Arch::X86_64, LayerKind::Plain), ..wanted() };
        assert_eq!(x86_64.fixed_differences(&none), []);
        let both = Wanted { variant: Variant::new(LayerArch::Both, LayerKind::Plain), ..wanted() };
        assert_eq!(both.fixed_differences(&none), [], "such a region runs x86_64 only");
        assert_eq!(both.fixed_differences(&version()).len(), 1);
        let architectures = ["x86_64", "arm64"].map(str::to_owned).to_vec();
        assert_eq!(both.fixed_differences(&LayerVersion { architectures, ..version() }), []);
        let runtimes = ["python3.14", "nodejs24.x"].map(str::to_owned).to_vec();
        let of_some = Wanted { runtimes: runtimes.clone(), ..wanted() };
        assert_eq!(of_some.fixed_differences(&version()).len(), 1);
        let turned = runtimes.into_iter().rev().collect();
        assert_eq!(of_some.fixed_differences(&LayerVersion { runtimes: turned, ..version() }), []);
    }

    #[test]
    fn the_newest_version_with_the_right_policy_is_chosen_or_else_the_oldest() {
        let none = Policy::default;
        let number = |all: &[LayerVersion]| wanted().choose(all).map(|version| version.number);
        assert_eq!(
            number(&[numbered(1, policy("*")), numbered(3, policy("*")), numbered(4, none())]),
            Some(3)
        );
        assert_eq!(number(&[numbered(3, none()), numbered(2, none())]), Some(2));
        assert_eq!(number(&[]), None);
    }

    #[test]
    fn concurrent_runs_keep_the_same_version_and_never_delete_a_granted_one() {
        let none = Policy::default;
        let kept_and_removed = |all: &[LayerVersion]| {
            let (kept, gone) = Wanted::kept_and_removable(all);
            (kept.map(|v| v.number), gone.iter().map(|v| v.number).collect::<Vec<_>>())
        };
        assert_eq!(kept_and_removed(&[numbered(2, none()), numbered(1, none())]), (Some(1), vec![2]));
        assert_eq!(kept_and_removed(&[numbered(1, none()), numbered(2, policy("*"))]), (Some(2), vec![1]));
        assert_eq!(
            kept_and_removed(&[numbered(1, policy("*")), numbered(2, policy("*"))]),
            (Some(1), vec![])
        );
        assert_eq!(kept_and_removed(&[numbered(7, none())]), (Some(7), vec![]));
    }
}
