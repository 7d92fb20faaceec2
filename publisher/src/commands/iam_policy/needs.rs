//! What the steps of a release ask of AWS, with the resources of one region: the policies that `iam-policy` prints,
//! without their wildcards.

use super::{AttachPolicy, LayersPolicy, PolicyCommand, PublishPolicy, SMOKE_ROLE, SmokePolicy, YankPolicy};
use crate::{aws::partition::RegionName, failure::Failure};
use serde::Serialize;
use std::{collections::BTreeSet, fmt};

/// A step of a release, or of what comes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Step {
    Publish,
    Verify,
    Watch,
    Prune,
    Yank,
    Attach,
    Arn,
    Smoke,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publish => "publish",
            Self::Verify => "verify",
            Self::Watch => "watch",
            Self::Prune => "prune",
            Self::Yank => "yank",
            Self::Attach => "attach",
            Self::Arn => "arn",
            Self::Smoke => "smoke",
        })
    }
}

/// Some actions on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) actions: Vec<&'static str>,
    pub(crate) resource: String,
}

/// What the steps need for these layers. What several steps need in the same way is there once.
pub(crate) fn needs(
    steps: &[Step],
    layers: &LayersPolicy,
    region: &RegionName,
) -> Result<Vec<Need>, Failure> {
    let mut needs: Vec<Need> = Vec::new();
    for step in steps.iter().copied().collect::<BTreeSet<_>>() {
        for statement in policy(step, layers.clone()).document()?.statement {
            for resource in statement.resources() {
                let resource = concrete(resource, region);
                let need = Need { actions: statement.actions().to_vec(), resource };
                if !needs.contains(&need) {
                    needs.push(need);
                }
            }
        }
    }
    Ok(needs)
}

/// The policy of a step with the default options.
fn policy(step: Step, layers: LayersPolicy) -> PolicyCommand {
    match step {
        Step::Publish => PolicyCommand::Publish(PublishPolicy {
            layers,
            s3_bucket: None,
            kms_key: Vec::new(),
            narrow: false,
        }),
        Step::Verify => PolicyCommand::Verify(layers),
        Step::Watch => PolicyCommand::Watch(layers),
        Step::Prune => PolicyCommand::Prune(layers),
        Step::Yank => PolicyCommand::Yank(YankPolicy { layers, undo: false }),
        Step::Attach => PolicyCommand::Attach(AttachPolicy {
            layers,
            layers_of: None,
            latest: false,
            many: false,
            other_layers: Vec::new(),
            function: "*".to_owned(),
        }),
        Step::Arn => PolicyCommand::Arn(layers),
        Step::Smoke => PolicyCommand::Smoke(SmokePolicy { layers, function_role: SMOKE_ROLE.to_owned() }),
    }
}

/// A resource that the pattern of a policy matches: in this region, and number 1 of whatever has numbers. A `*` alone
/// stays, since it is no pattern there but what IAM wants for actions that concern no single resource.
fn concrete(pattern: &str, region: &RegionName) -> String {
    if pattern == "*" {
        return pattern.to_owned();
    }
    let parts = pattern.split(':').enumerate().map(|(n, part)| match (n, part) {
        (3, "*") => region.to_string(),
        _ => part.replace('*', "1"),
    });
    parts.collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::partition::Partition;

    #[test]
    fn a_resource_is_one_that_the_policy_matches() {
        let region: RegionName = "eu-west-1".parse().unwrap();
        for (pattern, expected) in [
            ("*", "*"),
            (
                "arn:aws:lambda:*:123456789012:layer:A-arm64",
                "arn:aws:lambda:eu-west-1:123456789012:layer:A-arm64",
            ),
            ("arn:aws:lambda:*:123456789012:layer:A:*", "arn:aws:lambda:eu-west-1:123456789012:layer:A:1"),
            (
                "arn:aws:lambda:*:123456789012:function:f-*",
                "arn:aws:lambda:eu-west-1:123456789012:function:f-1",
            ),
            ("arn:aws:iam::123456789012:role/r", "arn:aws:iam::123456789012:role/r"),
        ] {
            assert_eq!(concrete(pattern, &region), expected);
        }
    }

    #[test]
    fn two_steps_ask_for_the_same_once() {
        let layers = LayersPolicy {
            account: "123456789012".parse().unwrap(),
            partition: Partition::Aws,
            layer_name: vec!["SentryLambdaExtension-{arch}".to_owned()],
        };
        let needs = |steps: &[Step]| needs(steps, &layers, &"eu-west-1".parse().unwrap()).unwrap();
        let publish = needs(&[Step::Publish]);
        assert!(publish.iter().any(|need| need.actions.contains(&"lambda:PublishLayerVersion")
            && need.resource == "arn:aws:lambda:eu-west-1:123456789012:layer:SentryLambdaExtension-arm64"));
        assert_eq!(needs(&[Step::Publish, Step::Publish]), publish);
        assert!(needs(&[Step::Smoke]).iter().any(|need| need.actions == ["iam:PassRole"]));
    }
}
