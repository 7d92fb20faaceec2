//! How Relay is called: arguments and environment. Pure.

use crate::config::{Config, Upstream};
use std::fmt;
use std::path::{Path, PathBuf};

/// Where the layer has it.
pub(super) const BINARY: &str = "/opt/relay/relay";
/// The layer's own configuration.
pub(super) const CONFIG: &str = "/opt/relay/config.yml";

/// What of the function's environment is Relay's business. The function's credentials are not.
const HANDED_ON: [&str; 19] = [
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "https_proxy",
    "http_proxy",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
    "SSL_CERT_DIR",
    "LD_LIBRARY_PATH",
    "PATH",
    "LANG",
    "TZ",
    "TMPDIR",
    "RELAY_LOG_LEVEL",
    "RELAY_LOG_FORMAT",
    // A Relay that is registered with Sentry.
    "RELAY_ID",
    "RELAY_PUBLIC_KEY",
    "RELAY_SECRET_KEY",
];

/// Why Relay cannot do the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandError {
    NoUpstream,
    Path,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUpstream => {
                "it needs an upstream: set SENTRY_DSN, SENTRY_EXTENSION_DSN or SENTRY_EXTENSION_UPSTREAM"
            }
            Self::Path => {
                "its upstream cannot have a path: set SENTRY_EXTENSION_UPSTREAM to a URL without one"
            }
        })
    }
}

/// A call of Relay.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SentryRelayCommand {
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
}

impl SentryRelayCommand {
    /// `file` is the configuration, if there is one: `config.yml` or its folder; `own_mode` that it is the user's, and
    /// says in which mode Relay is to run. `var` is the function's environment.
    pub(super) fn new(
        config: &Config,
        file: Option<&Path>,
        own_mode: bool,
        port: u16,
        var: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CommandError> {
        let upstream: &Upstream = config.upstream.as_ref().ok_or(CommandError::NoUpstream)?;
        if !upstream.path("").is_empty() {
            return Err(CommandError::Path);
        }
        let mut arguments = vec!["run".to_owned()];
        if !own_mode {
            arguments.push("--mode=proxy".to_owned());
        }
        arguments.extend([
            format!("--upstream={upstream}/"),
            "--host=127.0.0.1".to_owned(),
            format!("--port={port}"),
            "--shutdown-timeout=1".to_owned(),
        ]);
        arguments.extend(file.map(|file| format!("--config={}", folder(file).display())));
        let handed_on = HANDED_ON.into_iter().filter_map(|name| var(name).map(|value| (name, value)));
        let mut environment: Vec<_> = handed_on.collect();
        // The first is the extension's own setting, which counts for more.
        let bundle = config.ca_bundles.first();
        environment.extend(bundle.map(|file| ("SSL_CERT_FILE", file.display().to_string())));
        Ok(Self { arguments, environment })
    }
}

/// Relay wants the folder that holds `config.yml`.
fn folder(file: &Path) -> &Path {
    file.parent().filter(|_| is_file(file)).unwrap_or(file)
}

/// The file itself.
pub(super) fn file(configured: &Path) -> PathBuf {
    if is_file(configured) { configured.to_owned() } else { configured.join("config.yml") }
}

fn is_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    fn plan(vars: &[(&str, &str)], file: Option<&str>) -> Result<SentryRelayCommand, CommandError> {
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        SentryRelayCommand::new(
            &Config::read(var, Overrides::default()).0,
            file.map(Path::new),
            false,
            4321,
            var,
        )
    }

    #[test]
    fn what_relay_is_told() {
        let vars = [
            ("SENTRY_DSN", "https://a94ae32be2584e0bbd7a4cbb95971fee@o1.ingest.sentry.io/42"),
            ("https_proxy", "http://proxy.corp:3128"),
            ("SSL_CERT_FILE", "/var/task/all.pem"),
            ("SENTRY_EXTENSION_CA_BUNDLE", "/var/task/ours.pem"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ];
        let plan = plan(&vars, Some("/opt/relay/config.yml")).unwrap();
        let words = "run --mode=proxy --upstream=https://o1.ingest.sentry.io/ --host=127.0.0.1 --port=4321 --shutdown-timeout=1 --config=/opt/relay";
        assert_eq!(plan.arguments.join(" "), words);
        let told = [("https_proxy", "http://proxy.corp:3128"), ("SSL_CERT_FILE", "/var/task/ours.pem")];
        assert_eq!(plan.environment, told.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn a_mode_of_the_users_own_wins() {
        let var = |name: &str| (name == "SENTRY_DSN").then(|| "https://key@sentry.io/42".to_owned());
        let config = Config::read(var, Overrides::default()).0;
        let own =
            SentryRelayCommand::new(&config, Some(Path::new("/var/task/relay")), true, 4321, var).unwrap();
        let words = "run --upstream=https://sentry.io/ --host=127.0.0.1 --port=4321 --shutdown-timeout=1 --config=/var/task/relay";
        assert_eq!(own.arguments.join(" "), words);
    }

    #[test]
    fn a_folder_or_a_file() {
        assert_eq!(folder(Path::new("/var/task/relay")), Path::new("/var/task/relay"));
        assert_eq!(folder(Path::new("/var/task/relay/config.yml")), Path::new("/var/task/relay"));
        for path in ["/var/task/relay", "/var/task/relay/config.yml"] {
            assert_eq!(file(Path::new(path)), Path::new("/var/task/relay/config.yml"));
        }
    }

    #[test]
    fn what_relay_cannot_do() {
        assert_eq!(plan(&[], None), Err(CommandError::NoUpstream));
        let path = [("SENTRY_EXTENSION_UPSTREAM", "https://sentry.example.com/prefix")];
        assert_eq!(plan(&path, None), Err(CommandError::Path));
    }
}
