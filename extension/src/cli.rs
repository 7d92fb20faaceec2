//! The command line. Lambda passes no arguments. They are for `--standalone`, `--help` and `--version`.

use crate::config::{InvalidUrl, Overrides, Upstream};
use crate::protocol::masked;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;

/// The text that `--help` prints.
pub const HELP: &str = "\
Receives Sentry envelopes from any SDK on localhost and delivers them to Sentry.

In AWS Lambda the layer starts it without arguments. Environment variables contain the settings.

Usage: sentry-lambda-extension [--standalone [--listen ADDR:PORT]... [--upstream URL] [--tail [--json]]]

Options:
      --standalone         Run without Lambda until SIGTERM, SIGINT or SIGHUP, then deliver what is queued
      --listen ADDR:PORT   Listen here instead of on localhost:5333 (repeatable)
      --upstream URL       Send everything to this Sentry or Relay
      --tail               Print what passes and what became of it, one line each; the log goes to stderr
      --json               Print JSON objects instead of text
  -h, --help               Print this
  -V, --version            Print the version";

/// The task that the arguments select.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Run as a Lambda extension. This is the mode without arguments.
    Lambda,
    /// Run without Lambda, with these values instead of the environment's, and print what passes if a way is named.
    Standalone(Overrides, Option<Tail>),
    /// Print the help and exit.
    Help,
    /// Print the version and exit.
    Version,
}

/// How `--tail` prints what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// As text, for people.
    Text,
    /// As one JSON object a line.
    Json,
}

/// The reason why the arguments are invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageError {
    /// The argument is not an option of this program.
    Unknown(String),
    /// The argument is not valid Unicode. It is shown with the invalid bytes replaced.
    NotUnicode(String),
    /// An option that needs a value has none.
    NoValue(&'static str),
    /// The value of `--listen` is not an address.
    Listen(String),
    /// The value of `--upstream` is not a usable URL.
    Upstream(InvalidUrl),
    /// `--listen` or `--upstream` was given without `--standalone`.
    NotStandalone,
    /// `--tail` was given without `--standalone`.
    TailNotStandalone,
    /// `--json` was given without `--tail`.
    JsonWithoutTail,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // An argument may be a DSN.
            Self::Unknown(arg) => {
                write!(f, "unknown argument {:?}; --help lists all options", masked(arg))
            }
            Self::NotUnicode(arg) => {
                let arg = masked(arg);
                write!(f, "the argument {arg:?} is not valid UTF-8; --help lists all options")
            }
            Self::NoValue(option) => write!(f, "{option} needs a value"),
            Self::Listen(value) => {
                let value = masked(value);
                write!(f, "--listen {value:?} is not an address like 127.0.0.1:5333 or [::1]:5333")
            }
            Self::Upstream(why) => write!(f, "--upstream {why}"),
            Self::NotStandalone => f.write_str("--listen and --upstream need --standalone"),
            Self::TailNotStandalone => f.write_str(
                "--tail needs --standalone; in AWS Lambda, SENTRY_EXTENSION_LOG=debug logs what becomes of each \
                 envelope",
            ),
            Self::JsonWithoutTail => {
                f.write_str("--json needs --tail, whose lines it changes; log lines are JSON without it")
            }
        }
    }
}

impl std::error::Error for UsageError {}

/// Parses the arguments that follow the program's name.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Mode, UsageError> {
    let text = |arg: OsString| {
        arg.into_string().map_err(|arg| UsageError::NotUnicode(arg.to_string_lossy().into_owned()))
    };
    let mut args = args.into_iter().map(text);
    let (mut standalone, mut tail, mut json) = (false, false, false);
    let mut overrides = Overrides::default();
    while let Some(arg) = args.next().transpose()? {
        let (name, inline) = match arg.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (arg.clone(), None),
        };
        match (name.as_str(), inline) {
            ("-h" | "--help", None) => return Ok(Mode::Help),
            ("-V" | "--version", None) => return Ok(Mode::Version),
            ("--standalone", None) => standalone = true,
            ("--tail", None) => tail = true,
            ("--json", None) => json = true,
            ("--listen", inline) => {
                let value = match inline {
                    Some(value) => value,
                    None => args.next().transpose()?.ok_or(UsageError::NoValue("--listen"))?,
                };
                let addr = value.parse::<SocketAddr>().map_err(|_| UsageError::Listen(value))?;
                overrides.listen.push(addr);
            }
            ("--upstream", inline) => {
                let value = match inline {
                    Some(value) => value,
                    None => args.next().transpose()?.ok_or(UsageError::NoValue("--upstream"))?,
                };
                overrides.upstream = Some(Upstream::parse(&value).map_err(UsageError::Upstream)?);
            }
            _ => return Err(UsageError::Unknown(arg)),
        }
    }
    if json && !tail {
        return Err(UsageError::JsonWithoutTail);
    }
    if tail && !standalone {
        return Err(UsageError::TailNotStandalone);
    }
    let tail = tail.then_some(if json { Tail::Json } else { Tail::Text });
    match (standalone, overrides) {
        (true, overrides) => Ok(Mode::Standalone(overrides, tail)),
        (false, overrides) if overrides == Overrides::default() => Ok(Mode::Lambda),
        (false, _) => Err(UsageError::NotStandalone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt as _;

    fn parse_line(line: &str) -> Result<Mode, UsageError> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn parses_every_mode() {
        assert_eq!(parse_line(""), Ok(Mode::Lambda));
        assert_eq!(parse_line("--version"), Ok(Mode::Version));
        assert_eq!(parse_line("--standalone -h"), Ok(Mode::Help));
        let Ok(Mode::Standalone(overrides, None)) = parse_line(
            "--standalone --listen 127.0.0.1:0 --listen=[::1]:7 --upstream https://sentry.example.com",
        ) else {
            panic!("not standalone")
        };
        assert_eq!(overrides.listen.len(), 2);
        assert_eq!(overrides.upstream.unwrap().host(), "sentry.example.com");
    }

    #[test]
    fn a_tail_is_text_or_json_and_only_standalone() {
        let tail = |line| match parse_line(line) {
            Ok(Mode::Standalone(_, tail)) => tail,
            other => panic!("{other:?}"),
        };
        assert_eq!(tail("--standalone"), None);
        assert_eq!(tail("--tail --standalone"), Some(Tail::Text));
        assert_eq!(tail("--standalone --json --tail"), Some(Tail::Json));
        for line in ["--tail", "--tail --json", "--tail --listen 127.0.0.1:1"] {
            assert_eq!(parse_line(line), Err(UsageError::TailNotStandalone), "{line}");
        }
        for line in ["--json", "--standalone --json"] {
            assert_eq!(parse_line(line), Err(UsageError::JsonWithoutTail), "{line}");
        }
        assert_eq!(parse_line("--standalone --tail=json"), Err(UsageError::Unknown("--tail=json".into())));
    }

    #[test]
    fn a_dsn_among_the_arguments_is_not_shown_with_its_key() {
        let dsn = "https://5b0ff8a1e2c94d7fb7a3c1d2e4f60718@sentry.io/42";
        for line in [dsn.to_owned(), format!("--dsn={dsn}"), format!("--standalone --listen {dsn}")] {
            let error = parse_line(&line).unwrap_err().to_string();
            assert!(error.contains("5b0f…@sentry.io"), "{error}");
        }
    }

    #[test]
    fn refuses_invalid_arguments() {
        assert_eq!(parse_line("--verbose"), Err(UsageError::Unknown("--verbose".into())));
        assert_eq!(parse_line("--standalone=yes"), Err(UsageError::Unknown("--standalone=yes".into())));
        assert_eq!(parse_line("--standalone --listen"), Err(UsageError::NoValue("--listen")));
        assert_eq!(parse_line("--standalone --listen 9000"), Err(UsageError::Listen("9000".into())));
        assert_eq!(parse_line("--standalone --upstream x"), Err(UsageError::Upstream(InvalidUrl::Malformed)));
        assert_eq!(parse_line("--listen 127.0.0.1:1"), Err(UsageError::NotStandalone));
        let invalid = OsString::from_vec(b"\xff".to_vec());
        for before in [&["--standalone"][..], &[], &["--standalone", "--upstream"]] {
            let args = before.iter().map(OsString::from).chain([invalid.clone()]);
            assert_eq!(parse(args), Err(UsageError::NotUnicode("\u{fffd}".into())));
        }
    }
}
