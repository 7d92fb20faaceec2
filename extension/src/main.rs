//! Parses the arguments, reads the config, binds the listeners, and starts the lifecycle.

use sentry_lambda_extension::cli::{self, Mode, Tail};
use sentry_lambda_extension::config::{self, Config, Overrides};
use sentry_lambda_extension::gateway::{self, Api, Otlp, Sockets};
use sentry_lambda_extension::insights::Insights;
use sentry_lambda_extension::lifecycle::{self, ExtensionName, Lifecycle, RuntimeApi};
use sentry_lambda_extension::relay::Relay;
use sentry_lambda_extension::{log, port_claim, sentry_relay, signals, tail, task, version, wrapper};
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The time in which a standalone relay drains. Container runtimes kill a process ten seconds after they ask it to end.
const STANDALONE_DRAIN: Duration = Duration::from_secs(8);

/// The log's message for each address.
const LISTENING: &str = "listening";

const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    let code = run_as_called();
    log::flush();
    code
}

/// Runs in the mode that the program's name and its arguments select.
fn run_as_called() -> ExitCode {
    let mut args = std::env::args_os();
    if args.next().is_some_and(|program| wrapper::is_called(&program)) {
        let error = wrapper::become_runtime(args);
        return fail_as(wrapper::NAME, error.code(), &error.to_string());
    }
    if let Some(done) = sentry_relay::become_sentry_relay(args) {
        return done;
    }
    match cli::parse(std::env::args_os().skip(1)) {
        Ok(Mode::Help) => print(cli::HELP),
        Ok(Mode::Version) => print(&format!("sentry-lambda-extension {}", version())),
        Ok(Mode::Standalone(overrides, tail)) => {
            if tail.is_some() {
                log::go_to_stderr();
            }
            match signals::notify_of_end() {
                Ok(end) => run(standalone(configure(overrides), tail, &end))
                    .unwrap_or_else(|error| fail(EXIT_FAILED, &format!("cannot start: {error}"))),
                Err(error) => fail(EXIT_FAILED, &format!("cannot wait for signals: {error}")),
            }
        }
        Ok(Mode::Lambda) => match config::variable("AWS_LAMBDA_RUNTIME_API") {
            Some(api) => {
                signals::block();
                in_lambda(&RuntimeApi(api))
            }
            None => fail(
                EXIT_USAGE,
                "AWS_LAMBDA_RUNTIME_API is not set: this is not AWS Lambda; use --standalone to run without it",
            ),
        },
        Err(error) => fail(EXIT_USAGE, &error.to_string()),
    }
}

fn configure(overrides: Overrides) -> Config {
    let (config, warnings) = Config::read(config::variable, overrides);
    log::set_level(config.log);
    task::log_panics();
    for warning in warnings {
        log::warn(&warning, &[]);
    }
    config
}

fn run<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    // A name lookup that is still under way blocks a thread. Do not wait for it: its result is not needed any more.
    runtime.shutdown_background();
    Ok(done)
}

/// Runs as a Lambda extension. If the start fails or panics, the process still takes Lambda's events until SHUTDOWN,
/// because an extension that exits early fails the function.
fn in_lambda(api: &RuntimeApi) -> ExitCode {
    let work = || run(lambda(api.clone(), configure(Overrides::default())));
    let failure = match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "a panic".to_owned(),
    };
    log::error("cannot start: idles until SHUTDOWN", &[("error", &failure)]);
    lifecycle::fallback(api, &extension_name());
    ExitCode::SUCCESS
}

/// Runs as a Lambda extension until SHUTDOWN.
async fn lambda(api: RuntimeApi, config: Config) {
    let sockets = gateway::bind(&config.listen);
    let otlp = bind_otlp(&config);
    let _claims = claim(&sockets.0);
    let config = Arc::new(config);
    let relay = start_relay(&config);
    let insights = Insights::start(&config, &relay);
    let life = Arc::new(Lifecycle::new(api, extension_name(), &config, insights.clone()));
    // This comes first because everything before `/register` adds to the cold start. The lifecycle has a task of its
    // own, so that a panic ends the task and not the process.
    let running = task::restart_on_panic("lifecycle", {
        let relay = relay.clone();
        move || Arc::clone(&life).run(relay.clone())
    });
    // Lets the lifecycle send `/register` before anything is logged.
    tokio::task::yield_now().await;
    serve(sockets, &Api::Sentry, &config, &relay, insights.as_ref());
    if let Some((sockets, api)) = otlp {
        serve(sockets, &api, &config, &relay, insights.as_ref());
    }
    running.await;
}

/// Runs without Lambda until SIGTERM, SIGINT or SIGHUP arrives. Prints what passes if `tail` says how.
async fn standalone(config: Config, tail: Option<Tail>, end: &Notify) -> ExitCode {
    let sockets = gateway::bind(&config.listen);
    if sockets.0.is_empty() {
        gateway::report(LISTENING, &sockets);
        return fail(EXIT_FAILED, "no address to listen on: name a free one with --listen");
    }
    let _claims = claim(&sockets.0);
    let relay = start_relay(&config);
    if let Some(tail) = tail {
        tail::follow(&relay, tail);
    }
    let config = Arc::new(config);
    serve(sockets, &Api::Sentry, &config, &relay, None);
    if let Some((sockets, api)) = bind_otlp(&config) {
        serve(sockets, &api, &config, &relay, None);
    }
    end.notified().await;
    log::info("shutting down", &[("reason", &"signal")]);
    // A second signal ends the drain at once.
    tokio::select! { () = relay.drain(STANDALONE_DRAIN) => {}, () = end.notified() => {} }
    relay.log_ledger();
    ExitCode::SUCCESS
}

/// Claims the ports of the bound sockets. Must run before `/register`, because Lambda starts the wrapper after it.
fn claim(bound: &[TcpListener]) -> port_claim::PortClaims {
    port_claim::claim(bound.iter().filter_map(|listener| listener.local_addr().ok()))
}

/// Starts the relay. It delivers through Sentry's Relay if the layer contains that program and the settings want it.
fn start_relay(config: &Config) -> Relay {
    if !sentry_relay::is_wanted(config) {
        return Relay::start(config);
    }
    let relay = Relay::start_behind_sentry_relay(config);
    sentry_relay::supervise(&relay, config);
    relay
}

/// Binds the port for OTLP, if a setting names one.
fn bind_otlp(config: &Config) -> Option<(Sockets, Api)> {
    let addresses = &config.listen_otlp;
    (!addresses.is_empty()).then(|| (gateway::bind(addresses), Api::Otlp(Otlp::new())))
}

fn serve(sockets: Sockets, api: &Api, config: &Arc<Config>, relay: &Relay, insights: Option<&Insights>) {
    let message = if matches!(api, Api::Sentry) { LISTENING } else { "listening for OpenTelemetry" };
    gateway::report(message, &sockets);
    for listener in sockets.0 {
        match tokio::net::TcpListener::from_std(listener).map(Arc::new) {
            Ok(listener) => {
                let (api, config) = (api.clone(), Arc::clone(config));
                let (relay, insights) = (relay.clone(), insights.cloned());
                task::supervise("listener", move || {
                    let (api, config, relay) = (api.clone(), Arc::clone(&config), relay.clone());
                    gateway::serve(Arc::clone(&listener), api, config, relay, insights.clone())
                });
            }
            Err(error) => log::error("cannot serve a listener", &[("error", &error)]),
        }
    }
}

/// Returns the name to register with: Lambda requires the base name of the extension's file.
fn extension_name() -> ExtensionName {
    let path = std::env::args_os().next().unwrap_or_default();
    let base = Path::new(&path).file_name().map(|name| name.to_string_lossy().into_owned());
    ExtensionName(base.unwrap_or_else(|| "sentry-lambda-extension".to_owned()))
}

fn print(text: &str) -> ExitCode {
    // An error here means that the reader has closed the pipe, so there is nobody to tell.
    let _ = writeln!(std::io::stdout(), "{text}");
    ExitCode::SUCCESS
}

fn fail(code: u8, text: &str) -> ExitCode {
    fail_as("sentry-lambda-extension", code, text)
}

fn fail_as(name: &str, code: u8, text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{name}: {text}");
    ExitCode::from(code)
}
