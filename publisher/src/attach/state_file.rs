//! The state file of a bulk run. It records each function before it is changed, so that `--undo` can take the run back.
//!
//! The first line names the account. Each further line is one event, and it is on the disk before the change that it
//! announces. The file prevents two runs of the same command at once.

use crate::{attach::function_state::FunctionState, model::time};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

const SCHEMA: u32 = 1;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    schema: u32,
    pub(crate) account: String,
    /// The command that made the file, for the person who reads it.
    command: String,
}

/// One event. The function is named by its ARN.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event {
    /// The function is about to be changed from `before` to `after`.
    Updating { at: String, function: String, before: FunctionState, after: FunctionState },
    /// The function is as it was before the run.
    Undone { at: String, function: String },
}

/// What the runs with this file did to a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The state before the first change.
    pub(crate) before: FunctionState,
    /// The state after the last change, which may not have taken effect.
    pub(crate) after: FunctionState,
}

/// Why a state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateFileError {
    #[error("cannot use {}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("another run is using {}", .0.display())]
    InUse(PathBuf),
    #[error("{} is not a state file of `publisher attach`", .0.display())]
    Format(PathBuf),
    #[error("{} was written by a newer publisher", .0.display())]
    Newer(PathBuf),
    #[error("{} is of the account {theirs}, and these credentials are of {ours}", path.display())]
    Account { path: PathBuf, theirs: String, ours: String },
}

/// A state file, open and locked for this run.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    file: Mutex<File>,
    /// What earlier runs did, by the ARN of the function.
    pub(crate) records: BTreeMap<String, Record>,
}

impl StateFile {
    /// Opens the file for more changes, or creates it.
    pub(crate) fn open(path: &Path, account: &str, command: &str) -> Result<Self, StateFileError> {
        let failed = |source| StateFileError::Io { path: path.to_owned(), source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut file = File::options().create(true).append(true).open(path).map_err(failed)?;
        lock(&file, path)?;
        let text = fs::read(path).map_err(failed)?;
        if text.is_empty() {
            let header = Header { schema: SCHEMA, account: account.to_owned(), command: command.to_owned() };
            let mut line = serde_json::to_vec(&header).map_err(|error| failed(error.into()))?;
            line.push(b'\n');
            file.write_all(&line).and_then(|()| file.sync_data()).map_err(failed)?;
        }
        Self::of(path, file, &text, account)
    }

    /// Opens the file of an earlier run. Fails if there is none.
    pub(crate) fn open_existing(path: &Path, account: &str) -> Result<Self, StateFileError> {
        let failed = |source| StateFileError::Io { path: path.to_owned(), source };
        let file = File::options().append(true).open(path).map_err(failed)?;
        lock(&file, path)?;
        let text = fs::read(path).map_err(failed)?;
        if text.is_empty() {
            return Err(StateFileError::Format(path.to_owned()));
        }
        Self::of(path, file, &text, account)
    }

    fn of(path: &Path, mut file: File, text: &[u8], account: &str) -> Result<Self, StateFileError> {
        let mut lines = text.split(|byte| *byte == b'\n');
        let first = lines.next().unwrap_or_default();
        if !text.is_empty() {
            let header: Header =
                serde_json::from_slice(first).map_err(|_| StateFileError::Format(path.to_owned()))?;
            if header.schema > SCHEMA {
                return Err(StateFileError::Newer(path.to_owned()));
            }
            if header.account != account {
                let (theirs, ours) = (header.account, account.to_owned());
                return Err(StateFileError::Account { path: path.to_owned(), theirs, ours });
            }
        }
        if !text.is_empty() && !text.ends_with(b"\n") {
            // The earlier run ended in the middle of its last line, so what that line announces was not begun.
            let ended = file.write_all(b"\n");
            ended.map_err(|source| StateFileError::Io { path: path.to_owned(), source })?;
        }
        let records = fold(lines.filter_map(|line| serde_json::from_slice(line).ok()));
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), records })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Records that a function is about to be changed. The line is on the disk when this returns.
    pub(crate) fn updating(
        &self,
        function: &str,
        before: &FunctionState,
        after: &FunctionState,
    ) -> Result<(), StateFileError> {
        let (before, after) = (before.clone(), after.clone());
        self.write(&Event::Updating { at: time::now(), function: function.to_owned(), before, after })
    }

    /// Records that a function is as it was before the run.
    pub(crate) fn undone(&self, function: &str) -> Result<(), StateFileError> {
        self.write(&Event::Undone { at: time::now(), function: function.to_owned() })
    }

    fn write(&self, event: &Event) -> Result<(), StateFileError> {
        let failed = |source| StateFileError::Io { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(event).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line).and_then(|()| file.sync_data()).map_err(failed)
    }
}

fn lock(file: &File, path: &Path) -> Result<(), StateFileError> {
    // Some file systems have no locks. Updates name the revision that was read, so two runs do no harm there either.
    if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        return Err(StateFileError::InUse(path.to_owned()));
    }
    Ok(())
}

/// Joins the changes of each function. A change that continues the one before it keeps the older `before`. If somebody
/// else changed the function in between, that older state is not ours to put back.
fn fold(events: impl Iterator<Item = Event>) -> BTreeMap<String, Record> {
    let mut records: BTreeMap<String, Record> = BTreeMap::new();
    for event in events {
        match event {
            Event::Updating { function, before, after, .. } => {
                let earlier = records.remove(&function);
                let before = match earlier {
                    Some(earlier) if earlier.after == before => earlier.before,
                    _ => before,
                };
                records.insert(function, Record { before, after });
            }
            Event::Undone { function, .. } => {
                records.remove(&function);
            }
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(layers: &[&str]) -> FunctionState {
        let layers = layers.iter().map(|layer| (*layer).to_owned()).collect();
        FunctionState { layers, exec_wrapper: None, settings: BTreeMap::new() }
    }

    fn open(path: &Path) -> Result<StateFile, StateFileError> {
        StateFile::open(path, "123456789012", "publisher attach")
    }

    #[test]
    fn the_first_state_is_kept_over_several_runs_unless_somebody_else_interferes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.jsonl");
        let [a, b, c, d] = [state(&[]), state(&["1"]), state(&["2"]), state(&["x"])];
        let file = open(&path).unwrap();
        for function in ["ours", "theirs", "undone"] {
            file.updating(function, &a, &b).unwrap();
        }
        file.updating("ours", &b, &c).unwrap();
        file.updating("theirs", &d, &c).unwrap();
        file.undone("undone").unwrap();
        drop(file);
        // A run that was killed leaves half a line.
        let mut text = fs::read(&path).unwrap();
        text.extend_from_slice(b"{\"event\":\"undone\",\"funct");
        fs::write(&path, text).unwrap();
        let file = open(&path).unwrap();
        file.undone("nobody").unwrap();
        let expected = [("ours", a, c.clone()), ("theirs", d, c)];
        let expected = expected.map(|(name, before, after)| (name.to_owned(), Record { before, after }));
        assert_eq!(file.records, BTreeMap::from(expected));
        drop(file);
        assert_eq!(open(&path).unwrap().records.len(), 2);
    }

    #[test]
    fn a_file_that_is_not_usable_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/state.jsonl");
        assert!(matches!(StateFile::open_existing(&path, "1"), Err(StateFileError::Io { .. })));
        let first = open(&path).unwrap();
        assert!(matches!(open(&path), Err(StateFileError::InUse(_))));
        drop(first);
        assert!(matches!(StateFile::open_existing(&path, "1"), Err(StateFileError::Account { .. })));
        fs::write(&path, "{\"schema\":2,\"account\":\"1\",\"command\":\"\"}\n").unwrap();
        assert!(matches!(StateFile::open_existing(&path, "1"), Err(StateFileError::Newer(_))));
        for text in ["", "not json\n"] {
            fs::write(&path, text).unwrap();
            assert!(matches!(StateFile::open_existing(&path, "1"), Err(StateFileError::Format(_))));
        }
    }
}
