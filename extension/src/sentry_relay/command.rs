//! Builds the arguments and the environment of Sentry's Relay. It is pure.

use crate::config::{Config, Upstream};
use std::fmt;
use std::path::{Path, PathBuf};

/// The program in the layer.
pub(super) const BINARY: &str = "/opt/relay/relay";
/// The configuration in the layer.
pub(super) const CONFIG: &str = "/opt/relay/config.yml";

/// The variables of the function's environment that Sentry's Relay gets. The function's credentials are not among them.
const PASSED_VARIABLES: [&str; 19] = [
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
    // The credentials of a Relay that is registered with Sentry.
    "RELAY_ID",
    "RELAY_PUBLIC_KEY",
    "RELAY_SECRET_KEY",
];

/// Why Sentry's Relay cannot work with these settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommandError {
    NoUpstream,
    UpstreamHasPath,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUpstream => {
                "it needs an upstream: set SENTRY_DSN, SENTRY_EXTENSION_DSN or SENTRY_EXTENSION_UPSTREAM"
            }
            Self::UpstreamHasPath => {
                "its upstream cannot have a path: set SENTRY_EXTENSION_UPSTREAM to a URL without one"
            }
        })
    }
}

/// The arguments and the environment of one start of Sentry's Relay.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SentryRelayCommand {
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
}

impl SentryRelayCommand {
    /// `file` is the configuration, if there is one: a `config.yml` or its folder. `own_mode` is true if the user's
    /// configuration sets the mode, which is then not set by an argument. `var` reads the function's environment.
    pub(super) fn new(
        config: &Config,
        file: Option<&Path>,
        own_mode: bool,
        port: u16,
        var: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CommandError> {
        let upstream: &Upstream = config.upstream.as_ref().ok_or(CommandError::NoUpstream)?;
        if !upstream.path("").is_empty() {
            return Err(CommandError::UpstreamHasPath);
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
        arguments.extend(file.map(|file| format!("--config={}", config_folder(file).display())));
        let passed = PASSED_VARIABLES.into_iter().filter_map(|name| var(name).map(|value| (name, value)));
        let mut environment: Vec<_> = passed.collect();
        // Sentry's Relay takes one file only. The extension's own setting takes precedence.
        let bundle = var("SENTRY_EXTENSION_CA_BUNDLE").or_else(|| var("SSL_CERT_FILE"));
        environment.extend(bundle.map(|file| ("SSL_CERT_FILE", file)));
        Ok(Self { arguments, environment })
    }
}

/// Returns the folder that contains `config.yml`, which is what Sentry's Relay wants.
fn config_folder(file: &Path) -> &Path {
    file.parent().filter(|_| is_file(file)).unwrap_or(file)
}

/// Returns the `config.yml` of a setting that names it or its folder.
pub(super) fn config_file(configured: &Path) -> PathBuf {
    if is_file(configured) { configured.to_owned() } else { configured.join("config.yml") }
}

fn is_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Overrides;

    fn command(vars: &[(&str, &str)], file: Option<&str>) -> Result<SentryRelayCommand, CommandError> {
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
    fn arguments_and_environment_of_sentry_relay() {
        let vars = [
            ("SENTRY_DSN", "https://a94ae32be2584e0bbd7a4cbb95971fee@o1.ingest.sentry.io/42"),
            ("https_proxy", "http://proxy.corp:3128"),
            ("SSL_CERT_FILE", "/var/task/all.pem"),
            ("SENTRY_EXTENSION_CA_BUNDLE", "/var/task/ours.pem"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ];
        let command = command(&vars, Some("/opt/relay/config.yml")).unwrap();
        let arguments = "run --mode=proxy --upstream=https://o1.ingest.sentry.io/ --host=127.0.0.1 --port=4321 \
            --shutdown-timeout=1 --config=/opt/relay";
        assert_eq!(command.arguments.join(" "), arguments);
        let passed = [("https_proxy", "http://proxy.corp:3128"), ("SSL_CERT_FILE", "/var/task/ours.pem")];
        assert_eq!(command.environment, passed.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn the_mode_of_the_users_configuration_is_kept() {
        let var = |name: &str| (name == "SENTRY_DSN").then(|| "https://key@sentry.io/42".to_owned());
        let config = Config::read(var, Overrides::default()).0;
        let own =
            SentryRelayCommand::new(&config, Some(Path::new("/var/task/relay")), true, 4321, var).unwrap();
        let arguments = "run --upstream=https://sentry.io/ --host=127.0.0.1 --port=4321 --shutdown-timeout=1 \
            --config=/var/task/relay";
        assert_eq!(own.arguments.join(" "), arguments);
    }

    #[test]
    fn the_setting_names_a_folder_or_a_file() {
        assert_eq!(config_folder(Path::new("/var/task/relay")), Path::new("/var/task/relay"));
        assert_eq!(config_folder(Path::new("/var/task/relay/config.yml")), Path::new("/var/task/relay"));
        for path in ["/var/task/relay", "/var/task/relay/config.yml"] {
            assert_eq!(config_file(Path::new(path)), Path::new("/var/task/relay/config.yml"));
        }
    }

    #[test]
    fn upstreams_that_sentry_relay_cannot_use() {
        assert_eq!(command(&[], None), Err(CommandError::NoUpstream));
        let path = [("SENTRY_EXTENSION_UPSTREAM", "https://sentry.example.com/prefix")];
        assert_eq!(command(&path, None), Err(CommandError::UpstreamHasPath));
    }
}
