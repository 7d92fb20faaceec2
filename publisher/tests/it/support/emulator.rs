//! Starts ministack and moto, the emulators of AWS. The whole test binary shares one process of each, on a free port.

use super::http::exchange;
use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

pub struct Emulator {
    address: String,
    // The emulator runs as long as this process's stdin is open. See `start`.
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

/// The emulator that most tests use. Each access key is an account of its own, and permissions are enforced, but
/// signatures are not checked.
pub fn ministack() -> &'static Emulator {
    static PROCESS: OnceLock<Emulator> = OnceLock::new();
    PROCESS.get_or_init(|| start_ministack("ministack", &[]))
}

/// A ministack that also checks signatures and keys.
pub fn strict_ministack() -> &'static Emulator {
    static PROCESS: OnceLock<Emulator> = OnceLock::new();
    PROCESS.get_or_init(|| start_ministack("ministack-strict", &[("AUTH", "true")]))
}

/// The second emulator. It knows the other partitions of AWS.
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
    // The end of the test process closes the keeper's stdin, however it ends. The keeper then ends the emulator by its
    // process id. A destructor could not do this: a static is never dropped, and a killed process drops nothing.
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
        // A port gives no signal when it opens, so the test has to try again.
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A port on which no process listens.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The folder into which ci/test installs the emulators.
pub fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(".tools/aws/bin")
}
