//! Compares one published layer version with its entry in `layers.json`, as its owner or as another account.

use crate::{
    artifacts::layers_manifest::Placement,
    aws::{
        download,
        error::{CallError, CallErrorKind},
        layers::RegionLayers,
        partition::RegionName,
        session::Session,
    },
    failure::chain,
    model::{digest::Digest, variant::Variant},
    publish::{difference::Difference, plan::Wanted},
};
use serde::Serialize;
use tokio::sync::Semaphore;

/// The number of download attempts before a zip counts as unreadable. Each attempt uses a new link.
const DOWNLOAD_ATTEMPTS: u32 = 3;

/// A layer version that `layers.json` lists.
pub(super) struct PublishedLayer {
    pub(super) wanted: Wanted,
    pub(super) region: RegionName,
    pub(super) place: Placement,
    /// The client with the credentials of the account that verifies.
    pub(super) layers: RegionLayers,
    /// The client with the credentials of the other account that should see the layer, if `--as` names one.
    pub(super) other: Option<RegionLayers>,
}

/// The result of the check of one layer version.
#[derive(Serialize)]
pub(super) struct Check {
    pub(super) region: RegionName,
    #[serde(flatten)]
    pub(super) variant: Variant,
    pub(super) arn: String,
    pub(super) ok: bool,
    pub(super) differences: Vec<Difference>,
    pub(super) error: Option<String>,
    /// The reason why the other account could not check the version. This says nothing about the layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) unknown: Option<String>,
}

/// Whether the account that verifies owns the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Viewpoint {
    /// The owner of the layers, who may read everything about them.
    Owner,
    /// Another account, which sees what any user sees.
    Stranger,
}

/// The differences found so far, and the reason if some could not be checked.
#[derive(Default)]
struct Findings {
    differences: Vec<Difference>,
    unknown: Option<String>,
}

/// Checks one version. Downloads its zip if `downloads` is given, which limits the number of concurrent downloads.
pub(super) async fn check(
    subject: &PublishedLayer,
    viewpoint: Viewpoint,
    session: &Session,
    downloads: Option<&Semaphore>,
) -> Check {
    let found = match viewpoint {
        Viewpoint::Owner => as_owner(subject, session, downloads).await,
        Viewpoint::Stranger => as_stranger(subject, session, downloads).await,
    };
    let (found, error) = match found {
        Ok(found) => (found, None),
        Err(error) => (Findings::default(), Some(error)),
    };
    let ok = found.differences.is_empty() && error.is_none();
    let region = subject.region.clone();
    let variant = subject.wanted.variant;
    let arn = subject.place.arn.clone();
    Check { region, variant, arn, ok, differences: found.differences, error, unknown: found.unknown }
}

async fn as_owner(
    subject: &PublishedLayer,
    session: &Session,
    downloads: Option<&Semaphore>,
) -> Result<Findings, String> {
    let PublishedLayer { wanted, place, layers, .. } = subject;
    let version = layers.read(wanted.layer.as_str(), place.version).await;
    let Some(version) = version.map_err(|error| chain(&layers.in_region(error)))? else {
        let expected = place.version.to_string();
        let missing = Difference { what: "version", expected, found: "missing".to_owned() };
        return Ok(Findings { differences: vec![missing], unknown: None });
    };
    let mut findings = Findings { differences: wanted.differences(&version), unknown: None };
    if version.arn != place.arn {
        let (expected, found) = (place.arn.clone(), version.arn.clone());
        findings.differences.push(Difference { what: "ARN", expected, found });
    }
    if let Some(downloads) = downloads {
        findings.differences.extend(download(wanted, &version.arn, layers, session, downloads).await?);
    }
    if let Some(other) = &subject.other {
        match other.content_by_arn(&place.arn).await {
            Ok(content) => findings.differences.extend(seen_by_other(subject, content.code_sha256)),
            Err(error) => match why_invisible(other, error)? {
                Invisible::Refused(_) if is_withdrawn(place) => {}
                Invisible::Refused(found) => findings.differences.extend(seen_by_other(subject, found)),
                Invisible::Unknown(why) => findings.unknown = Some(why),
            },
        }
    }
    Ok(findings)
}

async fn as_stranger(
    subject: &PublishedLayer,
    session: &Session,
    downloads: Option<&Semaphore>,
) -> Result<Findings, String> {
    let PublishedLayer { wanted, place, layers, .. } = subject;
    let mut findings = Findings::default();
    match layers.content_by_arn(&place.arn).await {
        Ok(content) => findings.differences.extend(seen_by_other(subject, content.code_sha256)),
        Err(error) => match why_invisible(layers, error)? {
            Invisible::Refused(_) if is_withdrawn(place) => return Ok(findings),
            Invisible::Refused(found) => {
                findings.differences.extend(seen_by_other(subject, found));
                return Ok(findings);
            }
            Invisible::Unknown(why) => {
                findings.unknown = Some(why);
                return Ok(findings);
            }
        },
    }
    if let Some(downloads) = downloads {
        findings.differences.extend(download(wanted, &place.arn, layers, session, downloads).await?);
    }
    Ok(findings)
}

/// The reason why another account does not see a version.
enum Invisible {
    /// AWS refuses access to the version.
    Refused(String),
    /// The region does not know the account, so it is unknown what the account would see.
    Unknown(String),
}

/// Distinguishes a refusal from an error that says nothing about the version. Any other failed call is an error.
fn why_invisible(other: &RegionLayers, error: CallError) -> Result<Invisible, String> {
    match error.kind {
        CallErrorKind::Denied | CallErrorKind::NotFound => Ok(Invisible::Refused(chain(&error))),
        CallErrorKind::Credentials => Ok(Invisible::Unknown(format!(
            "the other account could not check it: {}",
            chain(&other.in_region(error))
        ))),
        _ => Err(format!("the other account got no response: {}", chain(&other.in_region(error)))),
    }
}

/// Whether the version was yanked, so that another account must not see it.
fn is_withdrawn(place: &Placement) -> bool {
    place.grant_before_yank.is_some()
}

fn seen_by_other(PublishedLayer { wanted, place, .. }: &PublishedLayer, found: String) -> Option<Difference> {
    let expected =
        if is_withdrawn(place) { "nothing, as it was yanked".to_owned() } else { wanted.digest.base64() };
    (found != expected).then_some(Difference { what: "what the other account sees", expected, found })
}

/// Downloads the zip and compares its bytes. A link is valid for ten minutes, so it is requested only when the download
/// starts, and requested again if the download fails.
async fn download(
    wanted: &Wanted,
    arn: &str,
    layers: &RegionLayers,
    session: &Session,
    downloads: &Semaphore,
) -> Result<Option<Difference>, String> {
    let _turn = downloads.acquire().await;
    let mut attempt = 1;
    let (bytes, length) = loop {
        let content = layers.content_by_arn(arn).await.map_err(|error| chain(&layers.in_region(error)))?;
        let link = content.location.ok_or("AWS returned no link for the download")?;
        match download::sha256(&link, session.timeouts.answer()).await {
            Ok(content) => break content,
            Err(error) if attempt == DOWNLOAD_ATTEMPTS => return Err(chain(&error)),
            Err(_) => attempt += 1,
        }
    };
    let digest = Digest::from_bytes(bytes);
    Ok((digest != wanted.digest).then(|| Difference {
        what: "downloaded sha256",
        expected: wanted.digest.to_string(),
        found: format!("{digest} ({length} bytes)"),
    }))
}
