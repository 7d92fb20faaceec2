//! Code that the commands which call AWS share: the account, the regions, and the command to suggest next.

use crate::{
    aws::{
        audience::AccountId,
        identity::{self, Identity},
        partition::RegionName,
        region_list::{self, ListError},
        regions::{self, RegionChoice, RegionPattern, Selection, Source},
        session::{AwsOptions, Session, SessionError},
    },
    failure::{Code, Failure},
    ui::Ui,
};
use std::sync::Arc;

/// Which regions, on the command line.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct RegionOptions {
    /// Only these regions instead of all that the account has enabled; patterns like `eu-*` too
    #[arg(long, visible_alias = "region", value_name = "REGION,…", value_delimiter = ',')]
    pub(crate) regions: Vec<RegionPattern>,

    /// Not these regions; patterns too
    #[arg(long, value_name = "REGION,…", value_delimiter = ',')]
    pub(crate) exclude: Vec<RegionPattern>,
}

/// Whose account, on the command line.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AccountOptions {
    /// Refuse to do anything in any other account
    #[arg(long, value_name = "ID")]
    pub(crate) expect_account: Option<AccountId>,

    /// How to reach AWS.
    #[command(flatten)]
    pub(crate) aws: AwsOptions,
}

/// Creates the Tokio runtime for commands that call AWS.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::new)
}

/// Opens a session and finds out its account. Every command that calls AWS starts with this. Fails if the account is
/// not the one in `--expect-account`.
pub(crate) async fn open_session(
    ui: &Ui,
    options: &AccountOptions,
    partition_hint: Option<&RegionName>,
) -> Result<(Arc<Session>, Identity), Failure> {
    let (session, identity) = open_session_of_any_account(ui, &options.aws, partition_hint).await?;
    if let Some(expected) = options.expect_account.as_ref().filter(|id| id.as_str() != identity.account) {
        let text = format!("these credentials belong to account {}, not to {expected}", identity.account);
        return Err(Failure::message(Code::Failed, text)
            .hint("choose others with --profile, or correct --expect-account"));
    }
    Ok((session, identity))
}

/// Does the same as `open_session`, but accepts any account.
pub(crate) async fn open_session_of_any_account(
    ui: &Ui,
    options: &AwsOptions,
    partition_hint: Option<&RegionName>,
) -> Result<(Arc<Session>, Identity), Failure> {
    let refused = |error: SessionError| {
        let next = error.next();
        Failure::new(error).hint(next)
    };
    let session = Session::open(options, partition_hint).await.map_err(refused)?;
    let (identity, elsewhere) = identity::caller(&session).await.map_err(refused)?;
    if let Some(error) = elsewhere {
        let region = session.config.region().map(AsRef::as_ref).unwrap_or_default();
        let token =
            if session.is_temporary { ", or does not accept tokens of the global STS endpoint" } else { "" };
        ui.warning(format!(
            "the region {region} of AWS_REGION or of the profile is disabled in this account, or does not \
             exist{token}; another region was asked for the account of these credentials ({error})"
        ));
    }
    ui.status("Account", format!("{} ({})", identity.account, identity.partition));
    Ok((Arc::new(session), identity))
}

/// A region in the partition that the options name. It is `None` if they name no region.
pub(crate) fn region_in_partition(choice: &RegionChoice) -> Option<RegionName> {
    choice.regions.first().or(choice.optional.first()).map(RegionPattern::region_in_partition)
}

/// Selects the regions for `choice`. It uses the account's own list of regions, or the list in this program if AWS does
/// not give it.
pub(crate) async fn select(
    ui: &Ui,
    session: &Session,
    identity: &Identity,
    choice: &RegionChoice,
) -> Result<Selection, Failure> {
    for pattern in choice.regions.iter().chain(&choice.optional) {
        let theirs = pattern.region_in_partition().partition();
        let named = matches!(pattern, RegionPattern::Exact(_)) || !pattern.to_string().starts_with('*');
        if named && theirs != identity.partition {
            let ours = identity.partition;
            let text =
                format!("{pattern} is in the partition {theirs}, but these credentials are for {ours}");
            return Err(Failure::message(Code::Failed, text)
                .hint("run the command once for each partition, with credentials for that partition"));
        }
    }
    let listed = region_list::list(session, identity).await;
    let source = match &listed {
        Ok(listing) => Source::Account(listing),
        Err(error) if choice.regions.iter().all(is_exact) && !choice.regions.is_empty() => {
            ui.warning(format!(
                "the account's list of regions cannot be read ({error}): a region that is disabled cannot be told \
                 from one that refuses these credentials"
            ));
            Source::NoSuchApi
        }
        Err(ListError::Denied(why)) => {
            ui.warning(format!(
                "the account's list of regions cannot be read ({why}); using every region of {} that this \
                 version knows. Allow account:ListRegions, or exclude the disabled ones with --exclude",
                identity.partition
            ));
            Source::NotAllowed
        }
        Err(ListError::Unavailable(why)) => {
            ui.warning(format!(
                "the account's list of regions cannot be read ({why}); using the built-in list, \
                 in which the opt-in regions are optional"
            ));
            Source::NoSuchApi
        }
        Err(ListError::Call(error)) => {
            return Err(Failure::new(error).hint("run it again, or name the regions with --regions"));
        }
    };
    let chosen = regions::choose(source, identity.partition, choice).map_err(|error| {
        Failure::new(error).hint("`aws account list-regions` lists the regions of the account")
    })?;
    let unlisted = listed.iter().flat_map(|listing| region_list::unlisted(listing, identity.partition));
    let unlisted: Vec<RegionName> =
        unlisted.filter(|name| !chosen.targets.iter().any(|target| target.region == *name)).collect();
    if choice.regions.is_empty() && !unlisted.is_empty() {
        let names: Vec<&str> = unlisted.iter().map(RegionName::as_str).collect();
        ui.status("Left out", format!("not in the account's list of regions: {}", names.join(" ")));
    }
    if !chosen.left_out.is_empty() {
        let names: Vec<&str> = chosen.left_out.iter().map(RegionName::as_str).collect();
        ui.status("Left out", format!("disabled in this account: {}", names.join(" ")));
    }
    Ok(chosen)
}

fn is_exact(pattern: &RegionPattern) -> bool {
    matches!(pattern, RegionPattern::Exact(_))
}

/// The command line that carries out what this one plans, quoted for a shell.
pub(crate) fn execute_command() -> String {
    command_line(std::env::args().filter(|word| word != "--dry-run").chain(["--execute".to_owned()]))
}

/// The current command line, quoted for a shell.
pub(crate) fn same_command() -> String {
    command_line(std::env::args())
}

fn command_line(words: impl Iterator<Item = String>) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    let quote = |word: String| {
        if !word.is_empty() && word.chars().all(plain) {
            word
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    words.map(quote).collect::<Vec<_>>().join(" ")
}
