//! ministack and moto: one process of each for the whole test binary, on a free port.

use super::http::exchange;
use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

/// An emulator of AWS.
pub struct Emulator {
    address: String,
    // Its stdin is what keeps the emulator alive; see `start`.
    _keeper: Child,
}

impl Emulator {
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// The main peer: an account for each access key, permissions that count, signatures that do not.
pub fn ministack() -> &'static Emulator {
    static PROCESS: OnceLock<Emulator> = OnceLock::new();
    PROCESS.get_or_init(|| start_ministack("ministack", &[]))
}

/// The same, with signatures and keys that count.
pub fn strict_ministack() -> &'static Emulator {
    static PROCESS: OnceLock<Emulator> = OnceLock::new();
    PROCESS.get_or_init(|| start_ministack("ministack-strict", &[("AUTH", "true")]))
}

/// The second opinion: it knows the partitions.
pub fn moto() -> &'static Emulator {
    static PROCESS: OnceLock<Emulator> = OnceLock::new();
    PROCESS.get_or_init(|| {
        let port = free_port();
        start("moto", "moto_server", &["-H", "127.0.0.1", "-p", &port.to_string()], &[], port, "/moto-api/")
    })
}

fn start_ministack(name: &str, more: &[(&str, &str)]) -> Emulator {
    let port = free_port();
    let text = port.to_string();
    let mut env =
        vec![("GATEWAY_PORT", text.as_str()), ("BIND_HOST", "127.0.0.1"), ("MINISTACK_HOST", "127.0.0.1")];
    env.extend(more);
    start(name, "ministack", &[], &env, port, "/_ministack/health")
}

fn start(
    name: &str,
    program: &str,
    args: &[&str],
    env: &[(&str, &str)],
    port: u16,
    health: &str,
) -> Emulator {
    let program = tools().join(program);
    assert!(program.exists(), "{} is missing: run ci/test, which sets it up", program.display());
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let log = folder.join(format!("{name}.log"));
    let output = File::create(&log).unwrap();
    // Whatever ends the test process also closes the keeper's stdin, and the keeper ends the emulator by its
    // process id: a static is never dropped, and a test that is killed drops nothing.
    let keeper = Command::new("sh")
        .args(["-c", r#""$@" </dev/null & pid=$!; cat >/dev/null; kill $pid; wait $pid"#, "keeper"])
        .arg(&program)
        .args(args)
        .envs(env.iter().copied())
        .env_remove("AWS_ENDPOINT_URL")
        .current_dir(&folder)
        .stdin(Stdio::piped())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let emulator = Emulator { address: format!("127.0.0.1:{port}"), _keeper: keeper };
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let head = format!("GET {health} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        if exchange(&emulator.address, &head, &[]).is_ok_and(|answer| answer.status() == 200) {
            return emulator;
        }
        let log = || std::fs::read_to_string(&log).unwrap_or_default();
        assert!(Instant::now() < deadline, "{name} is not ready after two minutes; it said:\n{}", log());
        // There is no event to wait for: a port that is not open yet does not announce itself.
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Where ci/test installs the emulators.
pub fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(".tools/aws/bin")
}
