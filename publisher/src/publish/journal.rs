//! Records each change to AWS as it happens, one line each, in `dist/publish-….journal`. Each release has its own
//! file.
//!
//! The publisher finds the current state by looking at AWS. The journal adds what AWS cannot show: a request that was
//! sent and never answered may still take effect after a look that did not find it, and a run that resumes has to
//! know of it. The journal also prevents two runs on the same `dist/`, and tells a person afterwards what happened
//! when.

mod earlier_runs;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;

use crate::{
    aws::partition::RegionName,
    model::{digest::Digest, layer_name::LayerName, time, variant::Variant},
};
use earlier_runs::EarlierRuns;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashMap},
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use tokio::runtime::RuntimeFlavor;

/// The progress of one layer in one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobState {
    /// The publisher inspects the region. It has written nothing.
    Looking,
    /// The layer waits for its turn to upload.
    Waiting,
    /// A publish request is about to be sent.
    Publishing,
    /// The request got no usable answer. The publisher looks whether it took effect.
    Checking,
    /// AWS refused the request, or the request did not arrive. Nothing was written.
    Refused,
    /// A version exists, and it is not what was sent.
    NotAsSent,
    /// AWS has created a version. Until it is granted, nothing proves that it is visible and is what was sent.
    Published,
    /// The policy is about to be changed.
    Granting,
    /// All changes are written.
    Granted,
    /// The version was read back and is right.
    Done,
    /// This run gave up on the layer. The line says why.
    Failed,
}

/// One line of the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct JournalEntry {
    /// The time in RFC 3339, in UTC.
    pub(crate) at: String,
    /// The account that the publisher writes to.
    pub(crate) account: String,
    pub(crate) region: RegionName,
    pub(crate) layer: LayerName,
    #[serde(flatten)]
    pub(crate) variant: Variant,
    /// The digest of the zip.
    pub(crate) sha256: Digest,
    pub(crate) state: JobState,
    /// The number of the version, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<i64>,
    /// The reason of a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// The file cannot be opened, read or written.
    #[error("cannot write {}", path.display())]
    Io {
        /// The journal file.
        path: PathBuf,
        source: io::Error,
    },
    /// Another run holds the lock on this journal. Two runs at once would disturb each other.
    #[error("another publisher is using {}", .0.display())]
    Busy(PathBuf),
}

/// The journal of one release, open and locked for this run.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    account: String,
    file: Mutex<File>,
    earlier_runs: HashMap<(RegionName, LayerName, String), EarlierRuns>,
}

impl Journal {
    /// The path of the journal for exactly these zips of a release.
    pub(crate) fn path(dist: &Path, version: &str, digests: &[Digest]) -> PathBuf {
        let all: String = digests.iter().map(ToString::to_string).collect();
        let plain = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' };
        let version: String = version.chars().map(plain).collect();
        dist.join(format!("publish-{version}-{}.journal", Digest::of(all.as_bytes()).short()))
    }

    /// Opens or creates the journal, and locks it against other runs. The lock ends with this process, even after a
    /// crash.
    pub(crate) fn open(path: PathBuf, account: &str) -> Result<Self, JournalError> {
        let error = |source| JournalError::Io { path: path.clone(), source };
        let mut file = File::options().create(true).append(true).open(&path).map_err(error)?;
        // Some file systems have no locks. The run continues there, because it looks at AWS before each write anyway.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(JournalError::Busy(path));
        }
        let text = fs::read(&path).map_err(error)?;
        if !text.is_empty() && !text.ends_with(b"\n") {
            // The earlier run ended in the middle of its last line.
            file.write_all(b"\n").and_then(|()| file.sync_data()).map_err(error)?;
        }
        let earlier_runs = earlier_runs::read(&text, account);
        Ok(Self {
            inner: Arc::new(Inner {
                path,
                account: account.to_owned(),
                file: Mutex::new(file),
                earlier_runs,
            }),
        })
    }

    /// Whether an earlier run began to publish, but recorded neither how that ended nor that the version was visible.
    pub(crate) fn has_open_publish(&self, region: &RegionName, layer: &LayerName, sha256: Digest) -> bool {
        let open = [JobState::Publishing, JobState::Checking, JobState::Published];
        self.last_state(region, layer, sha256).is_some_and(|(state, _)| open.contains(&state))
    }

    /// How many requests of earlier runs may still take effect.
    pub(crate) fn unanswered(&self, region: &RegionName, layer: &LayerName, sha256: Digest) -> u32 {
        self.earlier_runs(region, layer, sha256).map_or(0, |runs| runs.unanswered)
    }

    /// The versions that earlier runs published or adopted.
    pub(crate) fn published(&self, region: &RegionName, layer: &LayerName, sha256: Digest) -> BTreeSet<i64> {
        self.earlier_runs(region, layer, sha256).map(|runs| runs.published.clone()).unwrap_or_default()
    }

    /// Whether earlier runs published or adopted another version than this one, and no run was complete since.
    pub(crate) fn has_unfinished_besides(
        &self,
        region: &RegionName,
        layer: &LayerName,
        sha256: Digest,
        number: i64,
    ) -> bool {
        let runs = self.earlier_runs(region, layer, sha256);
        runs.is_some_and(|runs| runs.unfinished.iter().any(|other| *other != number))
    }

    /// The version that an earlier run found to differ from what it sent.
    pub(crate) fn not_as_sent(&self, region: &RegionName, layer: &LayerName, sha256: Digest) -> Option<i64> {
        match self.last_state(region, layer, sha256) {
            Some((JobState::NotAsSent, version)) => version,
            _ => None,
        }
    }

    fn last_state(
        &self,
        region: &RegionName,
        layer: &LayerName,
        sha256: Digest,
    ) -> Option<(JobState, Option<i64>)> {
        self.earlier_runs(region, layer, sha256)?.last
    }

    fn earlier_runs(&self, region: &RegionName, layer: &LayerName, sha256: Digest) -> Option<&EarlierRuns> {
        self.inner.earlier_runs.get(&(region.clone(), layer.clone(), sha256.to_string()))
    }

    /// Adds a line, and returns once the line is on the disk.
    pub(crate) fn record(
        &self,
        (region, layer, variant, sha256): (&RegionName, &LayerName, Variant, Digest),
        state: JobState,
        version: Option<i64>,
        error: Option<&str>,
    ) -> Result<(), JournalError> {
        let entry = JournalEntry {
            at: time::now(),
            account: self.inner.account.clone(),
            region: region.clone(),
            layer: layer.clone(),
            variant,
            sha256,
            state,
            version,
            error: error.map(str::to_owned),
        };
        let failed = |source| JournalError::Io { path: self.inner.path.clone(), source };
        let mut line = serde_json::to_vec(&entry).map_err(|e| failed(e.into()))?;
        line.push(b'\n');
        let write = || {
            let mut file = self.inner.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            file.write_all(&line)?;
            file.sync_data()
        };
        // Other jobs go on meanwhile, where there are threads for them.
        let is_alone = tokio::runtime::Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
        if is_alone { write() } else { tokio::task::block_in_place(write) }.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{arch::Arch, variant::LayerKind};

    fn subject() -> (RegionName, LayerName, Digest) {
        ("eu-west-1".parse().unwrap(), LayerName::try_from("x".to_owned()).unwrap(), Digest::of(b"zip"))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_unfinished_publish_is_known_to_the_next_run_even_with_an_incomplete_line() {
        let dist = tempfile::tempdir().unwrap();
        let path = Journal::path(dist.path(), "1.0.0+é", &[Digest::of(b"zip")]);
        let (region, layer, digest) = subject();
        let variant = Variant::new(Arch::Arm64, LayerKind::Relay);
        let open = || Journal::open(path.clone(), "123456789012").unwrap();
        let note = |journal: &Journal, state| {
            journal.record((&region, &layer, variant, digest), state, None, None).unwrap();
        };
        let journal = open();
        assert!(matches!(Journal::open(path.clone(), "123456789012"), Err(JournalError::Busy(_))));
        note(&journal, JobState::Publishing);
        assert!(!journal.has_open_publish(&region, &layer, digest), "only entries of earlier runs count");
        drop(journal);

        let incomplete = fs::read(&path).unwrap();
        fs::write(&path, [incomplete.as_slice(), &incomplete[..incomplete.len() / 2]].concat()).unwrap();
        let journal = open();
        assert!(journal.has_open_publish(&region, &layer, digest));
        assert!(
            !Journal::open(path.with_extension("other"), "1")
                .unwrap()
                .has_open_publish(&region, &layer, digest)
        );
        note(&journal, JobState::Failed);
        drop(journal);
        let journal = open();
        assert!(journal.has_open_publish(&region, &layer, digest));
        note(&journal, JobState::Published);
        note(&journal, JobState::Failed);
        drop(journal);
        let journal = open();
        assert!(journal.has_open_publish(&region, &layer, digest), "the version was never read back");
        for outcome in [JobState::Granting, JobState::Refused] {
            note(&journal, JobState::Publishing);
            note(&journal, outcome);
            note(&journal, JobState::Failed);
        }
        drop(journal);
        assert!(!open().has_open_publish(&region, &layer, digest));

        let journal = open();
        let refute = |version| {
            journal.record((&region, &layer, variant, digest), JobState::NotAsSent, version, None).unwrap();
        };
        refute(Some(7));
        note(&journal, JobState::Failed);
        drop(journal);
        let journal = open();
        assert_eq!(journal.not_as_sent(&region, &layer, digest), Some(7));
        note(&journal, JobState::Published);
        drop(journal);
        assert_eq!(open().not_as_sent(&region, &layer, digest), None);
    }
}
