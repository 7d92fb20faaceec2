//! The audience of a layer: the accounts and organizations that may use its versions.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// Who may use a layer version, besides its owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grantee {
    /// Every AWS account.
    Everybody,
    Account(AccountId),
    /// All accounts of one AWS organization.
    Organization(OrganizationId),
}

/// The number of an AWS account: twelve digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct AccountId(String);

/// The id of an AWS organization, e.g. `o-a1b2c3d4e5`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct OrganizationId(String);

/// The text is not a valid account number or organization id.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadGrantee {
    #[error("`{0}` is not an account: twelve digits")]
    Account(String),
    #[error("`{0}` is not an organization: o- and 10 to 32 lower-case letters and digits")]
    Organization(String),
}

impl AccountId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl OrganizationId {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AccountId {
    type Error = BadGrantee;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let good = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        if good { Ok(Self(text)) } else { Err(BadGrantee::Account(text)) }
    }
}

impl TryFrom<String> for OrganizationId {
    type Error = BadGrantee;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let good = text
            .strip_prefix("o-")
            .is_some_and(|rest| (10..=32).contains(&rest.len()) && rest.bytes().all(plain));
        if good { Ok(Self(text)) } else { Err(BadGrantee::Organization(text)) }
    }
}

impl FromStr for AccountId {
    type Err = BadGrantee;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl FromStr for OrganizationId {
    type Err = BadGrantee;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.to_owned().try_into()
    }
}

impl From<AccountId> for String {
    fn from(account: AccountId) -> Self {
        account.0
    }
}

impl From<OrganizationId> for String {
    fn from(organization: OrganizationId) -> Self {
        organization.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Grantee {
    /// The default id of the policy statement that grants access to this grantee.
    pub(crate) fn statement_id(&self) -> String {
        match self {
            Self::Everybody => "public".to_owned(),
            Self::Account(account) => format!("account-{account}"),
            Self::Organization(organization) => format!("organization-{}", organization.0),
        }
    }
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everybody => f.write_str("public"),
            Self::Account(account) => write!(f, "account {account}"),
            Self::Organization(organization) => write!(f, "organization {}", organization.0),
        }
    }
}

/// All grantees that may use a layer version. The owner may always use it and is not listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "AudienceJson", into = "AudienceJson")]
pub(crate) struct Audience(BTreeSet<Grantee>);

impl Audience {
    pub(crate) fn public() -> Self {
        Self(BTreeSet::from([Grantee::Everybody]))
    }

    /// An audience of exactly these grantees. An empty list means a private layer.
    pub(crate) fn of(grantees: impl IntoIterator<Item = Grantee>) -> Self {
        Self(grantees.into_iter().collect())
    }

    pub(crate) fn grantees(&self) -> impl Iterator<Item = &Grantee> {
        self.0.iter()
    }

    /// Whether every AWS account may use the layer.
    pub(crate) fn is_public(&self) -> bool {
        self.0.contains(&Grantee::Everybody)
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("private");
        }
        let grantees: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&grantees.join(", "))
    }
}

/// The form of an audience in `layers.json`: `"public"`, `"private"` or `{"accounts": […], "organizations": […]}`.
#[derive(Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum AudienceJson {
    Keyword(Keyword),
    Named {
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        accounts: Vec<AccountId>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        organizations: Vec<OrganizationId>,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Keyword {
    Public,
    Private,
}

impl From<AudienceJson> for Audience {
    fn from(json: AudienceJson) -> Self {
        match json {
            AudienceJson::Keyword(Keyword::Public) => Self::public(),
            AudienceJson::Keyword(Keyword::Private) => Self::of([]),
            AudienceJson::Named { accounts, organizations } => {
                let organizations = organizations.into_iter().map(Grantee::Organization);
                Self::of(accounts.into_iter().map(Grantee::Account).chain(organizations))
            }
        }
    }
}

impl From<Audience> for AudienceJson {
    fn from(audience: Audience) -> Self {
        if audience.is_public() {
            return Self::Keyword(Keyword::Public);
        }
        if audience.0.is_empty() {
            return Self::Keyword(Keyword::Private);
        }
        let mut accounts = Vec::new();
        let mut organizations = Vec::new();
        for grantee in audience.0 {
            match grantee {
                Grantee::Account(account) => accounts.push(account),
                Grantee::Organization(organization) => organizations.push(organization),
                Grantee::Everybody => {}
            }
        }
        Self::Named { accounts, organizations }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_audience_is_written_as_json_and_read_again() {
        let account = Grantee::Account("123456789012".parse().unwrap());
        let organization = Grantee::Organization("o-a1b2c3d4e5".parse().unwrap());
        for (audience, json) in [
            (Audience::public(), json!("public")),
            (Audience::of([]), json!("private")),
            (Audience::of([account.clone()]), json!({"accounts": ["123456789012"]})),
            (
                Audience::of([organization, account]),
                json!({"accounts": ["123456789012"], "organizations": ["o-a1b2c3d4e5"]}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&audience).unwrap(), json);
            assert_eq!(serde_json::from_value::<Audience>(json).unwrap(), audience);
        }
        assert!(serde_json::from_value::<Audience>(json!({"accounts": ["1"]})).is_err());
        assert!(serde_json::from_value::<Audience>(json!("somebody")).is_err());
        assert!(serde_json::from_value::<Audience>(json!({"account": "123456789012"})).is_err());
    }
}
