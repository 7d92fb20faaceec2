//! Finds out to which account and partition the credentials belong.

use crate::aws::{
    error::{CallError, CallErrorKind},
    partition::Partition,
    session::{Session, SessionError},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The account number: twelve digits.
    pub(crate) account: String,
    /// The partition, taken from the ARN of the caller.
    pub(crate) partition: Partition,
}

/// Asks the STS of the session's region. The global STS would not do, because its tokens and answers are of no use in
/// opt-in regions.
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
