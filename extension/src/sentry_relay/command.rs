//! Builds the arguments and the environment of Sentry's Relay. It is pure.

use std::fmt;
use std::path::{Path, PathBuf};

/// The program in the layer.
pub(super) const BINARY: &str = "/opt/relay/relay";
/// The configuration in the layer.
pub(super) const CONFIG: &str = "/opt/relay/config.yml";

/// The variables of the function's environment that Sentry's Relay gets. The function's credentials are not among them,
/// and no proxy either: it talks to loopback only.
const PASSED_VARIABLES: [&str; 10] = [
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
    StaticMode,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUpstream => {
                "its mode `managed` needs an upstream: set SENTRY_DSN, SENTRY_EXTENSION_DSN or \
                 SENTRY_EXTENSION_UPSTREAM"
            }
            Self::StaticMode => {
                "its configuration asks for the mode `static`, which Sentry's Relay does not have any more: \
                 use `managed` or `proxy`"
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

/// The ports on loopback of one start of Sentry's Relay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    /// Where it listens.
    pub(super) own: u16,
    /// Where its upstream, the door, listens.
    pub(super) door: u16,
}

impl SentryRelayCommand {
    /// `file` is the configuration, if there is one: a `config.yml` or its folder. `own_mode` is the mode that it sets.
    /// No argument sets the mode then, because it would win: a layer whose own configuration was replaced would scrub
    /// nothing. `var` reads the function's environment.
    pub(super) fn new(
        has_upstream: bool,
        file: Option<&Path>,
        own_mode: Option<&str>,
        ports: Ports,
        var: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, CommandError> {
        match own_mode {
            Some("static") => return Err(CommandError::StaticMode),
            Some("managed") if !has_upstream => return Err(CommandError::NoUpstream),
            _ => {}
        }
        let mut arguments = vec!["run".to_owned()];
        if own_mode.is_none() {
            arguments.push("--mode=proxy".to_owned());
        }
        arguments.extend([
            format!("--upstream=http://127.0.0.1:{}/", ports.door),
            "--host=127.0.0.1".to_owned(),
            format!("--port={}", ports.own),
            "--shutdown-timeout=1".to_owned(),
        ]);
        arguments.extend(file.map(|file| format!("--config={}", config_folder(file).display())));
        let passed = PASSED_VARIABLES.into_iter().filter_map(|name| var(name).map(|value| (name, value)));
        Ok(Self { arguments, environment: passed.collect() })
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

    const PORTS: Ports = Ports { own: 4321, door: 1234 };

    #[test]
    fn arguments_and_environment_of_sentry_relay() {
        let vars = [
            ("SENTRY_DSN", "https://a94ae32be2584e0bbd7a4cbb95971fee@o1.ingest.sentry.io/42"),
            ("https_proxy", "http://proxy.corp:3128"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("RELAY_SECRET_KEY", "relay's"),
        ];
        let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        let file = Some(Path::new("/opt/relay/config.yml"));
        let command = SentryRelayCommand::new(true, file, None, PORTS, var).unwrap();
        let arguments = "run --mode=proxy --upstream=http://127.0.0.1:1234/ --host=127.0.0.1 --port=4321 \
            --shutdown-timeout=1 --config=/opt/relay";
        assert_eq!(command.arguments.join(" "), arguments);
        assert_eq!(command.environment, [("RELAY_SECRET_KEY", "relay's".to_owned())]);
    }

    #[test]
    fn the_mode_of_the_users_configuration_is_kept() {
        let file = Some(Path::new("/var/task/relay"));
        let command = |has_upstream, mode| SentryRelayCommand::new(has_upstream, file, mode, PORTS, |_| None);
        let arguments = "run --upstream=http://127.0.0.1:1234/ --host=127.0.0.1 --port=4321 --shutdown-timeout=1 \
            --config=/var/task/relay";
        assert_eq!(command(true, Some("managed")).unwrap().arguments.join(" "), arguments);
        assert_eq!(command(false, Some("managed")), Err(CommandError::NoUpstream));
        assert_eq!(command(true, Some("static")), Err(CommandError::StaticMode));
        assert!(command(false, None).is_ok(), "the mode `proxy` asks Sentry nothing");
    }

    #[test]
    fn the_setting_names_a_folder_or_a_file() {
        assert_eq!(config_folder(Path::new("/var/task/relay")), Path::new("/var/task/relay"));
        assert_eq!(config_folder(Path::new("/var/task/relay/config.yml")), Path::new("/var/task/relay"));
        for path in ["/var/task/relay", "/var/task/relay/config.yml"] {
            assert_eq!(config_file(Path::new(path)), Path::new("/var/task/relay/config.yml"));
        }
    }
}
