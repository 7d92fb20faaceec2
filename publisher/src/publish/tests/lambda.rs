//! A model of Lambda's API for the versions of one layer. It is an HTTP client of the SDK, so no socket is involved,
//! and a script says what becomes of each request.

use aws_sdk_lambda::{
    config::{HttpClient, RuntimeComponents, http::HttpRequest, http::HttpResponse},
    primitives::{AggregatedBytes, ByteStream, SdkBody},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    result::ConnectorError,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// How long each request takes.
const LATENCY: Duration = Duration::from_millis(20);
/// How old a version is that a stale answer does not show.
const STALENESS: Duration = Duration::from_secs(2);

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// It takes effect and is answered.
    Answered,
    /// It is answered as if the latest two seconds had not happened.
    Stale,
    /// It takes no effect, and this status is the answer.
    Refused(u16, &'static str),
    /// It takes no effect, and there is no answer.
    Lost,
    /// It takes effect, but the answer is lost, or says 503, or is only half of it.
    AnswerLost,
    AnswerIs503,
    AnswerIsHalf,
    /// It gets no answer, and takes effect after this time.
    Late(Duration),
    /// It is never answered, although it takes effect.
    Hangs,
    /// A new version gets other bytes than those that were sent.
    OtherBytes,
    /// The publisher is killed before the request takes effect, after that, or a time before that.
    KilledBefore,
    KilledAfter,
    KilledThenLate(Duration),
}

/// One version of the layer.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) number: u64,
    pub(super) is_as_sent: bool,
    request: Value,
    sha256: String,
    size: usize,
    pub(super) policy: BTreeMap<String, Value>,
    since: Instant,
}

#[derive(Debug, Default)]
struct Account {
    versions: Vec<Version>,
    last: u64,
    late: Vec<(Instant, Value)>,
    /// The fates of the next requests to publish, and of the next other ones.
    publishes: VecDeque<Fate>,
    others: VecDeque<Fate>,
    /// When a request last took effect late.
    last_effect: Option<Instant>,
    /// When the versions were last listed with a right answer.
    last_list: Option<Instant>,
    requests: Vec<String>,
}

/// The model. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Lambda {
    account: Arc<Mutex<Account>>,
    killed: Arc<Notify>,
}

impl Lambda {
    /// Lets the next requests to publish, and the next other ones, have these fates. All later ones are answered.
    pub(super) fn script(&self, publishes: &[Fate], others: &[Fate]) {
        let mut account = self.account.lock().unwrap();
        account.publishes = publishes.iter().copied().collect();
        account.others = others.iter().copied().collect();
    }

    /// Returns when the publisher has to be killed.
    pub(super) async fn killed(&self) {
        self.killed.notified().await;
    }

    /// Whether nothing disturbs the next run.
    pub(super) fn is_calm(&self) -> bool {
        let account = self.account.lock().unwrap();
        account.others.is_empty() && (account.publishes.is_empty() || !account.versions.is_empty())
    }

    pub(super) fn versions(&self) -> Vec<Version> {
        let mut account = self.account.lock().unwrap();
        account.apply_late();
        account.versions.clone()
    }

    /// Whether a request took effect after the versions were last listed, or still may.
    pub(super) fn changed_after_the_last_list(&self) -> bool {
        let account = self.account.lock().unwrap();
        !account.late.is_empty() || account.last_effect > account.last_list
    }

    /// The requests so far, each with its fate.
    pub(super) fn requests(&self) -> String {
        self.account.lock().unwrap().requests.join("\n")
    }
}

impl Account {
    fn apply_late(&mut self) {
        let now = Instant::now();
        let (due, later): (Vec<_>, Vec<_>) = self.late.drain(..).partition(|(at, _)| *at <= now);
        self.late = later;
        for (at, request) in due {
            self.requests.push(format!("  a late request took effect at {at:?}"));
            self.publish(request, true, at);
            self.last_effect = Some(at);
        }
    }

    fn publish(&mut self, request: Value, is_as_sent: bool, since: Instant) -> u64 {
        let zip = STANDARD.decode(request["Content"]["ZipFile"].as_str().unwrap()).unwrap();
        let stored: &[u8] = if is_as_sent { &zip } else { b"other bytes" };
        let digest = crate::model::digest::Digest::of(stored);
        self.last += 1;
        self.versions.push(Version {
            number: self.last,
            is_as_sent,
            request,
            sha256: digest.base64(),
            size: stored.len(),
            policy: BTreeMap::new(),
            since,
        });
        self.last
    }

    /// Carries a request out. Returns status and body of the answer.
    fn carry_out(&mut self, line: &Line<'_>, body: &Value, fate: Fate) -> (u16, Value) {
        let is_stale = matches!(fate, Fate::Stale);
        let is_seen = |version: &&Version| !is_stale || version.since.elapsed() >= STALENESS;
        let missing = (404, json!({"__type": "ResourceNotFoundException", "message": "no such version"}));
        match (line.method, line.number, line.rest) {
            ("GET", None, "settings") => (
                200,
                json!({"AccountLimit": {"TotalCodeSize": 1 << 30}, "AccountUsage": {"TotalCodeSize": 0}}),
            ),
            ("GET", None, _) => {
                if !is_stale {
                    self.last_list = Some(Instant::now());
                }
                let seen = self.versions.iter().filter(is_seen);
                let all: Vec<Value> = seen.map(Version::listed).collect();
                (200, json!({"LayerVersions": all}))
            }
            ("POST", None, _) => {
                let number = self.publish(body.clone(), !matches!(fate, Fate::OtherBytes), Instant::now());
                let version = self.versions.iter().find(|version| version.number == number).unwrap();
                (201, version.described())
            }
            (method, Some(number), rest) => {
                let Some(at) = self.versions.iter().position(|one| one.number == number && is_seen(&one))
                else {
                    return missing;
                };
                let version = &mut self.versions[at];
                match (method, rest) {
                    ("DELETE", "") => {
                        self.versions.remove(at);
                        (204, Value::Null)
                    }
                    ("GET", "") => (200, version.described()),
                    ("GET", "policy") if version.policy.is_empty() => missing,
                    ("GET", "policy") => {
                        let statements: Vec<&Value> = version.policy.values().collect();
                        (200, json!({"Policy": json!({"Statement": statements}).to_string()}))
                    }
                    ("POST", "policy") => version.grant(body),
                    ("DELETE", statement) => {
                        let id = statement.trim_start_matches("policy/");
                        if version.policy.remove(id).is_some() { (204, Value::Null) } else { missing }
                    }
                    _ => panic!("{line:?}"),
                }
            }
            _ => panic!("{line:?}"),
        }
    }
}

impl Version {
    fn listed(&self) -> Value {
        let name = "SentryLambdaExtension-arm64";
        json!({
            "Version": self.number, "Description": self.request["Description"],
            "LayerVersionArn": format!("arn:aws:lambda:eu-west-1:123456789012:layer:{name}:{}", self.number),
            "CompatibleArchitectures": self.request["CompatibleArchitectures"],
            "LicenseInfo": self.request["LicenseInfo"],
        })
    }

    fn described(&self) -> Value {
        let mut described = self.listed();
        described["Content"] = json!({"CodeSha256": self.sha256, "CodeSize": self.size});
        described
    }

    fn grant(&mut self, body: &Value) -> (u16, Value) {
        let id = body["StatementId"].as_str().unwrap().to_owned();
        if self.policy.contains_key(&id) {
            let message = format!("The statement id ({id}) provided already exists.");
            return (409, json!({"__type": "ResourceConflictException", "message": message}));
        }
        let statement = json!({
            "Sid": id, "Effect": "Allow", "Principal": body["Principal"], "Action": body["Action"]
        });
        self.policy.insert(id, statement.clone());
        (201, json!({"Statement": statement.to_string()}))
    }
}

/// The first line of a request, taken apart.
#[derive(Debug)]
struct Line<'a> {
    method: &'a str,
    /// The number of the version that it is about.
    number: Option<u64>,
    /// What follows the number, or `settings`.
    rest: &'a str,
}

impl<'a> Line<'a> {
    fn of(method: &'a str, path: &'a str) -> Self {
        if path.contains("/account-settings") {
            return Self { method, number: None, rest: "settings" };
        }
        let rest = path.split_once("/versions").unwrap().1.trim_matches('/');
        let (number, rest) = rest.split_once('/').unwrap_or((rest, ""));
        Self { method, number: number.parse().ok(), rest }
    }

    fn publishes(&self) -> bool {
        self.method == "POST" && self.number.is_none()
    }
}

impl HttpClient for Lambda {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Lambda {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let lambda = self.clone();
        HttpConnectorFuture::new(async move {
            let method = request.method().to_owned();
            let path = request.uri().split('?').next().unwrap_or_default().to_owned();
            let body = ByteStream::new(request.into_body()).collect().await;
            let body = body.map(AggregatedBytes::into_bytes).unwrap_or_default();
            tokio::time::sleep(LATENCY).await;
            let line = Line::of(&method, &path);
            lambda.answer(&line, &serde_json::from_slice(&body).unwrap_or_default()).await
        })
    }
}

impl Lambda {
    async fn answer(&self, line: &Line<'_>, body: &Value) -> Result<HttpResponse, ConnectorError> {
        let fate = {
            let mut account = self.account.lock().unwrap();
            account.apply_late();
            let script = if line.publishes() { &mut account.publishes } else { &mut account.others };
            let fate = script.pop_front().unwrap_or(Fate::Answered);
            account.requests.push(format!("{} {:?} {}: {fate:?}", line.method, line.number, line.rest));
            fate
        };
        let lost = || ConnectorError::io("the connection was lost".into());
        match fate {
            Fate::Refused(status, code) => {
                return Ok(response(
                    status,
                    &json!({"__type": code, "message": "said the test"}).to_string(),
                ));
            }
            Fate::Lost => return Err(lost()),
            Fate::Late(after) if line.publishes() => {
                self.account.lock().unwrap().late.push((Instant::now() + after, body.clone()));
                return Err(lost());
            }
            Fate::KilledThenLate(after) if line.publishes() => {
                self.account.lock().unwrap().late.push((Instant::now() + after, body.clone()));
                return self.kill().await;
            }
            Fate::KilledBefore | Fate::KilledThenLate(_) => return self.kill().await,
            _ => {}
        }
        let (status, answer) = self.account.lock().unwrap().carry_out(line, body, fate);
        let text = if answer.is_null() { String::new() } else { answer.to_string() };
        match fate {
            Fate::KilledAfter => self.kill().await,
            Fate::AnswerLost | Fate::Late(_) => Err(lost()),
            Fate::AnswerIs503 => Ok(response(503, "{}")),
            Fate::AnswerIsHalf => Ok(response(status, text.get(..text.len() / 2).unwrap_or_default())),
            Fate::Hangs => std::future::pending().await,
            _ => Ok(response(status, &text)),
        }
    }

    async fn kill<T>(&self) -> T {
        self.killed.notify_one();
        std::future::pending().await
    }
}

fn response(status: u16, body: &str) -> HttpResponse {
    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/json");
    response
}
