//! AWS's Runtime Interface Emulator with a layer in `/opt`, in a sandbox: own mounts and processes, uid 993, no new
//! privileges, read-only `/opt`. It has to be started in a network of its own (`netns`).

use super::{
    HANG,
    emulation::Emulation,
    function::Function,
    http,
    log::Log,
    memory_limit::MemoryLimit,
    tools::{self, Arch},
};
use hyper::{Method, StatusCode, body::Bytes};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};
use serde_json::Value;
use std::{
    ffi::OsString,
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::process::{Child, Command};

/// The address for invokes.
const INVOKE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
/// The address of the Runtime API, with the port that Lambda uses.
const RUNTIME_API: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9001);

/// A running RIE. Dropping it kills everything that it started.
pub struct Rie {
    /// `unshare`, which waits for RIE.
    sandbox: Child,
    /// Output of RIE, the runtime and the extension.
    pub log: Log,
    readers: [tokio::task::JoinHandle<()>; 2],
    _folder: tempfile::TempDir,
}

impl Rie {
    /// Unpacks the layer, starts RIE and waits until it can be invoked.
    pub async fn start(arch: Arch, function: Function) -> Self {
        let folder = tempfile::Builder::new().prefix("rie-").tempdir().unwrap();
        let layer = folder.path().join("layer");
        unpack(&arch.layer_zip(), &layer);
        for (name, mode, content) in &function.layered {
            let file = layer.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(*mode)).unwrap();
        }
        let stage = folder.path().join("stage");
        fs::create_dir(&stage).unwrap();

        let emulation = Emulation::of(arch, &layer.join("extensions/sentry-lambda-extension"));
        emulation.prepare(&layer);
        let mut words: Vec<OsString> = vec![stage.into()];
        let fixed = [(layer, "layer"), (arch.rie(), "bin/rie")];
        for (source, name) in fixed.into_iter().chain(function.mounts) {
            words.extend([source.into(), name.into()]);
        }
        words.push("--".into());
        if !function.as_root {
            let user = ["setpriv", "--reuid=993", "--regid=990", "--clear-groups", "--no-new-privs"];
            words.extend(user.map(OsString::from));
        }
        words.extend(emulation.prefix());
        words.extend(["env", "-i"].map(OsString::from));
        words.extend(function.environment.iter().map(|(name, value)| format!("{name}={value}").into()));
        words.extend(emulation.interpreter().map(OsString::from));
        words.extend(["/mnt/bin/rie", "--log-level", "info"].map(OsString::from));
        for (flag, address) in
            [("--runtime-interface-emulator-address", INVOKE), ("--runtime-api-address", RUNTIME_API)]
        {
            words.extend([flag.into(), address.to_string().into()]);
        }
        words.extend(function.command.into_iter().map(OsString::from));

        let mut sandbox = Command::new(tools::program("unshare"))
            .args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["sh", "-c", include_str!("sandbox.sh"), "sandbox.sh"])
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = Log::new();
        let readers =
            [log.collect(sandbox.stdout.take().unwrap()), log.collect(sandbox.stderr.take().unwrap())];
        let mut rie = Self { sandbox, log, readers, _folder: folder };
        rie.ready().await;
        rie
    }

    /// Waits until RIE listens on both addresses. RIE does not announce that, so it is polled.
    async fn ready(&mut self) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.sandbox.try_wait().unwrap() {
                panic!("the sandbox ended early ({status}):\n{}", self.log.text());
            }
            match http::request(RUNTIME_API, Method::GET, "/2018-06-01/ping", &[], "").await {
                Ok((StatusCode::OK, body))
                    if body == "pong" && tokio::net::TcpStream::connect(INVOKE).await.is_ok() =>
                {
                    return;
                }
                other => assert!(start.elapsed() < HANG, "no pong: {other:?}\n{}", self.log.text()),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Invokes the function and returns its response. It takes `&mut` because RIE accepts one invoke at a time.
    pub async fn invoke(&mut self, event: &Value) -> Value {
        let (status, body) = self.invoke_unchecked(event).await;
        assert_eq!(status, 200, "{}\n{}", String::from_utf8_lossy(&body), self.log.text());
        serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{error}: {body:?}\n{}", self.log.text()))
    }

    /// Invokes a function that may not survive it, and returns whatever RIE answers.
    pub async fn invoke_unchecked(&mut self, event: &Value) -> (StatusCode, Bytes) {
        self.invoke_beside_others(event).await
    }

    /// Does the same while other requests may run, as RIE allows for Lambda Managed Instances only.
    pub async fn invoke_beside_others(&self, event: &Value) -> (StatusCode, Bytes) {
        let path = "/2015-03-31/functions/function/invocations";
        let answer = http::request(INVOKE, Method::POST, path, &[], event.to_string());
        let Ok(answer) = tokio::time::timeout(HANG, answer).await else {
            panic!("no answer to the invoke within {HANG:?}:\n{}", self.log.text())
        };
        answer.unwrap_or_else(|error| panic!("invoke: {error}\n{}", self.log.text()))
    }

    /// Puts RIE, and all that it starts from now on, under a limit of memory.
    pub fn limit_memory(&self, bytes: u64) -> MemoryLimit {
        MemoryLimit::of(self.rie().expect("already ended").as_raw(), bytes)
    }

    /// Asks RIE to end. RIE sends SHUTDOWN to the extension, as Lambda does at spin-down.
    pub fn terminate(&self) {
        signal::kill(self.rie().expect("already ended"), Signal::SIGTERM).unwrap();
    }

    /// Returns the process of RIE itself. It is the first of its process namespace, so its end kills all others in it.
    fn rie(&self) -> Option<Pid> {
        let unshare = self.sandbox.id()?;
        // RIE is the only child of `unshare`.
        let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).ok()?;
        children.trim().parse().ok().map(Pid::from_raw)
    }

    /// Waits for the end after `terminate`, and returns the complete log.
    pub async fn ended(mut self) -> Log {
        let Ok(status) = tokio::time::timeout(HANG, self.sandbox.wait()).await else {
            panic!("RIE still runs {HANG:?} after SIGTERM:\n{}", self.log.text())
        };
        let status = status.unwrap();
        for reader in &mut self.readers {
            reader.await.unwrap();
        }
        assert!(status.success(), "RIE ended with {status}:\n{}", self.log.text());
        self.log.clone()
    }
}

/// Unpacks a layer as Lambda does: modes and links as in the zip, and folders that the zip does not list are readable
/// for everyone.
pub fn unpack(zip: &Path, folder: &Path) {
    let script = r#"umask 022; exec "$0" -q "$1" -d "$2""#;
    let mut unzip = std::process::Command::new("sh");
    unzip.args(["-c", script]).arg(tools::program("unzip")).arg(zip).arg(folder);
    let status = unzip.status().unwrap();
    assert!(status.success(), "unzip {}: {status}", zip.display());
}

impl Drop for Rie {
    fn drop(&mut self) {
        // Killing `unshare` is not enough: when `setpriv` changes the user, the kernel clears the signal for the
        // parent's end.
        if let Some(rie) = self.rie() {
            let _ = signal::kill(rie, Signal::SIGKILL);
        }
        // The log shows the reason of the failure.
        if std::thread::panicking() {
            eprintln!("---- log of the environment:\n{}\n----", self.log.text());
        }
    }
}
