//! Who may use a layer version: the decision that a policy document amounts to.

use serde::Deserialize;
use serde_json::Value;

/// The statement's name in the policies we write.
pub const STATEMENT: &str = "public";
/// The one action that a layer's policy knows.
pub const ACTION: &str = "lambda:GetLayerVersion";

/// Who may use a layer version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Everybody.
    Public,
    /// Only the account that owns it.
    Missing,
    /// Somebody, but not everybody: the policy as it stands.
    Other(String),
}

impl std::fmt::Display for Grant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Public => f.write_str("public"),
            Self::Missing => f.write_str("no permission"),
            Self::Other(policy) => write!(f, "another policy: {policy}"),
        }
    }
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "Statement", default)]
    statements: Vec<Statement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    effect: String,
    principal: Value,
    action: Value,
    #[serde(default)]
    condition: Option<Value>,
}

impl Statement {
    fn is_public(&self) -> bool {
        let everybody =
            has(&self.principal, "*") || self.principal.get("AWS").is_some_and(|aws| has(aws, "*"));
        let unconditional = match &self.condition {
            None | Some(Value::Null) => true,
            Some(condition) => condition.as_object().is_some_and(serde_json::Map::is_empty),
        };
        self.effect == "Allow" && everybody && has(&self.action, ACTION) && unconditional
    }
}

/// AWS writes a list of one as the bare string.
fn has(value: &Value, wanted: &str) -> bool {
    value.as_str() == Some(wanted)
        || value.as_array().is_some_and(|all| all.iter().any(|one| one.as_str() == Some(wanted)))
}

/// What a policy document amounts to.
pub fn grant(document: &str) -> Grant {
    match serde_json::from_str::<Document>(document) {
        Ok(parsed) if parsed.statements.is_empty() => Grant::Missing,
        Ok(parsed) if parsed.statements.iter().any(Statement::is_public) => Grant::Public,
        _ => Grant::Other(document.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(statement: &str) -> String {
        format!(r#"{{"Version":"2012-10-17","Id":"default","Statement":[{statement}]}}"#)
    }

    #[test]
    fn public_is_everybody_without_conditions() {
        for principal in [r#""*""#, r#"{"AWS":"*"}"#, r#"{"AWS":["*"]}"#] {
            let text = policy(&format!(
                r#"{{"Sid":"x","Effect":"Allow","Principal":{principal},"Action":"lambda:GetLayerVersion"}}"#
            ));
            assert_eq!(grant(&text), Grant::Public, "{text}");
        }
    }

    #[test]
    fn an_organization_an_account_or_a_denial_is_not_public() {
        for rest in [
            r#""Effect":"Allow","Principal":"*","Action":"lambda:GetLayerVersion","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}"#,
            r#""Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"lambda:GetLayerVersion"#,
            r#""Effect":"Deny","Principal":"*","Action":"lambda:GetLayerVersion""#,
            r#""Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunction""#,
        ] {
            assert!(matches!(grant(&policy(&format!("{{{rest}}}"))), Grant::Other(_)), "{rest}");
        }
        assert_eq!(grant(&policy("")), Grant::Missing);
        assert!(matches!(grant("not json"), Grant::Other(_)));
    }
}
