//! Reads the environment into a [`Config`] and a list of warnings. It is pure and never fails: an invalid setting falls
//! back to its default and adds a warning.

mod allowed_hosts;
mod dsn;
mod faults;
mod function;
mod headers;
mod host;
mod insights;
mod modes;
mod monitor;
mod proxy;
mod reader;
mod schedule;
mod units;
mod upstream;

pub use allowed_hosts::AllowedHosts;
pub use dsn::{Dsn, ProjectId, PublicKey};
pub use faults::{FaultKind, FaultKinds};
pub use function::Function;
pub use headers::UpstreamHeaders;
pub use insights::{FunctionLogs, InsightsSettings, SpanMode};
pub use modes::{FlushMode, RelayMode};
pub use monitor::MonitorSettings;
pub use proxy::{Exception, Proxies, Proxy};
pub use schedule::Schedule;
pub use upstream::{InvalidUrl, Scheme, Upstream};

use crate::log::Level;
use reader::EnvironmentReader;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const MIB: usize = 1 << 20;
/// The memory that is assumed, in bytes, if the environment does not tell the function's memory.
const UNKNOWN_MEMORY: usize = 1024 * MIB;
/// Survives in the environment when Lambda resets it after a fault. Nothing else can be written to there.
const SPOOL: &str = "/tmp/.sentry-lambda-extension";
/// Replaces it where tests run side by side. Lambda refuses variables whose names begin with `_`.
const SPOOL_IN_TESTS: &str = "_SENTRY_EXTENSION_SPOOL";

/// Lambda's name for an init ahead of time.
pub const PROVISIONED: &str = "provisioned-concurrency";

/// All settings of the extension. `docs/settings.md` lists their names and defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The Sentry that the settings name. It receives what does not name another one itself.
    pub upstream: Option<Arc<Upstream>>,
    /// Whether it receives everything, because `SENTRY_EXTENSION_UPSTREAM` names it. Otherwise the `dsn` in an
    /// envelope's header takes precedence.
    pub upstream_takes_all: bool,
    /// A text that says which setting points at this extension itself. The SDK gets it if no other upstream is known.
    pub upstream_mistake: Option<String>,
    /// The project that gets the extension's own events.
    pub dsn: Option<Arc<Dsn>>,
    /// The kinds of faults that are reported.
    pub faults: FaultKinds,
    /// What else the extension itself reports.
    pub insights: InsightsSettings,
    /// The hosts that an envelope's `dsn` may name.
    pub allowed_hosts: AllowedHosts,
    /// The addresses to listen on. In Lambda they are loopback addresses.
    pub listen: Vec<SocketAddr>,
    /// The addresses to listen on for OpenTelemetry's protocol. There are none unless a setting names a port.
    pub listen_otlp: Vec<SocketAddr>,
    /// The largest size of the queue, in bytes.
    pub buffer: usize,
    /// The largest decompressed envelope, in bytes.
    pub max_body: usize,
    /// The longest time that one request to upstream may take, from connecting to the response.
    pub timeout: Duration,
    /// The headers for every request upstream.
    pub headers: UpstreamHeaders,
    /// The proxies between the extension and upstream.
    pub proxies: Proxies,
    /// PEM files with additional root certificates, or folders of such files.
    pub ca_bundles: Vec<PathBuf>,
    /// Whether Sentry's Relay or the built-in relay sends envelopes to upstream.
    pub relay: RelayMode,
    /// A `config.yml` for Sentry's Relay, or the folder that contains one. It replaces the layer's own.
    pub sentry_relay_config: Option<PathBuf>,
    /// The function's memory, in bytes. It is a guess if the environment does not tell it.
    pub memory: usize,
    /// The mode that decides when `/next` waits for deliveries.
    pub flush: FlushMode,
    /// The most detailed level that is logged.
    pub log: Level,
    /// Whether the function runs on Lambda Managed Instances, where INVOKE cannot be registered.
    pub managed_instances: bool,
    /// Whether the environment was initialized ahead of time, for provisioned concurrency.
    pub provisioned: bool,
    /// The folder for faults that could not be delivered before the process ended.
    pub spool: PathBuf,
}

/// The values that the command line of `--standalone` sets instead of the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The addresses to listen on. If it is empty, the loopback addresses with `SENTRY_EXTENSION_PORTS` are used.
    pub listen: Vec<SocketAddr>,
    /// The upstream that replaces `SENTRY_EXTENSION_UPSTREAM`.
    pub upstream: Option<Upstream>,
}

impl Config {
    /// Reads the settings through `var`, which returns a variable's value if it is set and not empty.
    /// A warning says what is wrong with a setting and what is done instead. Warnings contain no secrets.
    pub fn read(var: impl Fn(&str) -> Option<String>, overrides: Overrides) -> (Self, Vec<String>) {
        let mut reader = EnvironmentReader { var: &var, warnings: Vec::new() };

        let listen = if overrides.listen.is_empty() { loopback(&reader.ports()) } else { overrides.listen };
        let listen_otlp = reader.otlp_port(&listen).map_or_else(Vec::new, |port| loopback(&[port]));
        let own = [&listen[..], &listen_otlp].concat();
        let explicit =
            overrides.upstream.or_else(|| reader.parsed("SENTRY_EXTENSION_UPSTREAM", Upstream::parse));
        let extension_dsn = reader.parsed("SENTRY_EXTENSION_DSN", Dsn::parse);
        let sentry_dsn = reader.parsed("SENTRY_DSN", Dsn::parse);
        let upstream_of = |dsn: &Option<Dsn>| dsn.as_ref().map(|dsn| dsn.upstream.clone());

        let mut upstreams = Vec::new();
        let mut upstream_mistake = None;
        let upstream_takes_all = explicit.as_ref().is_some_and(|upstream| !is_loop(&own, upstream));
        for (name, upstream) in [
            ("SENTRY_EXTENSION_UPSTREAM", explicit),
            ("SENTRY_EXTENSION_DSN", upstream_of(&extension_dsn)),
            ("SENTRY_DSN", upstream_of(&sentry_dsn)),
        ] {
            match upstream {
                // It is no mistake if a setting before it names the upstream. The SDK also reads SENTRY_DSN, and may be
                // meant to send to this extension.
                Some(upstream) if is_loop(&own, &upstream) => {
                    let shadowed = !upstreams.is_empty();
                    if !shadowed {
                        let mistake = format!(
                            "{name} points at this extension itself ({upstream}): \
                             put the real DSN into SENTRY_EXTENSION_DSN"
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
        let dsns = [extension_dsn, sentry_dsn].into_iter().flatten();
        let dsn = dsns.filter(|dsn| is_project(dsn) && !is_loop(&own, &dsn.upstream)).map(Arc::new).next();
        let mut allowed_hosts = AllowedHosts::new(&upstreams);
        for (at, pattern) in reader.list("SENTRY_EXTENSION_ALLOWED_HOSTS").into_iter().enumerate() {
            if let Err(mistake) = allowed_hosts.add(&pattern) {
                let what = format_args!("has an entry (number {}) that {mistake}", at + 1);
                reader.warn("SENTRY_EXTENSION_ALLOWED_HOSTS", what, "it is ignored");
            }
        }

        let memory = var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|m| m.parse::<usize>().ok());
        let most = memory.map_or(usize::MAX, |mib| mib.saturating_mul(MIB) / 2);
        let memory = memory.map_or(UNKNOWN_MEMORY, |mib| mib.saturating_mul(MIB));
        let default_buffer = (memory / 16).max(4 * MIB);
        let mut buffer = reader.size("SENTRY_EXTENSION_BUFFER", default_buffer);
        if buffer > most.max(default_buffer) {
            buffer = most.max(default_buffer);
            let instead = format!("{buffer} bytes are used");
            reader.warn("SENTRY_EXTENSION_BUFFER", "is more than half of the function's memory", instead);
        }
        let max_body = reader.size("SENTRY_EXTENSION_MAX_BODY", 20 * MIB).min(buffer);

        let insights = InsightsSettings::read(&mut reader);
        if insights.need_function_records() && dsn.is_none() {
            let name =
                if insights.errors { "SENTRY_EXTENSION_ERRORS" } else { "SENTRY_EXTENSION_FUNCTION_LOGS" };
            reader.warn(name, "needs a project: set SENTRY_DSN", "nothing of it is sent");
        }
        if !listen_otlp.is_empty() && dsn.is_none() {
            reader.warn(
                "SENTRY_EXTENSION_OTLP_PORT",
                "needs a project: set SENTRY_DSN",
                "all requests are refused",
            );
        }

        let initialization_type = var("AWS_LAMBDA_INITIALIZATION_TYPE").unwrap_or_default();
        let config = Self {
            upstream: upstreams.into_iter().next().map(Arc::new),
            upstream_takes_all,
            upstream_mistake,
            dsn,
            faults: reader.faults(),
            insights,
            allowed_hosts,
            listen,
            listen_otlp,
            buffer,
            max_body,
            timeout: reader.duration("SENTRY_EXTENSION_TIMEOUT", Duration::from_secs(2)),
            headers: reader.headers(),
            proxies: reader.proxies(),
            ca_bundles: reader.ca_bundles(),
            relay: reader.relay(),
            sentry_relay_config: var("SENTRY_EXTENSION_RELAY_CONFIG").map(PathBuf::from),
            memory,
            flush: reader.flush(),
            log: reader.level(),
            managed_instances: initialization_type == "lambda-managed-instances",
            provisioned: initialization_type == PROVISIONED,
            spool: var(SPOOL_IN_TESTS).unwrap_or_else(|| SPOOL.to_owned()).into(),
        };
        (config, reader.warnings)
    }

    /// Whether an upstream is one of our own listeners. An envelope for it would come back to the extension for ever.
    pub fn is_loop(&self, upstream: &Upstream) -> bool {
        is_loop(&self.listen, upstream) || is_loop(&self.listen_otlp, upstream)
    }
}

/// Returns an environment variable that is set and not empty. Lambda's console makes it easy to leave one empty.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the ports of `SENTRY_EXTENSION_PORTS`, or the default ports if it has none. The list is never empty.
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

#[cfg(test)]
mod tests;
