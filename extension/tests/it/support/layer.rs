//! `/opt` with Relay in it, for this test's thread and the processes that it starts: a mount namespace of its own.

use super::tools;
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};
use std::{
    fs,
    ops::Deref,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

/// A scripted Relay.
pub const STAND_IN: &str = include_str!("../../fixtures/relay/stand-in.py");

/// A layer with something called Relay.
pub struct Layer {
    folder: tempfile::TempDir,
    story: Story,
}

/// What a stand-in tells of itself.
pub struct Story(PathBuf);

impl Layer {
    /// With these bytes as Relay, in this mode. It has to be called on the thread of an `isolated` test.
    pub fn with(binary: &[u8], mode: u32) -> Self {
        let layer = Self::empty();
        let relay = layer.path("relay/relay");
        fs::write(&relay, binary).unwrap();
        fs::set_permissions(&relay, fs::Permissions::from_mode(mode)).unwrap();
        layer
    }

    /// With the stand-in, which behaves like this, life after life, and takes so long for a delivery.
    pub fn stand_in(lives: &[&str], delay: Duration) -> Self {
        let layer = Self::with(STAND_IN.as_bytes(), 0o755);
        layer.configure(&layer.story.configuration(lives, delay));
        layer
    }

    /// Without Relay.
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

    /// What `relay/config.yml` says.
    pub fn configuration(&self) -> String {
        fs::read_to_string(self.path("relay/config.yml")).unwrap()
    }

    /// Where a file of the layer is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether a process of this event's still runs.
    pub fn runs(event: &Value) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", event["pid"])).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
    }
}

impl Deref for Layer {
    type Target = Story;

    fn deref(&self) -> &Story {
        &self.story
    }
}

impl Story {
    /// In a folder that everybody may write to.
    pub fn within(folder: &Path) -> Self {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        Self(folder.join("events"))
    }

    /// The configuration of a stand-in that behaves like this, life after life.
    pub fn configuration(&self, lives: &[&str], delay: Duration) -> String {
        json!({ "events": self.0, "lives": lives, "delay": delay.as_secs_f64() }).to_string()
    }

    /// What the stand-in has told so far.
    pub fn events(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        // The last line may be half-written.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Their names.
    pub fn story(&self) -> Vec<String> {
        self.events().iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits for the nth event of this name.
    pub async fn event(&self, name: &str, nth: usize) -> Value {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let found = self.events().into_iter().filter(|event| event["event"] == name).nth(nth - 1);
            if let Some(found) = found {
                return found;
            }
            assert!(Instant::now() < deadline, "{name} did not come {nth} times: {:?}", self.story());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Layer {
    fn drop(&mut self) {
        // A folder that is mounted cannot be removed.
        let _ = Command::new(tools::program("umount")).args(["--lazy", "/opt"]).status();
    }
}

fn mount(words: &[&str]) {
    let status = Command::new(tools::program("mount")).args(words).status().unwrap();
    assert!(status.success(), "mount {words:?}: {status}");
}

/// A copy of a program for a machine that nobody has.
pub fn of_another_machine(program: impl AsRef<Path>) -> Vec<u8> {
    let mut bytes = fs::read(program).unwrap();
    // `e_machine`: 2 is SPARC.
    bytes[18..20].copy_from_slice(&[2, 0]);
    bytes
}
