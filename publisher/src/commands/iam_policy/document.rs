//! An IAM policy as it is serialized. The fields are in the order in which people read them.

use crate::commands::iam_policy::rights::{ResourceKind, Right};
use serde::Serialize;
use serde_json::Value;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct IamDocument {
    version: &'static str,
    pub(super) statement: Vec<Statement>,
}

/// One statement of a policy: the allowed actions, the resources, and the condition if there is one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Statement {
    sid: &'static str,
    effect: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Value>,
    action: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resource: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Value>,
}

impl IamDocument {
    pub(crate) fn new(statement: Vec<Statement>) -> Self {
        // This is the latest version of the policy language.
        Self { version: "2012-10-17", statement }
    }
}

impl Statement {
    pub(crate) fn actions(&self) -> &[&'static str] {
        &self.action
    }

    pub(crate) fn resources(&self) -> &[String] {
        &self.resource
    }

    /// Allows `rights` on `resources`. Returns `None` if `rights` is empty, because IAM needs
    /// at least one action in a statement.
    pub(crate) fn of<'a>(
        on: ResourceKind,
        rights: impl Iterator<Item = &'a Right>,
        resources: &[String],
    ) -> Option<Self> {
        let action: Vec<&str> = rights.map(|right| right.action).collect();
        let resource = resources.to_vec();
        (!action.is_empty()).then(|| Self {
            sid: on.sid(),
            effect: "Allow",
            principal: None,
            action,
            resource,
            condition: None,
        })
    }

    /// The statement of a trust policy: `principal` may assume the role to which the policy belongs.
    pub(crate) fn trust(principal: Value) -> Self {
        Self {
            sid: "GitHubActions",
            effect: "Allow",
            principal: Some(principal),
            action: vec!["sts:AssumeRoleWithWebIdentity"],
            resource: Vec::new(),
            condition: None,
        }
    }

    /// Adds `condition` to the statement.
    pub(crate) fn only_if(self, condition: Value) -> Self {
        Self { condition: Some(condition), ..self }
    }
}
