//! Finds out to which account and partition the credentials belong.

use crate::aws::{
    error::{CallError, CallErrorKind},
    partition::Partition,
    session::{Session, SessionError},
};
use aws_sdk_sts::{config::Region, operation::get_caller_identity::GetCallerIdentityOutput};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The account number: twelve digits.
    pub(crate) account: String,
    /// The ARN of the caller.
    pub(crate) arn: String,
    /// The partition, taken from the ARN of the caller.
    pub(crate) partition: Partition,
}

/// Asks the STS of the session's region. The global STS cannot be used, because opt-in regions do not accept its
/// tokens. If the session's region does not know the account, or does not exist, the home region of the
/// partition is asked instead. The second value is then the error of the session's region.
pub(crate) async fn caller(session: &Session) -> Result<(Identity, Option<CallError>), SessionError> {
    let configured = session.config.region().map(|region| region.as_ref().to_owned()).unwrap_or_default();
    let home = Partition::of_prefix(&configured).home();
    match asked_in(session, &configured).await {
        Err(error) if configured != home && is_regions_own(&error) => match asked_in(session, home).await {
            Ok(answer) => Ok((identity(&answer)?, Some(error))),
            Err(error) => Err(no_identity(session, error)),
        },
        answer => Ok((identity(&answer.map_err(|error| no_identity(session, error))?)?, None)),
    }
}

async fn asked_in(session: &Session, region: &str) -> Result<GetCallerIdentityOutput, CallError> {
    let config =
        aws_sdk_sts::config::Builder::from(&session.config).region(Region::new(region.to_owned())).build();
    let answer = aws_sdk_sts::Client::from_conf(config).get_caller_identity().send().await;
    answer.map_err(|error| CallError::new("GetCallerIdentity", &error))
}

/// Whether the error may come from a region that is disabled or does not exist.
fn is_regions_own(error: &CallError) -> bool {
    matches!(error.kind, CallErrorKind::Credentials | CallErrorKind::Unsent)
}

fn no_identity(session: &Session, source: CallError) -> SessionError {
    // A response without an error code does not come from AWS.
    let not_aws = source.kind == CallErrorKind::Rejected && source.code.is_none();
    if source.kind == CallErrorKind::Clock {
        SessionError::Clock(source)
    } else if not_aws || matches!(source.kind, CallErrorKind::Ambiguous | CallErrorKind::Unsent) {
        let at = session.config.endpoint_url().map(|url| format!(" at {url}")).unwrap_or_default();
        SessionError::Unreachable { at, source }
    } else {
        SessionError::Refused(source)
    }
}

fn identity(answer: &GetCallerIdentityOutput) -> Result<Identity, SessionError> {
    let arn = answer.arn().unwrap_or_default();
    let partition = arn.split(':').nth(1).and_then(Partition::from_name);
    match (answer.account(), partition) {
        (Some(account), Some(partition)) => {
            Ok(Identity { account: account.to_owned(), arn: arn.to_owned(), partition })
        }
        _ => Err(SessionError::Partition(arn.to_owned())),
    }
}
