//! The command line. In Lambda there is none; it serves `--standalone`, and people who look around.

use crate::config::{InvalidUrl, Overrides, Upstream};
use std::fmt;
use std::net::SocketAddr;

/// What `--help` prints.
pub const HELP: &str = "\
Takes Sentry envelopes from any SDK on localhost and gets them to Sentry.

In AWS Lambda it is started by the layer, without arguments. Settings are environment variables.

Usage: sentry-lambda-extension [--standalone [--listen ADDR:PORT]... [--upstream URL]]

Options:
      --standalone         Run gateway and relay without Lambda, until SIGTERM or SIGINT, then drain
      --listen ADDR:PORT   Listen here instead of on localhost:9000 and :5333 (repeatable)
      --upstream URL       Send everything to this Sentry or Relay
  -h, --help               Print this
  -V, --version            Print the version";

/// What the process is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Be a Lambda extension.
    Lambda,
    /// Run without Lambda.
    Standalone(Overrides),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// What is wrong with the arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageError {
    /// No such option.
    Unknown(String),
    /// An option that wants a value has none.
    NoValue(&'static str),
    /// A value of `--listen` that is no address.
    Listen(String),
    /// A value of `--upstream` that is no URL.
    Upstream(InvalidUrl),
    /// An option of `--standalone` alone.
    NotStandalone,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(arg) => write!(f, "unknown argument {arg:?}; --help lists all"),
            Self::NoValue(option) => write!(f, "{option} needs a value"),
            Self::Listen(value) => {
                write!(f, "--listen {value:?} is no address like 127.0.0.1:9000 or [::1]:9000")
            }
            Self::Upstream(why) => write!(f, "--upstream {why}"),
            Self::NotStandalone => f.write_str("--listen and --upstream go with --standalone"),
        }
    }
}

impl std::error::Error for UsageError {}

/// Reads the arguments behind the program's name.
pub fn parse(args: impl IntoIterator<Item = String>) -> Result<Mode, UsageError> {
    let mut args = args.into_iter();
    let mut standalone = false;
    let mut overrides = Overrides::default();
    while let Some(arg) = args.next() {
        let (name, inline) = match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (arg.clone(), None),
        };
        match (name.as_str(), inline) {
            ("-h" | "--help", None) => return Ok(Mode::Help),
            ("-V" | "--version", None) => return Ok(Mode::Version),
            ("--standalone", None) => standalone = true,
            ("--listen", inline) => {
                let value = inline.or_else(|| args.next()).ok_or(UsageError::NoValue("--listen"))?;
                let addr = value.parse::<SocketAddr>().map_err(|_| UsageError::Listen(value))?;
                overrides.listen.push(addr);
            }
            ("--upstream", inline) => {
                let value = inline.or_else(|| args.next()).ok_or(UsageError::NoValue("--upstream"))?;
                overrides.upstream = Some(Upstream::parse(&value).map_err(UsageError::Upstream)?);
            }
            _ => return Err(UsageError::Unknown(arg)),
        }
    }
    match (standalone, overrides) {
        (true, overrides) => Ok(Mode::Standalone(overrides)),
        (false, overrides) if overrides == Overrides::default() => Ok(Mode::Lambda),
        (false, _) => Err(UsageError::NotStandalone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Mode, UsageError> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn modes() {
        assert_eq!(of(""), Ok(Mode::Lambda));
        assert_eq!(of("--version"), Ok(Mode::Version));
        assert_eq!(of("--standalone -h"), Ok(Mode::Help));
        let Ok(Mode::Standalone(overrides)) =
            of("--standalone --listen 127.0.0.1:0 --listen=[::1]:7 --upstream https://sentry.example.com")
        else {
            panic!("not standalone")
        };
        assert_eq!(overrides.listen.len(), 2);
        assert_eq!(overrides.upstream.unwrap().host(), "sentry.example.com");
    }

    #[test]
    fn mistakes() {
        assert_eq!(of("--verbose"), Err(UsageError::Unknown("--verbose".into())));
        assert_eq!(of("--standalone=yes"), Err(UsageError::Unknown("--standalone=yes".into())));
        assert_eq!(of("--standalone --listen"), Err(UsageError::NoValue("--listen")));
        assert_eq!(of("--standalone --listen 9000"), Err(UsageError::Listen("9000".into())));
        assert_eq!(of("--standalone --upstream x"), Err(UsageError::Upstream(InvalidUrl::Malformed)));
        assert_eq!(of("--listen 127.0.0.1:1"), Err(UsageError::NotStandalone));
    }
}
