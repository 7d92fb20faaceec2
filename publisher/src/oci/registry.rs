//! The calls of a registry's API that a push needs, by the OCI Distribution Specification 1.1.
//!
//! This is code of our own and not the crate `oci-client`, which brings a second HTTP client and no retries. It uses
//! the client that downloads Relay.

use crate::{
    build::relay::client,
    oci::{
        challenge::{self, Challenge},
        credentials::Credentials,
        documents::Blob,
        reference::{Reference, is_loopback},
        registry_error::{RegistryError, refused, unreachable},
        retry::{self, MAX_ATTEMPTS, repeated},
    },
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use ureq::{
    Agent, Body,
    http::{HeaderMap, Response, StatusCode, Uri},
};

/// The limit for an answer, in bytes. Ours are manifests and tokens.
const MAX_ANSWER: u64 = 4 << 20;

/// What one request is.
#[derive(Clone, Copy)]
enum Call<'a> {
    Head,
    Get,
    Post,
    Put(&'a Blob),
}

/// A repository in a registry.
pub(crate) struct Registry {
    agent: Agent,
    name: String,
    api: String,
    repository: String,
    credentials: Credentials,
    /// The value of the header, once the registry has said what it wants.
    authorization: Option<String>,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

impl Registry {
    pub(crate) fn new(reference: &Reference, credentials: Credentials) -> Result<Self, RegistryError> {
        let api = reference.api();
        Ok(Self {
            agent: client::uploading_agent(&api)?,
            name: reference.registry.clone(),
            api,
            repository: reference.repository.clone(),
            credentials,
            authorization: None,
        })
    }

    /// Whether the repository has a blob.
    pub(crate) fn has_blob(&mut self, blob: &Blob) -> Result<bool, RegistryError> {
        let url = self.url(&format!("blobs/{}", blob.name()));
        let answer = self.send(Call::Head, &url)?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(false),
            // A registry that keeps its blobs elsewhere points there.
            status if status.is_success() || status.is_redirection() => Ok(true),
            _ => Err(refused(&url, answer)),
        }
    }

    /// Uploads a blob in one request. An upload that fails leaves nothing behind that anybody could see.
    pub(crate) fn upload(&mut self, blob: &Blob) -> Result<(), RegistryError> {
        let mut attempt = 1;
        loop {
            let url = self.url("blobs/uploads/");
            let begun = self.send(Call::Post, &url)?;
            if begun.status() != StatusCode::ACCEPTED {
                return Err(refused(&url, begun));
            }
            let location = header(begun.headers(), "location");
            let location = location.and_then(|location| self.absolute(location));
            let location = location.ok_or(RegistryError::Answer { url, what: "a place for the upload" })?;
            let separator = if location.contains('?') { '&' } else { '?' };
            let target = format!("{location}{separator}digest={}", blob.name());
            match self.send_once(Call::Put(blob), &target) {
                Ok(answer) if answer.status() == StatusCode::CREATED => return Ok(()),
                // What was begun is forgotten after a failure, so the next attempt begins anew.
                Ok(answer) if attempt < MAX_ATTEMPTS && retry::is_busy(&answer) => {
                    retry::pause(attempt, Some(&answer));
                }
                Err(error) if attempt < MAX_ATTEMPTS && client::is_transient(&error) => {
                    retry::pause(attempt, None);
                }
                Ok(answer) => return Err(refused(&location, answer)),
                Err(error) => return Err(unreachable(&location, error)),
            }
            attempt += 1;
        }
    }

    /// The manifest or index that has this tag or digest, if there is one.
    pub(crate) fn manifest(&mut self, reference: &str) -> Result<Option<Vec<u8>>, RegistryError> {
        let url = self.url(&format!("manifests/{reference}"));
        let answer = self.send(Call::Get, &url)?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !answer.status().is_success() {
            return Err(refused(&url, answer));
        }
        let read = answer.into_body().into_with_config().limit(MAX_ANSWER).read_to_vec();
        read.map(Some).map_err(|error| unreachable(&url, error))
    }

    /// Stores a manifest or an index under a tag or a digest. Everything that it names has to be there.
    pub(crate) fn put_manifest(&mut self, reference: &str, blob: &Blob) -> Result<(), RegistryError> {
        let url = self.url(&format!("manifests/{reference}"));
        let answer = self.send(Call::Put(blob), &url)?;
        if answer.status().is_success() { Ok(()) } else { Err(refused(&url, answer)) }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/v2/{}/{path}", self.api, self.repository)
    }

    /// The place of an upload as a URL. `None` if it is not encrypted and not on this machine.
    fn absolute(&self, location: &str) -> Option<String> {
        if location.starts_with('/') {
            return Some(format!("{}{location}", self.api));
        }
        let url: Uri = location.parse().ok()?;
        let is_safe =
            url.scheme_str() == Some("https") || url.authority().is_some_and(|it| is_loopback(it.as_str()));
        is_safe.then(|| location.to_owned())
    }

    /// Sends a request, and once more if the registry asks for another authorization. Repeating it does no harm.
    fn send(&mut self, call: Call<'_>, url: &str) -> Result<Response<Body>, RegistryError> {
        let answer = repeated(url, || self.send_once(call, url))?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.authorize(url, answer)?;
        repeated(url, || self.send_once(call, url))
    }

    fn send_once(&self, call: Call<'_>, url: &str) -> Result<Response<Body>, ureq::Error> {
        // Whoever keeps the uploads may be somebody else than the registry.
        let is_ours = url.strip_prefix(&self.api).is_some_and(|rest| rest.starts_with('/'));
        let authorization = self.authorization.as_ref().filter(|_| is_ours);
        let with = |headers: Option<&mut HeaderMap>, name: &'static str, value: &str| {
            if let (Some(headers), Ok(value)) = (headers, value.parse()) {
                headers.insert(name, value);
            }
        };
        match call {
            Call::Head | Call::Get => {
                let mut request =
                    if matches!(call, Call::Head) { self.agent.head(url) } else { self.agent.get(url) };
                with(request.headers_mut(), "accept", ACCEPT);
                if let Some(authorization) = authorization {
                    with(request.headers_mut(), "authorization", authorization);
                }
                request.call()
            }
            Call::Post | Call::Put(_) => {
                let mut request =
                    if matches!(call, Call::Post) { self.agent.post(url) } else { self.agent.put(url) };
                if let Some(authorization) = authorization {
                    with(request.headers_mut(), "authorization", authorization);
                }
                match call {
                    Call::Put(blob) => {
                        let is_manifest = url.contains("/manifests/");
                        let kind = if is_manifest { blob.media_type } else { "application/octet-stream" };
                        with(request.headers_mut(), "content-type", kind);
                        request.send(blob.bytes.as_slice())
                    }
                    _ => request.send_empty(),
                }
            }
        }
    }

    /// Gets what the registry asks for. The next request carries it.
    fn authorize(&mut self, url: &str, answer: Response<Body>) -> Result<(), RegistryError> {
        let headers = answer.headers().get_all("www-authenticate");
        let headers: Vec<&str> = headers.iter().filter_map(|value| value.to_str().ok()).collect();
        let challenge = headers.iter().find_map(|header| challenge::parse(header));
        let challenge = match challenge {
            Some(challenge) => challenge,
            None if headers.is_empty() => return Err(refused(url, answer)),
            None => {
                let header = headers.join(", ").chars().take(200).collect();
                return Err(RegistryError::Challenge { url: url.to_owned(), header });
            }
        };
        self.authorization = match (challenge, &self.credentials) {
            (Challenge::Basic, Credentials::Password { user, password }) => Some(basic(user, password)),
            (Challenge::Basic, _) => return Err(refused(url, answer)),
            (Challenge::Bearer { realm, service, scope }, _) => {
                // A registry that asks for less than the push needs would ask again at the next request.
                let scope = scope.filter(|scope| scope.contains("push"));
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull,push", self.repository));
                Some(format!("Bearer {}", self.token(&realm, service.as_deref(), &scope)?))
            }
        };
        Ok(())
    }

    fn token(&self, realm: &str, service: Option<&str>, scope: &str) -> Result<String, RegistryError> {
        let host = realm
            .parse::<Uri>()
            .ok()
            .and_then(|url| Some((url.scheme_str()?.to_owned(), url.host()?.to_owned())));
        if !host.is_some_and(|(scheme, host)| scheme == "https" || is_loopback(&host)) {
            return Err(RegistryError::Realm { registry: self.name.clone(), realm: realm.to_owned() });
        }
        let answer = repeated(realm, || match &self.credentials {
            Credentials::Identity(identity) => self.agent.post(realm).send_form([
                ("grant_type", "refresh_token"),
                ("service", service.unwrap_or_default()),
                ("scope", scope),
                ("client_id", env!("CARGO_PKG_NAME")),
                ("refresh_token", identity.as_str()),
            ]),
            credentials => {
                let mut request = self.agent.get(realm).query("scope", scope);
                if let Some(service) = service {
                    request = request.query("service", service);
                }
                if let Credentials::Password { user, password } = credentials {
                    request = request.header("authorization", basic(user, password));
                }
                request.call()
            }
        })?;
        if !answer.status().is_success() {
            return Err(refused(realm, answer));
        }
        let text = answer.into_body().into_with_config().limit(MAX_ANSWER).read_to_vec();
        let parsed = text.ok().and_then(|text| serde_json::from_slice::<Token>(&text).ok());
        let token = parsed.map(|it| if it.token.is_empty() { it.access_token } else { it.token });
        let is_token =
            |token: &String| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let url = realm.to_owned();
        token.filter(is_token).ok_or(RegistryError::Answer { url, what: "a token" })
    }
}

/// The documents that we read.
const ACCEPT: &str =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, */*;q=0.1";

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
