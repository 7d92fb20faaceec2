//! Parses the name or the ARN of the function to change.

use crate::aws::partition::RegionName;
use std::str::FromStr;

/// A function's name, or its ARN without a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FunctionName {
    text: String,
    /// The region, if the function was given by ARN.
    pub(crate) region: Option<RegionName>,
}

/// The text does not name a function that can be changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadFunctionName {
    /// The text has no form that Lambda accepts.
    #[error("`{0}` is neither a function's name nor its ARN")]
    Form(String),
    /// The text names a version or an alias. A version cannot be changed, and an alias points to a version.
    #[error(
        "`{0}` names a version or an alias; what is published cannot be changed: name the function alone, then \
         publish a new version of it"
    )]
    Qualified(String),
}

impl FunctionName {
    /// The name or the ARN as the API accepts it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for FunctionName {
    type Err = BadFunctionName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || BadFunctionName::Form(text.to_owned());
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let parts: Vec<&str> = text.split(':').collect();
        let (region, name, rest) = match parts[..] {
            ["arn", partition, "lambda", region, account, "function", name, ref rest @ ..]
                if partition.starts_with("aws") && is_account(account) =>
            {
                (Some(region.parse::<RegionName>().map_err(|_| form())?), name, rest)
            }
            [account, "function", name, ref rest @ ..] if is_account(account) => (None, name, rest),
            [name, ref rest @ ..] => (None, name, rest),
            [] => return Err(form()),
        };
        if name.is_empty() || name.len() > 140 || !name.chars().all(plain) {
            return Err(form());
        }
        match rest {
            [] => Ok(Self { text: text.to_owned(), region }),
            ["$LATEST"] => {
                let text = text.trim_end_matches(":$LATEST").to_owned();
                Ok(Self { text, region })
            }
            [_] => Err(BadFunctionName::Qualified(text.to_owned())),
            _ => Err(form()),
        }
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_arns_are_accepted() {
        let arn = "arn:aws-cn:lambda:cn-north-1:123456789012:function:my_function-1";
        let parsed: FunctionName = arn.parse().unwrap();
        assert_eq!((parsed.as_str(), parsed.region.as_ref().unwrap().as_str()), (arn, "cn-north-1"));
        for name in ["my-function", "123456789012:function:my-function"] {
            let parsed: FunctionName = name.parse().unwrap();
            assert_eq!((parsed.as_str(), &parsed.region), (name, &None));
        }
        assert_eq!("f:$LATEST".parse::<FunctionName>().unwrap().as_str(), "f");
    }

    #[test]
    fn versions_aliases_and_other_texts_are_refused() {
        for qualified in ["f:7", "f:live", "arn:aws:lambda:eu-west-1:123456789012:function:f:live"] {
            let refused = BadFunctionName::Qualified(qualified.to_owned());
            assert_eq!(qualified.parse::<FunctionName>(), Err(refused));
        }
        for bad in
            ["", "a b", "f:1:2", "arn:aws:lambda:nowhere:123456789012:function:f", "../f", "arn:aws:s3:::x"]
        {
            assert!(matches!(bad.parse::<FunctionName>(), Err(BadFunctionName::Form(_))), "{bad}");
        }
    }
}
