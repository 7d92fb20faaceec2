//! Reads the policy of a layer version and decides which changes make it match an audience. This module does no I/O.

use crate::aws::audience::{Audience, Grantee};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The only action that the policy of a layer version can allow.
pub(crate) const ACTION: &str = "lambda:GetLayerVersion";

/// The maximum length of a policy in bytes.
pub(crate) const MAX_POLICY_BYTES: usize = 20_480;
const EMPTY_POLICY: &str = r#"{"Version":"2012-10-17","Id":"default","Statement":[]}"#;

/// Writes a statement as Lambda does. `AddLayerVersionPermission` takes one principal, so each account has its own
/// statement.
fn statement(id: &str, grantee: &Grantee, arn: &str) -> String {
    let principal = match grantee {
        Grantee::Everybody | Grantee::Organization(_) => json!("*"),
        Grantee::Account(account) => {
            let partition = arn.split(':').nth(1).unwrap_or_default();
            json!({"AWS": format!("arn:{partition}:iam::{}:root", account.as_str())})
        }
    };
    let mut statement = json!({
        "Sid": id, "Effect": "Allow", "Principal": principal, "Action": ACTION, "Resource": arn
    });
    if let (Grantee::Organization(id), Some(fields)) = (grantee, statement.as_object_mut()) {
        fields.insert("Condition".to_owned(), json!({"StringEquals": {"aws:PrincipalOrgID": id.as_str()}}));
    }
    statement.to_string()
}

/// The policy that a layer version has.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Policy {
    statements: Vec<Statement>,
    /// The text of the document if it could not be parsed.
    unreadable: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Statement {
    id: String,
    /// The grantee. `None` means that the statement is of a kind that the publisher does not write.
    grantee: Option<Grantee>,
    text: String,
}

/// The changes that make a policy match an audience.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Repair {
    /// The statements to add, each with an id that the policy does not use yet.
    pub(crate) add: Vec<(String, Grantee)>,
    /// The ids of the statements to remove.
    pub(crate) remove: Vec<String>,
}

impl Repair {
    /// Whether the policy needs no change.
    pub(crate) fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }
}

impl std::fmt::Display for Repair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let add = self.add.iter().map(|(_, grantee)| format!("grant {grantee}"));
        let remove = self.remove.iter().map(|id| format!("remove the statement `{id}`"));
        f.write_str(&add.chain(remove).collect::<Vec<_>>().join(", "))
    }
}

impl Policy {
    /// Parses a policy document. A document that cannot be parsed is kept as text, and such a policy matches no
    /// audience.
    pub(crate) fn read(document: &str) -> Self {
        match serde_json::from_str::<PolicyDocument>(document) {
            Ok(parsed) => {
                let statements = parsed.statements.iter().map(Statement::of).collect();
                Self { statements, unreadable: None }
            }
            Err(_) => Self { statements: Vec::new(), unreadable: Some(document.to_owned()) },
        }
    }

    /// Whether the policy grants nothing, so that only the owner may use the version.
    pub(crate) fn is_empty(&self) -> bool {
        self.statements.is_empty() && self.unreadable.is_none()
    }

    /// Decides which changes make the policy match the `wanted` audience. Missing statements are added. If the usual
    /// id is taken, a statement gets another id, because replacing the old one would need the right to remove it.
    /// Statements beyond a restricted audience are removed. If the audience is everybody, further statements make no
    /// difference and stay.
    pub(crate) fn repair(&self, wanted: &Audience) -> Repair {
        let found: BTreeSet<&Grantee> = self.statements.iter().filter_map(|s| s.grantee.as_ref()).collect();
        let missing = wanted.grantees().filter(|grantee| !found.contains(grantee));
        let add = missing.map(|grantee| (self.free_id(&grantee.statement_id()), grantee.clone())).collect();
        let wanted: BTreeSet<&Grantee> = wanted.grantees().collect();
        let is_wanted = |grantee: &Option<Grantee>| grantee.as_ref().is_some_and(|r| wanted.contains(r));
        let surplus = self.statements.iter().filter(|statement| !is_wanted(&statement.grantee));
        let remove = if wanted.contains(&Grantee::Everybody) {
            Vec::new()
        } else {
            surplus.map(|statement| statement.id.clone()).collect()
        };
        Repair { add, remove }
    }

    /// The length of the policy document in bytes after the repair. `arn` is the ARN of the layer version.
    pub(crate) fn length_after(&self, repair: &Repair, arn: &str) -> usize {
        let kept = self.statements.iter().filter(|statement| !repair.remove.contains(&statement.id));
        let kept = kept.map(|statement| statement.text.len());
        let added = repair.add.iter().map(|(id, grantee)| statement(id, grantee, arn).len());
        // Each statement but the last has a comma behind it.
        let statements: usize = kept.chain(added).map(|length| length + 1).sum();
        EMPTY_POLICY.len() + statements.saturating_sub(1)
    }

    /// Whether the policy matches the `wanted` audience.
    pub(crate) fn matches(&self, wanted: &Audience) -> bool {
        self.unreadable.is_none() && self.repair(wanted).is_empty()
    }

    fn free_id(&self, id: &str) -> String {
        let taken = |id: &str| self.statements.iter().any(|statement| statement.id == id);
        let numbered = (2..=self.statements.len() + 1).map(|n| format!("{id}-{n}"));
        let mut ids = std::iter::once(id.to_owned()).chain(numbered);
        // There is one candidate more than there are statements, so at least one candidate is free.
        ids.find(|id| !taken(id)).unwrap_or_default()
    }
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(text) = &self.unreadable {
            return write!(f, "unreadable: {text}");
        }
        if self.statements.is_empty() {
            return f.write_str("private");
        }
        let describe = |statement: &Statement| match &statement.grantee {
            Some(grantee) => grantee.to_string(),
            None => format!("another statement: {}", statement.text),
        };
        f.write_str(&self.statements.iter().map(describe).collect::<Vec<_>>().join(", "))
    }
}

#[derive(Deserialize)]
struct PolicyDocument {
    #[serde(rename = "Statement", default)]
    statements: Vec<Value>,
}

impl Statement {
    fn of(statement: &Value) -> Self {
        let text =
            |name: &str| statement.get(name).map(single_element).and_then(Value::as_str).unwrap_or_default();
        let allows = text("Effect") == "Allow" && text("Action") == ACTION;
        let principal = statement.get("Principal");
        let principal =
            principal.and_then(|p| p.get("AWS").or(Some(p))).map(single_element).and_then(Value::as_str);
        let condition = statement.get("Condition").filter(|condition| !is_empty_condition(condition));
        let grantee = match (allows, principal, condition) {
            (true, Some("*"), None) => Some(Grantee::Everybody),
            (true, Some("*"), Some(condition)) => organization(condition),
            (true, Some(account), None) => account_of(account),
            _ => None,
        };
        Self { id: text("Sid").to_owned(), grantee, text: statement.to_string() }
    }
}

fn organization(condition: &Value) -> Option<Grantee> {
    let conditions = condition.as_object().filter(|all| all.len() == 1)?;
    let equals = conditions.get("StringEquals")?.as_object().filter(|all| all.len() == 1)?;
    let id = single_element(equals.get("aws:PrincipalOrgID")?).as_str()?;
    id.parse().ok().map(Grantee::Organization)
}

fn account_of(principal: &str) -> Option<Grantee> {
    let number = match principal.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "iam", "", number, "root"] => number,
        [number] => *number,
        _ => return None,
    };
    number.parse().ok().map(Grantee::Account)
}

/// Returns the only element of a list of one, or else the value itself. AWS writes single values in both ways.
fn single_element(value: &Value) -> &Value {
    value
        .as_array()
        .and_then(|all| if let [one] = all.as_slice() { Some(one) } else { None })
        .unwrap_or(value)
}

fn is_empty_condition(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(statements: &[&str]) -> Policy {
        let statements: Vec<String> = statements
            .iter()
            .map(|s| format!(r#"{{"Effect":"Allow","Action":"lambda:GetLayerVersion",{s}}}"#))
            .collect();
        let text =
            format!(r#"{{"Version":"2012-10-17","Id":"default","Statement":[{}]}}"#, statements.join(","));
        Policy::read(&text)
    }

    fn account() -> Grantee {
        Grantee::Account("123456789012".parse().unwrap())
    }

    const ORG: &str = r#""Sid":"organization-o-a1b2c3d4e5","Principal":"*",
        "Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-a1b2c3d4e5"}}"#;
    const ACCOUNT: &str = r#""Sid":"a","Principal":{"AWS":"arn:aws:iam::123456789012:root"}"#;

    #[test]
    fn public_is_everybody_without_conditions() {
        for principal in [r#""*""#, r#"{"AWS":"*"}"#, r#"{"AWS":["*"]}"#] {
            let found = policy(&[&format!(r#""Sid":"x","Principal":{principal}"#)]);
            assert!(found.matches(&Audience::public()), "{found}");
            assert!(!found.matches(&Audience::of([])), "{found}");
        }
        for other in [
            ORG,
            ACCOUNT,
            r#""Sid":"x","Principal":"*","Effect":"Deny""#,
            r#""Sid":"x","Principal":"*","Action":"lambda:InvokeFunction""#,
            r#""Sid":"x","Principal":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}"#,
        ] {
            assert!(!policy(&[other]).matches(&Audience::public()), "{other}");
        }
        assert!(!Policy::read("not json").matches(&Audience::public()));
        assert!(!Policy::read("not json").matches(&Audience::of([])));
    }

    #[test]
    fn accounts_and_organizations_are_recognized() {
        let org = Grantee::Organization("o-a1b2c3d4e5".parse().unwrap());
        assert!(policy(&[ORG, ACCOUNT]).matches(&Audience::of([org.clone(), account()])));
        assert!(!policy(&[ORG, ACCOUNT]).matches(&Audience::of([org])));
        assert!(policy(&[r#""Sid":"a","Principal":"123456789012""#]).matches(&Audience::of([account()])));
        assert!(Policy::default().matches(&Audience::of([])));
    }

    #[test]
    fn a_taken_id_is_not_reused_and_nothing_is_removed_from_a_public_policy() {
        let taken = policy(&[r#""Sid":"public","Principal":"999999999999""#]);
        let repair = taken.repair(&Audience::public());
        assert_eq!(repair.add, [("public-2".to_owned(), Grantee::Everybody)]);
        assert_eq!(repair.remove, Vec::<String>::new());
    }

    #[test]
    fn the_length_counts_kept_and_added_statements() {
        let arn = "arn:aws:lambda:eu-west-1:123456789012:layer:SentryLambdaExtension-arm64:1";
        let length =
            |policy: &Policy, audience: &Audience| policy.length_after(&policy.repair(audience), arn);
        let accounts = |count: u64| {
            let id = |n: u64| (100_000_000_000 + n).to_string().parse().unwrap();
            Audience::of((0..count).map(|n| Grantee::Account(id(n))))
        };
        assert_eq!(length(&Policy::default(), &Audience::of([])), EMPTY_POLICY.len());
        let written = |audience: &Audience| {
            let statements = Policy::default().repair(audience).add;
            let statements: Vec<String> =
                statements.iter().map(|(id, who)| statement(id, who, arn)).collect();
            EMPTY_POLICY.replace("[]", &format!("[{}]", statements.join(",")))
        };
        for audience in [accounts(3), Audience::public()] {
            let document = written(&audience);
            assert_eq!(length(&Policy::default(), &audience), document.len());
            let found = Policy::read(&document);
            assert!(found.matches(&audience));
            assert_eq!(length(&found, &audience), document.len(), "nothing is added to what is there");
        }
        assert!(length(&Policy::default(), &accounts(80)) < MAX_POLICY_BYTES);
        assert!(length(&Policy::default(), &accounts(120)) > MAX_POLICY_BYTES);
        // Removed statements make room for the added ones.
        let found = Policy::read(&written(&accounts(80)));
        assert!(length(&found, &accounts(60)) < MAX_POLICY_BYTES);
    }

    #[test]
    fn grants_outside_a_restricted_audience_are_removed() {
        let wide = policy(&[r#""Sid":"public","Principal":"*""#, ACCOUNT]);
        assert_eq!(wide.repair(&Audience::of([account()])).remove, ["public"]);
        let all = wide.repair(&Audience::of([]));
        assert_eq!((all.add.len(), all.remove), (0, vec!["public".to_owned(), "a".to_owned()]));
    }
}
