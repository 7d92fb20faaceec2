//! Mounts an `/opt` with Sentry's Relay, in a mount namespace of its own. Only the test's thread and the processes
//! that it starts see it.

use super::{HANG, tools};
use nix::{
    sched::{CloneFlags, unshare},
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use std::{
    fs,
    ops::Deref,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// A scripted program that takes the place of Sentry's Relay.
pub const STAND_IN: &str = include_str!("../../fixtures/relay/stand-in.py");

const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// A layer, with or without a program in the place of Sentry's Relay.
pub struct Layer {
    folder: tempfile::TempDir,
    story: Story,
}

/// The events that a stand-in writes about itself.
pub struct Story(PathBuf);

impl Layer {
    /// Makes a layer with this file as Sentry's Relay, in this mode. It has to be called on the thread of an
    /// `isolated` test.
    pub fn with(binary: &[u8], mode: u32) -> Self {
        let layer = Self::empty();
        let relay = layer.path("relay/relay");
        fs::write(&relay, binary).unwrap();
        fs::set_permissions(&relay, fs::Permissions::from_mode(mode)).unwrap();
        layer
    }

    /// Makes a layer with the stand-in. `lives` says how it behaves in each of its lives, and `delay` how long it
    /// takes for a delivery.
    pub fn stand_in(lives: &[&str], delay: Duration) -> Self {
        let layer = Self::with(STAND_IN.as_bytes(), 0o755);
        layer.configure(&layer.story.configuration(lives, delay));
        layer
    }

    /// Makes a layer without Sentry's Relay.
    pub fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("layer-").tempdir().unwrap();
        fs::create_dir(folder.path().join("relay")).unwrap();
        unshare(CloneFlags::CLONE_NEWNS).expect("no mount namespace (CAP_SYS_ADMIN is missing)");
        mount(&["--make-rprivate", "/"]);
        mount(&["--bind", folder.path().to_str().unwrap(), "/opt"]);
        let story = Story(folder.path().join("events"));
        Self { folder, story }
    }

    /// Writes `relay/config.yml`.
    pub fn configure(&self, text: &str) {
        fs::write(self.path("relay/config.yml"), text).unwrap();
    }

    /// Returns the content of `relay/config.yml`.
    pub fn configuration(&self) -> String {
        fs::read_to_string(self.path("relay/config.yml")).unwrap()
    }

    /// Where a file of the layer is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether the process that wrote this event still runs.
    pub fn runs(event: &Value) -> bool {
        Self::state(event).is_some_and(|state| state != 'Z')
    }

    /// Sends a signal to a process of this event's.
    pub fn signal(event: &Value, signal: Signal) {
        let process = i32::try_from(event["pid"].as_i64().unwrap()).unwrap();
        kill(Pid::from_raw(process), signal).unwrap();
    }

    /// Waits until it does not run any more. Whoever adopts what the extension leaves behind may not reap it.
    pub async fn ended(event: &Value) {
        until(|| !Self::runs(event), "it still runs").await;
    }

    /// Waits until nothing is left of it: the extension, which goes on, has to reap what it has started.
    pub async fn reaped(event: &Value) {
        until(|| Self::state(event).is_none(), "it was not reaped").await;
    }

    /// As the kernel spells it; `None`: there is no such process.
    fn state(event: &Value) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", event["pid"])).ok()?;
        stat.rsplit(") ").next()?.chars().next()
    }
}

impl Deref for Layer {
    type Target = Story;

    fn deref(&self) -> &Story {
        &self.story
    }
}

impl Story {
    /// Keeps the events in this folder, which every user may write to.
    pub fn within(folder: &Path) -> Self {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        Self(folder.join("events"))
    }

    /// Returns the configuration of a stand-in that behaves in this way in each of its lives.
    pub fn configuration(&self, lives: &[&str], delay: Duration) -> String {
        json!({ "events": self.0, "lives": lives, "delay": delay.as_secs_f64() }).to_string()
    }

    /// Returns the events so far.
    pub fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        // The last line may be incomplete.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Returns the names of the events so far.
    pub fn story(&self) -> Vec<String> {
        self.events().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits for the nth event of this name.
    pub async fn event(&self, name: &str, nth: usize) -> Value {
        let deadline = Instant::now() + HANG;
        loop {
            let found = self.events().into_iter().filter(|event| event["event"] == name).nth(nth - 1);
            if let Some(found) = found {
                return found;
            }
            assert!(Instant::now() < deadline, "{name} did not come {nth} times: {:?}", self.story());
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}

impl Drop for Layer {
    fn drop(&mut self) {
        // A folder that is mounted cannot be removed.
        let _ = Command::new(tools::program("umount")).args(["--lazy", "/opt"]).status();
    }
}

/// The end of another's child is no event here.
async fn until(reached: impl Fn() -> bool, otherwise: &str) {
    let deadline = Instant::now() + HANG;
    while !reached() {
        assert!(Instant::now() < deadline, "{otherwise}");
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

fn mount(words: &[&str]) {
    let status = Command::new(tools::program("mount")).args(words).status().unwrap();
    assert!(status.success(), "mount {words:?}: {status}");
}

/// Returns a copy of a program that is marked for another machine, so that it cannot be executed.
pub fn of_another_machine(program: impl AsRef<Path>) -> Vec<u8> {
    let mut bytes = fs::read(program).unwrap();
    // This is the ELF field `e_machine`; 2 means SPARC.
    bytes[18..20].copy_from_slice(&[2, 0]);
    bytes
}
