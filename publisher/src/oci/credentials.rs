//! Finds the credentials for a registry where `docker login` leaves them: in `config.json`, or in a credential helper
//! that this file names.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The key of Docker Hub in `config.json`.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";
/// The user name that means that the secret is an identity token.
const TOKEN_USER: &str = "<token>";
/// The longest wait for a helper. It may ask for the password of a keychain.
const LONGEST_HELPER: Duration = Duration::from_mins(1);
/// The limits for `config.json` and for a helper's answer, in bytes.
const MAX_CONFIG: u64 = 1 << 20;
const MAX_ANSWER: u64 = 1 << 16;

/// What a registry knows the user by. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credentials {
    /// Nobody has logged in.
    None,
    Password {
        user: String,
        password: String,
    },
    /// A token that is exchanged for others.
    Identity(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Password { .. } => "Password",
            Self::Identity(_) => "Identity",
        })
    }
}

/// Why there are no credentials although some are configured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not a configuration of Docker", path.display())]
    Parse { path: PathBuf, source: serde_json::Error },
    #[error("{} names a credential helper with the odd name `{name}`", path.display())]
    HelperName { path: PathBuf, name: String },
    #[error("{helper}, which {} names, cannot be run", path.display())]
    Helper { path: PathBuf, helper: String, source: io::Error },
    #[error("{helper} did not end within {} s", LONGEST_HELPER.as_secs())]
    Slow { helper: String },
    #[error("{helper} failed: {text}")]
    Failed { helper: String, text: String },
    #[error("{helper} did not answer with credentials")]
    Answer { helper: String },
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: BTreeMap<String, Auth>,
    creds_store: String,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: String,
    identitytoken: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// The credentials for a registry, by its host. A helper has precedence over what the file itself holds.
pub(crate) fn find(registry: &str) -> Result<Credentials, CredentialsError> {
    let Some(path) = config_path() else { return Ok(Credentials::None) };
    let Some(config) = read(&path)? else { return Ok(Credentials::None) };
    let helper = config.cred_helpers.get(registry).unwrap_or(&config.creds_store);
    if !helper.is_empty() {
        let found = ask_helper(&path, helper, server(registry))?;
        if found != Credentials::None {
            return Ok(found);
        }
    }
    let auth = config.auths.iter().find(|(key, _)| *key == server(registry) || host_of(key) == registry);
    Ok(auth.map_or(Credentials::None, |(_, auth)| from_auth(auth)))
}

/// The address by which Docker keeps the credentials of a registry.
fn server(registry: &str) -> &str {
    if registry == "docker.io" { DOCKER_HUB_KEY } else { registry }
}

fn host_of(key: &str) -> &str {
    let without_scheme = key.split_once("://").map_or(key, |(_, rest)| rest);
    without_scheme.split('/').next().unwrap_or_default()
}

fn config_path() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")))?;
    Some(folder.join("config.json"))
}

fn read(path: &Path) -> Result<Option<DockerConfig>, CredentialsError> {
    let failed = |source| CredentialsError::Read { path: path.to_owned(), source };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut text = Vec::new();
    file.take(MAX_CONFIG).read_to_end(&mut text).map_err(failed)?;
    let parsed = serde_json::from_slice(&text);
    parsed.map(Some).map_err(|source| CredentialsError::Parse { path: path.to_owned(), source })
}

fn from_auth(auth: &Auth) -> Credentials {
    if !auth.identitytoken.is_empty() {
        return Credentials::Identity(auth.identitytoken.clone());
    }
    let decoded = STANDARD.decode(auth.auth.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match decoded.as_deref().and_then(|text| text.trim_end_matches('\0').split_once(':')) {
        Some((user, password)) => {
            Credentials::Password { user: user.to_owned(), password: password.to_owned() }
        }
        None => Credentials::None,
    }
}

fn ask_helper(path: &Path, name: &str, server: &str) -> Result<Credentials, CredentialsError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !name.chars().all(is_plain) {
        return Err(CredentialsError::HelperName { path: path.to_owned(), name: name.to_owned() });
    }
    let helper = format!("docker-credential-{name}");
    let failed = |source| {
        let helper = helper.clone();
        CredentialsError::Helper { path: path.to_owned(), helper, source }
    };
    let Some((status, answer)) = run(&helper, server).map_err(failed)? else {
        return Err(CredentialsError::Slow { helper });
    };
    if !status.success() {
        // Helpers write their errors to stdout, and this one is no error.
        if answer.contains("credentials not found") {
            return Ok(Credentials::None);
        }
        let line = answer.lines().next().unwrap_or("it gave no reason");
        return Err(CredentialsError::Failed { helper, text: line.chars().take(200).collect() });
    }
    let answer: HelperAnswer =
        serde_json::from_str(&answer).map_err(|_| CredentialsError::Answer { helper })?;
    Ok(match answer {
        HelperAnswer { username, secret } if username == TOKEN_USER => Credentials::Identity(secret),
        HelperAnswer { username: user, secret: password } => Credentials::Password { user, password },
    })
}

/// Runs a helper with the server on its stdin. Returns `None` if it takes too long.
fn run(helper: &str, server: &str) -> io::Result<Option<(ExitStatus, String)>> {
    let mut said = tempfile::tempfile()?;
    let mut command = Command::new(helper);
    command.arg("get").stdin(Stdio::piped()).stdout(said.try_clone()?);
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper may answer without reading. That is no error.
        let _ = writeln!(stdin, "{server}");
    }
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() > LONGEST_HELPER {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(10));
    };
    let mut answer = Vec::new();
    said.rewind()?;
    said.take(MAX_ANSWER).read_to_end(&mut answer)?;
    Ok(Some((status, String::from_utf8_lossy(&answer).into_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(user: &str, password: &str) -> Credentials {
        Credentials::Password { user: user.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn what_docker_login_wrote_is_read() {
        let text = r#"{"auths": {
            "ghcr.io": {"auth": "bWU6YTpi"}, "https://old.example.com/v1/": {"auth": "eDp5"},
            "token.example.com": {"auth": "eDp5", "identitytoken": "t"}, "empty.example.com": {}
        }, "HttpHeaders": {}}"#;
        let config: DockerConfig = serde_json::from_str(text).unwrap();
        let of = |host: &str| {
            let found = config.auths.iter().find(|(key, _)| host_of(key) == host).unwrap();
            from_auth(found.1)
        };
        assert_eq!(of("ghcr.io"), password("me", "a:b"));
        assert_eq!(of("old.example.com"), password("x", "y"));
        assert_eq!(of("token.example.com"), Credentials::Identity("t".to_owned()));
        assert_eq!(of("empty.example.com"), Credentials::None);
        assert_eq!(server("docker.io"), DOCKER_HUB_KEY);
        assert_eq!(format!("{:?}", of("ghcr.io")), "Password", "a password is never printed");
    }
}
