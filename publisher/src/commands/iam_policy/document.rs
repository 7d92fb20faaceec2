//! A policy as IAM reads it, its fields in the order in which people read them.

use crate::commands::iam_policy::rights::{ResourceKind, Right};
use serde::Serialize;
use serde_json::Value;

/// A whole policy.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct IamDocument {
    version: &'static str,
    statement: Vec<Statement>,
}

/// What is allowed, on what, and on which condition.
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
    /// A policy of these statements.
    pub(crate) fn new(statement: Vec<Statement>) -> Self {
        // The language's version, and its latest.
        Self { version: "2012-10-17", statement }
    }
}

impl Statement {
    /// None where nothing has to be allowed.
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

    /// Who may take the role that this is a policy of.
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

    /// The same, on a condition.
    pub(crate) fn only_if(self, condition: Value) -> Self {
        Self { condition: Some(condition), ..self }
    }
}
