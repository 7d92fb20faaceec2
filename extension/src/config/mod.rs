//! Environment → [`Config`] and warnings: pure, and never fails. A bad setting falls back to its default.

mod allowed_hosts;
mod dsn;
mod faults;
mod function;
mod modes;
mod proxy;
mod units;
mod upstream;

pub use allowed_hosts::AllowedHosts;
pub use dsn::{Dsn, ProjectId, PublicKey};
pub use faults::{FaultKind, FaultKinds};
pub use function::Function;
pub use modes::{FlushMode, RelayMode};
pub use proxy::{Exception, Proxies, Proxy};
pub use upstream::{InvalidUrl, Scheme, Upstream};

use crate::log::Level;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const MIB: usize = 1 << 20;
/// What is assumed of a machine that does not say what memory the function has.
const UNKNOWN_MEMORY: usize = 1024 * MIB;
/// Of today's Node SDK tunnel, and of the DSN rewriting of the layers of 2022.
const DEFAULT_PORTS: [u16; 2] = [9000, 5333];
/// The Runtime API and telemetry live there.
const RESERVED_PORT: u16 = 9001;

/// All that the extension lets its user decide. Names and defaults: docs/settings.md.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where everything goes; without it the `dsn` in each envelope's header decides.
    pub upstream: Option<Arc<Upstream>>,
    /// Set where a setting points at this extension itself: what to tell the SDK when nothing else is left.
    pub upstream_mistake: Option<String>,
    /// The project that gets what the extension itself has to tell.
    pub dsn: Option<Arc<Dsn>>,
    /// Which faults of the function are told.
    pub faults: FaultKinds,
    /// Hosts that an envelope's `dsn` may name.
    pub allowed_hosts: AllowedHosts,
    /// Loopback addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Bound of the queue, bytes.
    pub buffer: usize,
    /// Largest decompressed envelope, bytes.
    pub max_body: usize,
    /// Bound of one exchange with upstream, from connecting to the answer.
    pub timeout: Duration,
    /// On the way to upstream.
    pub proxies: Proxies,
    /// PEM files of further roots.
    pub ca_bundles: Vec<PathBuf>,
    /// Who carries envelopes to upstream.
    pub relay: RelayMode,
    /// A `config.yml` for Sentry's own Relay, or the folder that has one; instead of the layer's.
    pub sentry_relay_config: Option<PathBuf>,
    /// The function's memory, bytes; a guess where nobody says.
    pub memory: usize,
    /// When `/next` waits for deliveries.
    pub flush: FlushMode,
    /// How much is logged.
    pub log: Level,
    /// Whether the function runs on Lambda Managed Instances, where INVOKE cannot be registered.
    pub managed_instances: bool,
}

/// What the command line of `--standalone` says instead of the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Instead of the loopback addresses of `SENTRY_EXTENSION_PORTS`, unless empty.
    pub listen: Vec<SocketAddr>,
    /// Instead of `SENTRY_EXTENSION_UPSTREAM`.
    pub upstream: Option<Upstream>,
}

impl Config {
    /// Reads the settings through `var`, which gives a variable's value where it is set and not empty.
    /// Warnings say what was wrong with a setting and what is done instead; they hold no secrets.
    pub fn read(var: impl Fn(&str) -> Option<String>, overrides: Overrides) -> (Self, Vec<String>) {
        let mut reader = EnvironmentReader { var: &var, warnings: Vec::new() };

        let listen = if overrides.listen.is_empty() { loopback(&reader.ports()) } else { overrides.listen };
        let explicit =
            overrides.upstream.or_else(|| reader.parsed("SENTRY_EXTENSION_UPSTREAM", Upstream::parse));
        let extension_dsn = reader.parsed("SENTRY_EXTENSION_DSN", Dsn::parse);
        let sentry_dsn = reader.parsed("SENTRY_DSN", Dsn::parse);
        let upstream_of = |dsn: &Option<Dsn>| dsn.as_ref().map(|dsn| dsn.upstream.clone());

        let mut upstreams = Vec::new();
        let mut upstream_mistake = None;
        for (name, upstream) in [
            ("SENTRY_EXTENSION_UPSTREAM", explicit),
            ("SENTRY_EXTENSION_DSN", upstream_of(&extension_dsn)),
            ("SENTRY_DSN", upstream_of(&sentry_dsn)),
        ] {
            match upstream {
                // With another setting above it, it is no mistake: the SDK reads SENTRY_DSN too.
                Some(upstream) if is_loop(&listen, &upstream) => {
                    let shadowed = !upstreams.is_empty();
                    if !shadowed {
                        let mistake = format!(
                            "{name} points at this extension itself ({upstream}): put the real DSN into SENTRY_EXTENSION_DSN"
                        );
                        reader.warnings.push(mistake.clone());
                        upstream_mistake = Some(mistake);
                    }
                }
                Some(upstream) => upstreams.push(upstream),
                None => {}
            }
        }
        let is_project = |dsn: &Dsn| dsn.key.is_some() && dsn.project.is_some();
        let dsn = [extension_dsn, sentry_dsn].into_iter().flatten();
        let dsn = dsn.filter(|dsn| is_project(dsn) && !is_loop(&listen, &dsn.upstream)).map(Arc::new).next();
        let mut allowed_hosts = AllowedHosts::new(&upstreams);
        for pattern in reader.list("SENTRY_EXTENSION_ALLOWED_HOSTS") {
            if !allowed_hosts.add(&pattern) {
                reader.warn(
                    "SENTRY_EXTENSION_ALLOWED_HOSTS",
                    "has an entry that is no host",
                    "it is ignored",
                );
            }
        }

        let memory = var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|m| m.parse::<usize>().ok());
        let memory = memory.map_or(UNKNOWN_MEMORY, |mib| mib.saturating_mul(MIB));
        let default_buffer = (memory / 16).max(4 * MIB);
        let buffer = reader.size("SENTRY_EXTENSION_BUFFER", default_buffer);
        let max_body = reader.size("SENTRY_EXTENSION_MAX_BODY", 20 * MIB).min(buffer);

        let config = Self {
            upstream: upstreams.into_iter().next().map(Arc::new),
            upstream_mistake,
            dsn,
            faults: reader.faults(),
            allowed_hosts,
            listen,
            buffer,
            max_body,
            timeout: reader.duration("SENTRY_EXTENSION_TIMEOUT", Duration::from_secs(2)),
            proxies: reader.proxies(),
            ca_bundles: ["SENTRY_EXTENSION_CA_BUNDLE", "SSL_CERT_FILE"]
                .into_iter()
                .filter_map(|name| var(name).map(PathBuf::from))
                .collect(),
            relay: reader.relay(),
            sentry_relay_config: var("SENTRY_EXTENSION_RELAY_CONFIG").map(PathBuf::from),
            memory,
            flush: reader.flush(),
            log: reader.level(),
            managed_instances: var("AWS_LAMBDA_INITIALIZATION_TYPE")
                .is_some_and(|kind| kind == "lambda-managed-instances"),
        };
        (config, reader.warnings)
    }

    /// Whether an upstream is one of our own listeners, so that an envelope would go round in circles.
    pub fn is_loop(&self, upstream: &Upstream) -> bool {
        is_loop(&self.listen, upstream)
    }
}

/// A variable of this process, where it is set and not empty: Lambda's console makes empty variables easily.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The ports of `SENTRY_EXTENSION_PORTS`, or the default ones: never none.
pub fn ports(var: impl Fn(&str) -> Option<String>) -> Vec<u16> {
    EnvironmentReader { var: &var, warnings: Vec::new() }.ports()
}

fn is_loop(listen: &[SocketAddr], upstream: &Upstream) -> bool {
    upstream.is_loopback() && listen.iter().any(|addr| addr.port() == upstream.port())
}

fn loopback(ports: &[u16]) -> Vec<SocketAddr> {
    let v4 = ports.iter().map(|port| (Ipv4Addr::LOCALHOST, *port).into());
    let v6 = ports.iter().map(|port| (Ipv6Addr::LOCALHOST, *port).into());
    v4.chain(v6).collect()
}

struct EnvironmentReader<'a> {
    var: &'a dyn Fn(&str) -> Option<String>,
    warnings: Vec<String>,
}

impl EnvironmentReader<'_> {
    fn warn(&mut self, name: &str, what: impl std::fmt::Display, instead: impl std::fmt::Display) {
        self.warnings.push(format!("{name} {what}: {instead}"));
    }

    fn parsed<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, InvalidUrl>) -> Option<T> {
        let text = (self.var)(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.warn(name, why, "it is ignored");
                None
            }
        }
    }

    fn proxies(&mut self) -> Proxies {
        let https = self.proxy("HTTPS_PROXY");
        let http = self.proxy("HTTP_PROXY");
        let exceptions = (self.var)("no_proxy").or_else(|| (self.var)("NO_PROXY")).unwrap_or_default();
        Proxies { https, http, exceptions: Exception::list(&exceptions) }
    }

    /// The lower case counts for more, as it does for curl: it is the older custom.
    fn proxy(&mut self, upper: &str) -> Option<Proxy> {
        let lower = self.parsed(&upper.to_ascii_lowercase(), Proxy::parse);
        lower.or_else(|| self.parsed(upper, Proxy::parse))
    }

    fn list(&self, name: &str) -> Vec<String> {
        let text = (self.var)(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
    }

    fn size(&mut self, name: &str, default: usize) -> usize {
        let Some(text) = (self.var)(name) else { return default };
        units::size(&text).filter(|bytes| *bytes > 0).unwrap_or_else(|| {
            self.warn(name, "is not a size like 16MiB", format_args!("{default} bytes are used"));
            default
        })
    }

    fn duration(&mut self, name: &str, default: Duration) -> Duration {
        let Some(text) = (self.var)(name) else { return default };
        units::duration(&text).filter(|d| !d.is_zero()).unwrap_or_else(|| {
            self.warn(name, "is not a duration like 2s or 1500ms", format_args!("{default:?} is used"));
            default
        })
    }

    fn flush(&mut self) -> FlushMode {
        let Some(text) = (self.var)("SENTRY_EXTENSION_FLUSH") else { return FlushMode::default() };
        FlushMode::parse(&text).unwrap_or_else(|| {
            self.warn("SENTRY_EXTENSION_FLUSH", "is none of auto, end, continuous", "auto is used");
            FlushMode::default()
        })
    }

    fn relay(&mut self) -> RelayMode {
        let Some(text) = (self.var)("SENTRY_EXTENSION_RELAY") else { return RelayMode::default() };
        RelayMode::parse(&text).unwrap_or_else(|| {
            self.warn("SENTRY_EXTENSION_RELAY", "is none of auto, builtin, process, only", "auto is used");
            RelayMode::default()
        })
    }

    fn faults(&mut self) -> FaultKinds {
        const NAME: &str = "SENTRY_EXTENSION_FAULTS";
        let Some(text) = (self.var)(NAME) else { return FaultKinds::ALL };
        let (kinds, unknown) = FaultKinds::parse(&text);
        if unknown.is_empty() {
            return kinds;
        }
        let expected = "has an entry that is none of true, false, timeout, oom, exit, init, sandbox";
        if kinds.is_empty() {
            self.warn(NAME, expected, "true is used");
            return FaultKinds::ALL;
        }
        self.warn(NAME, expected, "it is left out");
        kinds
    }

    fn level(&mut self) -> Level {
        let Some(text) = (self.var)("SENTRY_EXTENSION_LOG") else { return Level::Info };
        Level::parse(&text).unwrap_or_else(|| {
            self.warn("SENTRY_EXTENSION_LOG", "is none of off, error, warn, info, debug", "info is used");
            Level::Info
        })
    }

    fn ports(&mut self) -> Vec<u16> {
        const NAME: &str = "SENTRY_EXTENSION_PORTS";
        let mut ports = Vec::new();
        for text in self.list(NAME) {
            match text.parse::<u16>() {
                Ok(RESERVED_PORT) => self.warn(NAME, "has 9001, which is Lambda's own", "it is left out"),
                Ok(port) if port != 0 && !ports.contains(&port) => ports.push(port),
                Ok(0) | Err(_) => self.warn(NAME, "has an entry that is no port", "it is left out"),
                Ok(_) => {}
            }
        }
        if ports.is_empty() { DEFAULT_PORTS.to_vec() } else { ports }
    }
}

#[cfg(test)]
mod tests;
