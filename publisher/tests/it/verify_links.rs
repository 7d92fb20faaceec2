//! `verify --download`: the download links, which are valid for ten minutes.

use crate::support::{
    account::Account,
    cli::Publisher,
    dist::Dist,
    emulator::ministack,
    gate::Gate,
    proxy::{Proxy, SeenRequest, Verdict},
};
use serde_json::Value;
use std::sync::{Arc, Mutex, OnceLock};

/// Five regions with two layers each: more layer versions than `verify` downloads at once.
const REGIONS: &str = "eu-west-1,eu-west-2,eu-west-3,eu-central-1,eu-north-1";
const DOWNLOADS_AT_ONCE: usize = 8;

fn asks_for_link(request: &SeenRequest) -> bool {
    request.line.contains("find=LayerVersion")
}

/// Requests links from AWS, and changes them so that they lead through the proxy.
struct Links {
    owner: Account,
    proxy: OnceLock<String>,
}

impl Links {
    fn answer(&self, request: &SeenRequest) -> Verdict {
        let (_, query) = request.line.split_once("Arn=").unwrap();
        let arn = query.split(['&', ' ']).next().unwrap().replace("%3A", ":");
        let (status, mut answer) = self.owner.by_arn(&arn);
        assert_eq!(status, 200, "{answer}");
        let link = answer["Content"]["Location"].as_str().unwrap();
        let (_, path) = link.strip_prefix("http://").unwrap().split_once('/').unwrap();
        answer["Content"]["Location"] = Value::from(format!("{}/{path}", self.proxy.get().unwrap()));
        Verdict::Answer(200, answer.to_string())
    }
}

/// Publishes, and starts a proxy in which `rule` decides about each download.
fn published(
    seed: &str,
    regions: &str,
    mut rule: impl FnMut(&SeenRequest) -> Verdict + Send + 'static,
) -> (Publisher, Dist, Proxy) {
    let owner = Account::new(ministack());
    let dist = Dist::new(seed);
    let direct = Publisher::at(&ministack().url(), &owner.key);
    direct.run(&dist, &["publish", "--execute", "--regions", regions]).expect(0);
    let key = owner.key.clone();
    let links = Arc::new(Links { owner, proxy: OnceLock::new() });
    let proxy = Proxy::start(ministack().address(), {
        let links = Arc::clone(&links);
        move |request| match () {
            () if asks_for_link(request) => {
                rule(request);
                links.answer(request)
            }
            // A link is signed in its query and not in a header, so its request names no key.
            () if request.key.is_empty() => rule(request),
            () => Verdict::Forward,
        }
    });
    links.proxy.set(proxy.url()).unwrap();
    (Publisher::at(&proxy.url(), &key), dist, proxy)
}

#[test]
fn an_expired_link_is_requested_again() {
    let refusals = Arc::new(Mutex::new(0));
    let (publisher, dist, proxy) = published("expired", "eu-west-1", {
        let refusals = Arc::clone(&refusals);
        move |request| {
            let mut refusals = refusals.lock().unwrap();
            if asks_for_link(request) || *refusals == 2 {
                return Verdict::Forward;
            }
            *refusals += 1;
            Verdict::Answer(
                403,
                "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>".into(),
            )
        }
    });
    publisher
        .run(&dist, &["verify", "--download"])
        .expect(0)
        .says("2 layer versions are as layers.json says");
    assert_eq!(*refusals.lock().unwrap(), 2);
    assert_eq!(proxy.requests().iter().filter(|request| asks_for_link(request)).count(), 4);
}

#[test]
fn a_link_that_is_always_refused_is_an_error() {
    let (publisher, dist, proxy) = published("refused", "eu-west-1", |_| Verdict::Answer(403, String::new()));
    publisher
        .run(&dist, &["verify", "--download"])
        .expect(1)
        .says("the download failed: HTTP 403")
        .says("2 of 2");
    assert_eq!(proxy.requests().iter().filter(|request| asks_for_link(request)).count(), 6);
}

#[test]
fn a_link_is_requested_right_before_its_download() {
    let full = Gate::default();
    let (mut asked, mut downloading) = (0, 0);
    let asked_when_full = Arc::new(Mutex::new(None));
    let (publisher, dist, proxy) = published("turn", REGIONS, {
        let (full, asked_when_full) = (full.clone(), Arc::clone(&asked_when_full));
        move |request| {
            if asks_for_link(request) {
                asked += 1;
                return Verdict::Forward;
            }
            downloading += 1;
            if downloading == DOWNLOADS_AT_ONCE {
                *asked_when_full.lock().unwrap() = Some(asked);
                full.open(true);
            }
            Verdict::Hold(full.clone())
        }
    });
    publisher
        .run(&dist, &["verify", "--download"])
        .expect(0)
        .says("10 layer versions are as layers.json says");
    assert_eq!(*asked_when_full.lock().unwrap(), Some(DOWNLOADS_AT_ONCE), "links wait for downloads");
    assert_eq!(proxy.requests().iter().filter(|request| asks_for_link(request)).count(), 10);
}
