//! `sentry-exec-wrapper`: points the SDK at the extension, and becomes the function's runtime.
//!
//! Lambda starts the runtime through it where `AWS_LAMBDA_EXEC_WRAPPER` says so. It is this very binary under another name, in
//! the runtime's own process: whatever it makes of the settings, the runtime is started.

use crate::config::{self, Dsn, InvalidUrl, Upstream};
use crate::log::{self, Level};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::{fmt, io};

/// What the binary is called by then.
pub const NAME: &str = "sentry-exec-wrapper";
/// The port that is asked for, if it is among ours: Sentry's own Node extension takes 9000 wherever it is, and knows no DSNs.
const FAVOURITE: u16 = 5333;
/// Where the extension is. By number: that asks no resolver, and every SDK can do it.
const HOST: &str = "127.0.0.1";
const DIRECT: [&str; 2] = ["localhost", HOST];

/// Whether the process was called by the wrapper's name.
pub fn is_called(program: &OsStr) -> bool {
    Path::new(program).file_name().is_some_and(|name| name == NAME)
}

/// Becomes the program that the arguments name. Returns only where that fails.
pub fn become_runtime(mut args: impl Iterator<Item = OsString>) -> WrapperError {
    let Some(program) = args.next() else { return WrapperError::NoProgram };
    if let Some(level) = config::variable("SENTRY_EXTENSION_LOG").and_then(|level| Level::parse(&level)) {
        log::set_level(level);
    }
    let mut runtime = Command::new(&program);
    runtime.args(args);
    match changes(|name| std::env::var_os(name), &config::ports(config::variable)) {
        Ok(changes) => drop(runtime.envs(changes)),
        Err(Left::Local) => {}
        Err(why) => {
            log::warn("SENTRY_DSN is left as it is: the SDK sends without the extension", &[("why", &why)]);
        }
    }
    // Std's `exec` also gives the runtime the SIGPIPE back that std has taken from this process.
    let error = runtime.exec();
    WrapperError::Exec { program, error }
}

/// Why there is no runtime.
#[derive(Debug)]
pub enum WrapperError {
    /// There is no argument.
    NoProgram,
    /// The program cannot be executed.
    Exec {
        /// As it was named.
        program: OsString,
        /// Why not.
        error: io::Error,
    },
}

impl WrapperError {
    /// The exit code, as of a shell.
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
                    "nothing to start: call it as `{NAME} PROGRAM [ARGUMENT]...`, as Lambda does with AWS_LAMBDA_EXEC_WRAPPER"
                )
            }
            Self::Exec { program, error } => write!(f, "cannot start {}: {error}", program.display()),
        }
    }
}

impl std::error::Error for WrapperError {}

/// Why the environment stays as it is.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    Missing,
    Invalid(InvalidUrl),
    Key,
    Project,
    /// It points at the extension already, by its user's hand.
    Local,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "it is not set",
            Self::Invalid(why) => return why.fmt(f),
            Self::Key => "its key is not 32 letters and digits",
            Self::Project => "it does not end in the number of a project",
            Self::Local => "it points at the extension",
        })
    }
}

/// What the runtime's environment has instead of its own. Pure: `var` is the environment.
fn changes(
    var: impl Fn(&str) -> Option<OsString>,
    ports: &[u16],
) -> Result<[(&'static str, OsString); 3], Left> {
    let dsn = var("SENTRY_DSN").filter(|dsn| !dsn.is_empty()).ok_or(Left::Missing)?;
    let dsn = local(dsn.to_str().ok_or(Left::Invalid(InvalidUrl::Malformed))?, ports)?;
    let (upper, lower) = (var("NO_PROXY"), var("no_proxy"));
    // Where only one is set, it counts for programs that read the other first.
    let either = |own: &Option<OsString>, other: &Option<OsString>| {
        direct(own.as_deref().or(other.as_deref()).unwrap_or_default())
    };
    let exceptions = (either(&upper, &lower), either(&lower, &upper));
    Ok([("SENTRY_DSN", dsn.into()), ("NO_PROXY", exceptions.0), ("no_proxy", exceptions.1)])
}

/// The DSN with the extension for its Sentry. Its path prefix is upstream's.
fn local(text: &str, ports: &[u16]) -> Result<String, Left> {
    let dsn = Dsn::parse(text).map_err(Left::Invalid)?;
    let ours = |upstream: &Upstream| upstream.is_loopback() && ports.contains(&upstream.port());
    if ours(&dsn.upstream) {
        return Err(Left::Local);
    }
    dsn.key.ok_or(Left::Key)?;
    let project = dsn.project.ok_or(Left::Project)?;
    let port = ports.first().filter(|_| !ports.contains(&FAVOURITE)).unwrap_or(&FAVOURITE);
    // Key and secret stay in the words of the user; what has been parsed has them.
    let authority = text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    let (user, _) = authority.and_then(|authority| authority.rsplit_once('@')).ok_or(Left::Key)?;
    Ok(format!("http://{user}@{HOST}:{port}/{project}"))
}

/// A list of hosts that are reached without a proxy, with the extension's added.
fn direct(list: &OsStr) -> OsString {
    let mut longer = list.to_owned();
    // A star means everything only where it is alone.
    if list.as_bytes().trim_ascii() == b"*" {
        return longer;
    }
    for host in DIRECT {
        let mut entries = list.as_bytes().split(|b| *b == b',' || b.is_ascii_whitespace());
        if entries.any(|entry| entry == host.as_bytes()) {
            continue;
        }
        // An empty entry would mean every host to some SDKs.
        if !longer.is_empty() && !longer.as_bytes().ends_with(b",") {
            longer.push(",");
        }
        longer.push(host);
    }
    longer
}

#[cfg(test)]
mod tests;
