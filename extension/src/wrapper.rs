//! `sentry-exec-wrapper` points the SDK at the extension and then becomes the function's runtime.
//!
//! Lambda starts the runtime through it if `AWS_LAMBDA_EXEC_WRAPPER` names it. It is the extension's binary under
//! another name and runs in the runtime's process. It starts the runtime even if the settings are invalid.

use crate::config::{self, Dsn, InvalidUrl, Upstream};
use crate::log::{self, Level};
use crate::port_claim;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::{fmt, io};

/// The name under which the binary acts as the wrapper.
pub const NAME: &str = "sentry-exec-wrapper";
/// The preferred port, if the extension listens on it. An extension of another product may answer on other ports, such
/// as Sentry's Node extension on 9000.
const PREFERRED_PORT: u16 = 5333;
/// The extension that Sentry's Node layer brings. The SDK in that layer sends to it, unless a variable says otherwise.
const NODE_LAYER_EXTENSION: &str = "/opt/extensions/sentry-extension";
/// The variable that lets the SDK in Sentry's Node layer use its DSN, and so this extension.
const USE_NODE_LAYER_EXTENSION: &str = "SENTRY_LAYER_EXTENSION";
/// The extension's host. An address needs no resolver, and every SDK supports it.
const HOST: &str = "127.0.0.1";
/// The hosts that the SDK must reach without a proxy.
const NO_PROXY_HOSTS: [&str; 2] = ["localhost", HOST];

/// Whether the process was started under the wrapper's name.
pub fn is_called(program: &OsStr) -> bool {
    Path::new(program).file_name().is_some_and(|name| name == NAME)
}

/// Replaces this process with the program that the arguments name. Returns only if that fails.
pub fn become_runtime(mut args: impl Iterator<Item = OsString>) -> WrapperError {
    let Some(program) = args.next() else { return WrapperError::NoProgram };
    if let Some(level) = config::variable("SENTRY_EXTENSION_LOG").and_then(|level| Level::parse(&level)) {
        log::set_level(level);
    }
    let mut runtime = Command::new(&program);
    runtime.args(args);
    let ports = config::ports(config::variable);
    let changes = changed_variables(|name| std::env::var_os(name), &ports, port_claim::is_claimed);
    if matches!(changes, Ok(_) | Err(NotChanged::Local))
        && std::env::var_os(USE_NODE_LAYER_EXTENSION).is_none_or(|value| value.is_empty())
        && Path::new(NODE_LAYER_EXTENSION).exists()
    {
        runtime.env(USE_NODE_LAYER_EXTENSION, "0");
    }
    match changes {
        Ok(changes) => drop(runtime.envs(changes)),
        Err(NotChanged::Local) => {}
        Err(why) => {
            log::warn_directly(
                "SENTRY_DSN is left as it is: the SDK does not use the extension",
                &[("why", &why)],
            );
        }
    }
    // The `exec` of std also restores SIGPIPE, which std ignores in this process, for the runtime.
    let error = runtime.exec();
    WrapperError::Exec { program, error }
}

/// The reason why the runtime could not be started.
#[derive(Debug)]
pub enum WrapperError {
    /// The wrapper was called without an argument.
    NoProgram,
    /// The program cannot be executed.
    Exec {
        /// The program as the arguments named it.
        program: OsString,
        /// The error of the system call.
        error: io::Error,
    },
}

impl WrapperError {
    /// Returns the exit code that a shell would return for the same failure.
    pub fn code(&self) -> u8 {
        match self {
            Self::NoProgram => 2,
            Self::Exec { error, .. } if error.kind() == io::ErrorKind::NotFound => 127,
            Self::Exec { .. } => 126,
        }
    }
}

impl fmt::Display for WrapperError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProgram => {
                write!(
                    f,
                    "nothing to start: call it as `{NAME} PROGRAM [ARGUMENT]...`, \
                     as Lambda does with AWS_LAMBDA_EXEC_WRAPPER"
                )
            }
            Self::Exec { program, error } => write!(f, "cannot start {}: {error}", program.display()),
        }
    }
}

impl std::error::Error for WrapperError {}

/// The reason why the wrapper does not change the environment.
#[derive(Debug, PartialEq, Eq)]
enum NotChanged {
    Missing,
    Invalid(InvalidUrl),
    Key,
    Project,
    /// The user's DSN already points at the extension.
    Local,
    /// The extension listens on none of its ports.
    NoPort,
}

impl fmt::Display for NotChanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "it is not set",
            Self::Invalid(why) => return why.fmt(f),
            Self::Key => "its key is not 32 letters and digits",
            Self::Project => "it does not end in the number of a project",
            Self::Local => "it points at the extension",
            Self::NoPort => {
                "the extension does not listen on 127.0.0.1: set SENTRY_EXTENSION_PORTS to a port that is free"
            }
        })
    }
}

/// Returns the variables that the runtime gets instead of the existing ones. It is pure: `var` reads the environment,
/// and `is_held` tells whether the extension listens on a port.
fn changed_variables(
    var: impl Fn(&str) -> Option<OsString>,
    ports: &[u16],
    is_held: impl Fn(u16) -> bool,
) -> Result<[(&'static str, OsString); 3], NotChanged> {
    let dsn = var("SENTRY_DSN").filter(|dsn| !dsn.is_empty()).ok_or(NotChanged::Missing)?;
    let dsn = rewrite_dsn(dsn.to_str().ok_or(NotChanged::Invalid(InvalidUrl::Malformed))?, ports, is_held)?;
    let (upper, lower) = (var("NO_PROXY"), var("no_proxy"));
    // If only one spelling is set, both get its value, because programs differ in the spelling that they read.
    let either = |own: &Option<OsString>, other: &Option<OsString>| {
        with_no_proxy_hosts(own.as_deref().or(other.as_deref()).unwrap_or_default())
    };
    let exceptions = (either(&upper, &lower), either(&lower, &upper));
    Ok([("SENTRY_DSN", dsn.into()), ("NO_PROXY", exceptions.0), ("no_proxy", exceptions.1)])
}

/// Returns the DSN with the extension's address. The path prefix is removed, because it belongs to upstream.
fn rewrite_dsn(text: &str, ports: &[u16], is_held: impl Fn(u16) -> bool) -> Result<String, NotChanged> {
    let dsn = Dsn::parse(text).map_err(NotChanged::Invalid)?;
    let ours = |upstream: &Upstream| upstream.is_loopback() && ports.contains(&upstream.port());
    if ours(&dsn.upstream) {
        let port = dsn.upstream.port();
        return Err(if is_held(port) { NotChanged::Local } else { NotChanged::NoPort });
    }
    dsn.key.ok_or(NotChanged::Key)?;
    let project = dsn.project.ok_or(NotChanged::Project)?;
    let preferred = ports.iter().filter(|port| **port == PREFERRED_PORT);
    let port = preferred.chain(ports).find(|port| is_held(**port)).ok_or(NotChanged::NoPort)?;
    // Key and secret are copied from the user's text. The parsed DSN proves that the text contains them.
    let authority = text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    let (user, _) = authority.and_then(|authority| authority.rsplit_once('@')).ok_or(NotChanged::Key)?;
    Ok(format!("http://{user}@{HOST}:{port}/{project}"))
}

/// Adds the extension's hosts to a list of hosts that are reached without a proxy.
fn with_no_proxy_hosts(list: &OsStr) -> OsString {
    let mut longer = list.to_owned();
    // A star means every host only if it is the only entry, so nothing is added to it.
    if list.as_bytes().trim_ascii() == b"*" {
        return longer;
    }
    for host in NO_PROXY_HOSTS {
        let mut entries = list.as_bytes().split(|b| *b == b',' || b.is_ascii_whitespace());
        if entries.any(|entry| entry == host.as_bytes()) {
            continue;
        }
        // Some SDKs read an empty entry as every host.
        if !longer.is_empty() && !longer.as_bytes().ends_with(b",") {
            longer.push(",");
        }
        longer.push(host);
    }
    longer
}

#[cfg(test)]
mod tests;
