//! Asks IAM what a caller may do, by simulation (`iam:SimulatePrincipalPolicy`). Nothing is tried for real.

use crate::aws::{error::CallError, partition::RegionName, session::Session};
use aws_sdk_iam::{
    Client,
    types::{ContextEntry, ContextKeyTypeEnum, EvaluationResult, PolicyEvaluationDecisionType},
};

const SIMULATE: &str = "iam:SimulatePrincipalPolicy";
const GET_ROLE: &str = "iam:GetRole";

/// Whose policies decide about a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// A user, by ARN.
    User(String),
    /// A role that was assumed. The caller's ARN lacks the path of the role.
    Role { name: String, arn_without_path: String },
    /// The account itself, to which no policy applies.
    Root,
    /// A caller whose policies cannot be simulated, for example a federated user.
    Other,
}

impl Principal {
    /// Finds it in the ARN that STS tells.
    pub(crate) fn of_caller(arn: &str) -> Self {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, partition, service, _, account, resource] = parts[..] else { return Self::Other };
        match (service, resource.split('/').collect::<Vec<_>>().as_slice()) {
            ("iam", ["root"]) => Self::Root,
            ("iam", ["user", ..]) => Self::User(arn.to_owned()),
            ("sts", ["assumed-role", name, ..]) => Self::Role {
                name: (*name).to_owned(),
                arn_without_path: format!("arn:{partition}:iam::{account}:role/{name}"),
            },
            _ => Self::Other,
        }
    }
}

/// What IAM says about one action on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) action: String,
    /// Why the action is not allowed, or `None` if it is.
    pub(crate) refusal: Option<&'static str>,
}

/// The client for the simulation.
pub(crate) struct Simulation {
    client: Client,
    /// The ARN of the user or the role.
    principal: String,
    context: Vec<ContextEntry>,
}

impl Simulation {
    /// Prepares the simulation of what the principal may do in a region. Returns `None` for a principal that cannot be
    /// simulated.
    pub(crate) async fn of(session: &Session, principal: &Principal, region: &RegionName) -> Option<Self> {
        let client = Client::new(&session.config);
        let principal = match principal {
            Principal::User(arn) => arn.clone(),
            Principal::Role { name, arn_without_path } => {
                let answer = client.get_role().role_name(name).send().await;
                let role = answer.map_err(|error| CallError::new(GET_ROLE, &error)).ok();
                // Without the right to read the role, it is taken for one without a path, as most are.
                let arn = role.and_then(|answer| answer.role).map(|role| role.arn);
                arn.unwrap_or_else(|| arn_without_path.clone())
            }
            Principal::Root | Principal::Other => return None,
        };
        // The values of the conditions in policies that a release meets.
        let values =
            [("aws:RequestedRegion", region.as_str()), ("iam:PassedToService", "lambda.amazonaws.com")];
        let entry = |(key, value): (&str, &str)| {
            ContextEntry::builder()
                .context_key_name(key)
                .context_key_values(value)
                .context_key_type(ContextKeyTypeEnum::String)
                .build()
        };
        Some(Self { client, principal, context: values.map(entry).to_vec() })
    }

    /// The ARN of the user or the role whose policies are simulated.
    pub(crate) fn principal(&self) -> &str {
        &self.principal
    }

    /// Asks about some actions on one resource, `*` for those that concern no single one.
    pub(crate) async fn decide(&self, actions: &[&str], resource: &str) -> Result<Vec<Decision>, CallError> {
        let request = self
            .client
            .simulate_principal_policy()
            .policy_source_arn(&self.principal)
            .set_action_names(Some(actions.iter().map(|action| (*action).to_owned()).collect()))
            .resource_arns(resource)
            .set_context_entries(Some(self.context.clone()));
        let mut pages = request.into_paginator().items().send();
        let mut decisions = Vec::new();
        while let Some(result) = pages.next().await {
            let result = result.map_err(|error| CallError::new(SIMULATE, &error))?;
            decisions.push(Decision { refusal: refusal(&result), action: result.eval_action_name });
        }
        Ok(decisions)
    }
}

fn refusal(result: &EvaluationResult) -> Option<&'static str> {
    let by_organization =
        result.organizations_decision_detail.as_ref().is_some_and(|detail| !detail.allowed_by_organizations);
    let by_boundary = result
        .permissions_boundary_decision_detail
        .as_ref()
        .is_some_and(|detail| !detail.allowed_by_permissions_boundary);
    match result.eval_decision {
        PolicyEvaluationDecisionType::Allowed => None,
        _ if by_organization => Some("a policy of the organization does not allow it"),
        _ if by_boundary => Some("the permissions boundary does not allow it"),
        PolicyEvaluationDecisionType::ExplicitDeny => Some("a policy denies it"),
        _ => Some("no policy allows it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assumed_role_is_simulated_by_its_role() {
        let of = Principal::of_caller;
        assert_eq!(
            of("arn:aws-cn:sts::123456789012:assumed-role/release/GitHubActions"),
            Principal::Role {
                name: "release".to_owned(),
                arn_without_path: "arn:aws-cn:iam::123456789012:role/release".to_owned()
            }
        );
        let user = "arn:aws:iam::123456789012:user/team/jo";
        assert_eq!(of(user), Principal::User(user.to_owned()));
        assert_eq!(of("arn:aws:iam::123456789012:root"), Principal::Root);
        for other in ["arn:aws:sts::123456789012:federated-user/jo", "arn:aws:iam", "", "jo"] {
            assert_eq!(of(other), Principal::Other, "{other}");
        }
    }
}
