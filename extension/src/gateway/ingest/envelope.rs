//! Envelopes as SDKs send them: read through, and passed on byte for byte.

use crate::config::Dsn;
use crate::gateway::answer::{self, Answer};
use crate::gateway::compose;
use crate::gateway::event_id::EventId;
use crate::gateway::refusal::Refusal;
use crate::gateway::sender::{self, Sender};
use crate::gateway::visit::{Sent, Visit, decoded, scan};
use crate::wire::Encoding;
use hyper::body::Incoming;

/// Takes an envelope, in tunnel mode (`project` is none) or for a project.
pub(super) async fn take(
    visit: &Visit<'_>,
    project: Option<&str>,
    body: &mut Incoming,
) -> Result<Answer, Refusal> {
    let project = project.map(sender::project_in_path).transpose()?;
    let auth = visit.auth(None)?;
    let encoding = visit.encoding()?;
    let limit = visit.config.max_body;
    let taken = visit.take(body, limit).await?;
    let is_anonymous = auth.is_none();
    let scanned = scan(encoding, &taken.bytes, limit)
        .map_err(|refusal| if is_anonymous { without_header(refusal) } else { refusal })?;
    let dsn = parse_dsn(scanned.header.dsn.as_deref(), is_anonymous)?;
    let sender = Sender::of_envelope(auth, project, dsn.as_ref())?;
    let event_id = parse_event_id(scanned.header.event_id.as_deref())?;
    if scanned.items.is_empty() {
        return Ok(answer::id(event_id.as_ref()));
    }

    let (encoding, body, event_id) = match event_id {
        None if scanned.needs_event_id => {
            // The one case in which the bytes change: upstream needs to know which event is meant.
            let id = EventId::random();
            let plain = decoded(encoding, taken.bytes, limit)?;
            (Encoding::Identity, compose::with_event_id(plain, &id)?, Some(id))
        }
        event_id => (encoding, taken.bytes, event_id),
    };
    let (dsn, items) = (dsn.as_ref(), scanned.items);
    let sent = Sent { sender, dsn, encoding, as_envelope: true, items, body };
    Ok(answer::of(visit.submit(sent)?, answer::id(event_id.as_ref())))
}

/// Without a header there is also nobody who sends.
fn without_header(refusal: Refusal) -> Refusal {
    match refusal.causes.split_first() {
        None if refusal == Refusal::empty() => sender::no_sender(refusal.detail),
        Some((first, why)) if first == "invalid envelope header" => sender::no_sender(why.join(": ")),
        _ => refusal,
    }
}

fn parse_dsn(dsn: Option<&str>, is_anonymous: bool) -> Result<Option<Dsn>, Refusal> {
    dsn.map(Dsn::parse).transpose().map_err(|why| {
        let cause = format!("the dsn {why}");
        if is_anonymous {
            sender::no_sender(cause)
        } else {
            Refusal::envelope("invalid envelope header").because(cause)
        }
    })
}

fn parse_event_id(text: Option<&str>) -> Result<Option<EventId>, Refusal> {
    let invalid = || Refusal::envelope("invalid envelope header").because("the event_id is no UUID");
    text.map(|text| EventId::parse(text).ok_or_else(invalid)).transpose()
}
