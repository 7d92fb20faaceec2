//! Whose credentials these are.

use crate::aws::{
    error::{CallError, CallErrorKind},
    partition::Partition,
    session::{Session, SessionError},
};

/// An account, and the partition that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Twelve digits.
    pub(crate) account: String,
    /// From the caller's ARN.
    pub(crate) partition: Partition,
}

/// Asks the regional STS: tokens and answers of the global one are of no use in opt-in regions.
pub(crate) async fn caller(session: &Session) -> Result<Identity, SessionError> {
    let sts = aws_sdk_sts::Client::new(&session.config);
    let answer = sts.get_caller_identity().send().await.map_err(|error| {
        let source = CallError::new("GetCallerIdentity", &error);
        if matches!(source.kind, CallErrorKind::Ambiguous | CallErrorKind::Unsent) {
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
