//! A registry for container images: Debian's `docker-registry`, one process for each test, and a server in front of it
//! that the test can make misbehave.

use super::{
    emulator::free_port,
    http::{Message, exchange},
};
use std::{
    fs,
    io::Write,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The only user of a registry with passwords. The hash is a known answer of bcrypt.
pub const USER: &str = "team";
pub const PASSWORD: &str = "U*U";
const HASH: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

/// The registry. It ends when it is dropped.
pub struct ImageRegistry {
    address: String,
    process: Child,
    _folder: TempDir,
}

impl ImageRegistry {
    /// A registry to which everybody may push.
    pub fn open() -> Self {
        Self::start("")
    }

    /// A registry that asks for a password.
    pub fn with_password() -> Self {
        Self::start("auth:\n  htpasswd:\n    realm: test\n    path: FOLDER/htpasswd\n")
    }

    fn start(auth: &str) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let program = program.join(".tools/docker-registry/usr/bin/docker-registry");
        assert!(program.exists(), "{} is missing: run ci/test, which sets it up", program.display());
        let folder = tempfile::tempdir().unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        fs::write(folder.path().join("htpasswd"), format!("{USER}:{HASH}\n")).unwrap();
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: FOLDER/data\n\
             http:\n  addr: {address}\n{auth}"
        );
        let file = folder.path().join("config.yml");
        fs::write(&file, config.replace("FOLDER", folder.path().to_str().unwrap())).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new(program)
            .arg("serve")
            .arg(&file)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let registry = Self { address, process, _folder: folder };
        let deadline = Instant::now() + Duration::from_mins(1);
        while registry.get("").is_none() {
            assert!(Instant::now() < deadline, "the registry is not ready after a minute");
            // A port gives no signal when it opens, so the test has to try again.
            thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    /// The host and port, as they stand in the name of an image.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The answer to a request below `/v2/`, or none if there is no answer.
    pub fn get(&self, path: &str) -> Option<Message> {
        let accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json";
        let head = format!(
            "GET /v2/{path} HTTP/1.1\r\nhost: {}\r\naccept: {accept}\r\nconnection: close\r\n\r\n",
            self.address
        );
        exchange(&self.address, &head, &[]).ok()
    }
}

impl Drop for ImageRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the server in front does with a request.
pub enum Reply {
    /// Gives it to the registry, and the answer back.
    Forward,
    /// Gives it to the registry, and answers with this body instead of the real one.
    Rewrite(Vec<u8>),
    /// Answers with this status, these headers (each ends with CR LF) and this body.
    Answer(u16, String, String),
    /// Closes the connection without an answer.
    Cut,
}

/// A server in front of a registry. Its threads end with the test process.
pub struct Front {
    address: String,
    requests: Arc<Mutex<Vec<Message>>>,
}

impl Front {
    /// `rule` gets each request and its number, from 1.
    pub fn new(
        registry: &ImageRegistry,
        rule: impl FnMut(&Message, usize) -> Reply + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let requests = Arc::<Mutex<Vec<Message>>>::default();
        let (upstream, log) = (registry.address.clone(), Arc::clone(&requests));
        let rule = Arc::new(Mutex::new(rule));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (upstream, log, rule) = (upstream.clone(), Arc::clone(&log), Arc::clone(&rule));
                thread::spawn(move || {
                    let mut stream = stream;
                    let Ok(request) = Message::read(&mut stream, false) else { return };
                    let number = {
                        let mut log = log.lock().unwrap();
                        log.push(request.clone());
                        log.len()
                    };
                    let reply = (rule.lock().unwrap())(&request, number);
                    let answer = match reply {
                        Reply::Cut => return,
                        Reply::Answer(status, headers, body) => response(status, &headers, body.as_bytes()),
                        Reply::Forward => forward(&upstream, &request),
                        Reply::Rewrite(body) => {
                            forward(&upstream, &request);
                            response(200, "", &body)
                        }
                    };
                    // A client that has seen enough closes the connection. That is no error.
                    let _ = stream.write_all(&answer);
                });
            }
        });
        Self { address, requests }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// The requests so far whose first line contains `text`.
    pub fn requests(&self, text: &str) -> Vec<Message> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|request| line(request).contains(text)).cloned().collect()
    }
}

/// The method and the path of a request.
pub fn line(request: &Message) -> &str {
    request.head.lines().next().unwrap_or_default()
}

fn forward(upstream: &str, request: &Message) -> Vec<u8> {
    let (first, headers) = request.head.split_once("\r\n").unwrap();
    // The registry knows nothing of the tokens of the server in front.
    let keep = |line: &&str| {
        let line = line.to_ascii_lowercase();
        !line.is_empty() && !line.starts_with("authorization: bearer") && !line.starts_with("connection:")
    };
    let headers: Vec<&str> = headers.lines().filter(keep).collect();
    let head = format!("{first}\r\nconnection: close\r\n{}\r\n\r\n", headers.join("\r\n"));
    let answer = exchange(upstream, &head, &request.body).unwrap();
    [answer.head.as_bytes(), &answer.body].concat()
}

fn response(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// Runs an image tool of the distribution, which has to succeed. Returns what it printed.
#[track_caller]
pub fn tool(program: &str, args: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let Output { status, stdout, stderr } = Command::new(program)
        .args(args)
        .env("HOME", home.path())
        .env_remove("DOCKER_CONFIG")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be run ({error}): ci/test installs it"));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(status.success(), "{program} {args:?}\n{}\n{}", text(&stdout), text(&stderr));
    text(&stdout)
}

/// Copies the image of one architecture out of a place that skopeo knows, and unpacks it. Returns its root folder.
pub fn unpacked(from: &str, arch: &str, into: &Path) -> PathBuf {
    let layout = into.join("layout");
    let copy = format!("oci:{}:one", layout.display());
    tool(
        "skopeo",
        &["--insecure-policy", "--override-arch", arch, "copy", "--src-tls-verify=false", from, &copy],
    );
    let bundle = into.join("bundle");
    let image = format!("{}:one", layout.display());
    tool("umoci", &["unpack", "--rootless", "--image", &image, bundle.to_str().unwrap()]);
    bundle.join("rootfs")
}
