//! Tests what the door queues.

use super::*;
use crate::config::Overrides;
use crate::protocol::ItemKind;
use crate::relay::{Observed, Relay, Step, sample};

const KEY: &str = "a94ae32be2584e0bbd7a4cbb95971fee";

#[tokio::test]
async fn further_parts_go_where_their_envelope_went() {
    let dsn = |name: &str| (name == "SENTRY_DSN").then(|| format!("https://{KEY}@o1.ingest.sentry.io/42"));
    let (config, _) = Config::read(dsn, Overrides::default());
    let relay = Relay::start_behind_sentry_relay(&config);
    let (accepted, upstreams) = std::sync::mpsc::channel();
    relay.observe(move |observed| {
        if let Observed::Envelope(envelope, Step::Accepted) = observed {
            accepted.send(envelope.upstream.to_string()).unwrap();
        }
    });
    let (core, door) = (relay.core(), Door::new(relay.core(), &config));
    core.filter_is_ready();
    let other = "https://o2.ingest.de.sentry.io";
    let upstream = Arc::new(Upstream::parse(other).unwrap());
    let body = "{}\n{\"type\":\"event\"}\n{}\n";
    let _ = relay.accept(Envelope { upstream, body: body.into(), ..sample(ItemKind::Event, 0) });
    let (number, given) = core.take_unfiltered().unwrap();
    let tagged = envelope_header::tagged(Encoding::Identity, &given.body, number.get()).unwrap();
    let head = Request::post("/api/42/envelope/");
    let head =
        head.header(X_SENTRY_AUTH, format!("Sentry sentry_key={KEY}")).body(()).unwrap().into_parts().0;
    for part in ["event", "session", "log"] {
        let body = String::from_utf8(tagged.clone()).unwrap().replace("event", part);
        assert!(door.take(&head, &body.into()).is_ok());
    }
    assert_eq!(upstreams.try_iter().collect::<Vec<_>>(), [other; 3]);
}
