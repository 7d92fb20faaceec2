//! Whose credentials these are.

use super::{
    error::{CallError, Kind},
    partition::Partition,
    session::{Session, SessionError},
};

/// An account, and the partition that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Twelve digits.
    pub account: String,
    /// From the caller's ARN.
    pub partition: Partition,
}

/// Asks the regional STS: tokens and answers of the global one are of no use in opt-in regions.
pub async fn caller(session: &Session) -> Result<Identity, SessionError> {
    let sts = aws_sdk_sts::Client::new(&session.config);
    let answer = sts.get_caller_identity().send().await.map_err(|error| {
        let source = CallError::new("GetCallerIdentity", &error);
        if matches!(source.kind, Kind::Ambiguous | Kind::Unsent) {
            let at = session.config.endpoint_url().map(|url| format!(" at {url}")).unwrap_or_default();
            SessionError::Unreachable { at, source }
        } else {
            SessionError::Refused(source)
        }
    })?;
    let arn = answer.arn().unwrap_or_default();
    let partition = arn.split(':').nth(1).and_then(Partition::from_name);
    match (answer.account(), partition) {
        (Some(account), Some(partition)) => Ok(Identity { account: account.to_owned(), partition }),
        _ => Err(SessionError::Partition(arn.to_owned())),
    }
}
