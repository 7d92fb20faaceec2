//! `/cron/{slug}`: a check-in of a cron job that has no SDK. Its data is in a JSON body or in the query.

use super::event_limit;
use crate::gateway::request::RequestContext;
use crate::gateway::response::rejection::Rejection;
use crate::gateway::response::{self, Response};
use crate::gateway::{media_type, query};
use crate::protocol::event_id::EventId;
use crate::protocol::{decimal, envelope_writer};
use hyper::StatusCode;
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The client name that upstream gets if the request has none.
const DEFAULT_CLIENT: &str = "relay-http";

/// Queues a check-in. Cron jobs do not understand status 429, so the response does not depend on rate limits.
pub(super) async fn handle(
    context: &RequestContext<'_>,
    project: &str,
    slug: &str,
    key: Option<&str>,
    body: &mut Incoming,
) -> Result<Response, Rejection> {
    let mut project_auth = context.project_auth(project, key)?;
    let slug = query::percent_decode(slug);
    let payload = if media_type::content_type(&context.head.headers).starts_with("application/json") {
        let received = context.read_decoded_body(body, event_limit(context)).await?;
        CheckIn::from_json(&received.bytes)?.payload(&slug)?
    } else {
        CheckIn::from_query(context.query().unwrap_or_default())?.payload(&slug)?
    };
    project_auth.auth.client.get_or_insert_with(|| DEFAULT_CLIENT.to_owned());
    let mut envelope = envelope_writer::start(&EventId::random(), &[]);
    envelope_writer::push_item(&mut envelope, "check_in", &[("content_type", "application/json")], &payload);
    context.submit_built(project_auth, envelope)?;
    Ok(response::empty(StatusCode::ACCEPTED))
}

/// The objects in it are not parsed into values, which would take up to thirty times as much memory as their text.
#[derive(Debug, Deserialize)]
struct CheckIn<'a> {
    #[serde(rename = "check_in_id")]
    id: Option<String>,
    status: String,
    environment: Option<String>,
    duration: Option<f64>,
    #[serde(borrow)]
    monitor_config: Option<&'a RawValue>,
    #[serde(borrow)]
    contexts: Option<&'a RawValue>,
}

/// The check-in as Sentry expects it.
#[derive(Serialize)]
struct Payload<'a> {
    check_in_id: String,
    monitor_slug: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    monitor_config: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contexts: Option<&'a RawValue>,
}

impl<'a> CheckIn<'a> {
    fn from_json(body: &'a [u8]) -> Result<Self, Rejection> {
        let check_in: Self = serde_json::from_slice(body).map_err(|why| {
            let rejection = Rejection::json(&why);
            // The body is valid JSON but not a check-in.
            let status = if why.is_data() { StatusCode::UNPROCESSABLE_ENTITY } else { rejection.status };
            Rejection { status, ..rejection }
        })?;
        check_in.validated()
    }

    fn from_query(query: &str) -> Result<Self, Rejection> {
        let value = |name| query::value(query, name);
        let duration =
            value("duration").map(|text| decimal::parse(&text).ok_or_else(|| invalid_field("duration")));
        Self {
            id: value("check_in_id"),
            status: value("status").ok_or_else(|| invalid_field("status"))?,
            environment: value("environment"),
            duration: duration.transpose()?,
            monitor_config: None,
            contexts: None,
        }
        .validated()
    }

    fn validated(self) -> Result<Self, Rejection> {
        if self.id.as_deref().is_some_and(|id| EventId::parse(id).is_none()) {
            return Err(invalid_field("check_in_id"));
        }
        for (name, value) in [("monitor_config", self.monitor_config), ("contexts", self.contexts)] {
            if value.is_some_and(|value| !value.get().starts_with('{')) {
                let rejection = invalid_field(name);
                return Err(Rejection { status: StatusCode::UNPROCESSABLE_ENTITY, ..rejection });
            }
        }
        Ok(self)
    }

    fn payload(self, slug: &str) -> Result<Vec<u8>, Rejection> {
        let id = self.id.and_then(|id| EventId::parse(&id)).unwrap_or_else(EventId::nil);
        let known = ["ok", "error", "in_progress", "missed"].contains(&&*self.status);
        let payload = Payload {
            check_in_id: id.to_string(),
            monitor_slug: slug,
            status: if known { &self.status } else { "unknown" },
            environment: self.environment,
            duration: self.duration,
            monitor_config: self.monitor_config,
            contexts: self.contexts,
        };
        serde_json::to_vec(&payload).map_err(|why| Rejection::json(&why))
    }
}

fn invalid_field(field: &str) -> Rejection {
    Rejection::bad_request(format!("missing or invalid field `{field}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn value(check_in: CheckIn<'_>) -> Value {
        serde_json::from_slice(&check_in.payload("nightly").unwrap()).unwrap()
    }

    #[test]
    fn check_ins_in_a_query() {
        let payload = |query: &str| CheckIn::from_query(query).map(value);
        let nil = "0".repeat(32);
        let minimal = json!({"check_in_id": nil, "monitor_slug": "nightly", "status": "ok"});
        assert_eq!(payload("status=ok").unwrap(), minimal);
        let id = "a460c25f-f255-4577-b920-fcfacae4e5eb";
        let full = payload(&format!("status=in_progress&check_in_id={id}&environment=prod&duration=2"));
        let expected = json!({"check_in_id": id.replace('-', ""), "monitor_slug": "nightly",
            "status": "in_progress", "environment": "prod", "duration": 2.0});
        assert_eq!(full.unwrap(), expected);
        assert_eq!(payload("status=odd").unwrap()["status"], "unknown");
        for query in ["", "environment=x", "status=ok&duration=long", "status=ok&check_in_id=7"] {
            assert_eq!(payload(query).unwrap_err().status, 400, "{query}");
        }
    }

    #[test]
    fn check_ins_in_json() {
        let body = json!({"status": "error", "monitor_slug": "ignored", "duration": 21,
            "monitor_config": {"schedule": {"type": "crontab", "value": "0 * * * *"}}});
        let text = body.to_string();
        let payload = value(CheckIn::from_json(text.as_bytes()).unwrap());
        assert_eq!((&payload["monitor_slug"], &payload["duration"]), (&json!("nightly"), &json!(21.0)));
        assert_eq!(payload["monitor_config"], body["monitor_config"]);
        for (body, status) in [
            (&b"{\"status\":\"ok\",\"contexts\":null}"[..], None),
            (b"{\"status\":\"ok\",\"contexts\": [1]}", Some(422)),
            (b"{\"status\":\"ok\",\"monitor_config\":\"x\"}", Some(422)),
        ] {
            assert_eq!(CheckIn::from_json(body).err().map(|r| r.status.as_u16()), status);
        }
        assert_eq!(CheckIn::from_json(b"{}").unwrap_err().status, 422);
        assert_eq!(CheckIn::from_json(b"{").unwrap_err().status, 400);
    }
}
