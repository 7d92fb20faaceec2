//! The spool: faults that could not be delivered before the environment's process ended. The folder survives in the
//! environment, whose next process sends them.
//!
//! A file appears whole, by a rename, and stays until its fault has left, so a process that is killed meanwhile loses
//! nothing. A lock on the folder, which ends with the process that has it, lets only one process send at a time. Files
//! that are not of this extension are neither followed nor touched.

mod entry;

pub(super) use entry::event_id;

use crate::protocol::{EventId, sent_at};
use crate::relay::Envelope;
use entry::{Entry, InvalidEntry};
use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::unistd::{AccessFlags, access, geteuid};
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{error, fmt};

/// The most bytes in the folder.
const MAX_BYTES: u64 = 1 << 20;
/// The most files that are looked at. Others may have filled the folder.
const MAX_FILES: usize = 1000;
/// The age from which on a fault is not sent any more. Sentry's alert about it would mislead, and its cause may be
/// gone.
const MAX_AGE: Duration = Duration::from_hours(24);
/// The time after which a file that is not complete will never be.
const MAX_WRITE_TIME: Duration = Duration::from_mins(1);
const FINISHED: &str = "fault";
const UNFINISHED: &str = "tmp";

/// Why a fault is not spooled.
#[derive(Debug)]
pub(super) enum SpoolError {
    /// The path exists, but is not a folder that only this user can enter.
    Folder,
    /// The folder holds as much as it may.
    Full,
    /// The envelope does not contain an event.
    Envelope,
    /// The system refuses.
    Io(io::Error),
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder => f.write_str("the spool is not a folder of this user's alone: remove it"),
            Self::Full => write!(f, "the spool holds {MAX_BYTES} bytes already"),
            Self::Envelope => f.write_str("the envelope has no event id"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl error::Error for SpoolError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        if let Self::Io(error) = self { Some(error) } else { None }
    }
}

impl From<io::Error> for SpoolError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A fault that an earlier process has spooled.
#[derive(Clone, Debug)]
pub(super) struct Spooled {
    pub(super) event_id: EventId,
    /// When it was spooled for the first time.
    pub(super) since: SystemTime,
    /// Its `sent_at` is the time when it was read, so that Sentry keeps the event's own time.
    pub(super) envelope: Envelope,
}

/// What the folder held.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) faults: Vec<Spooled>,
    /// The faults that are too old to be sent.
    pub(super) expired: Vec<EventId>,
    /// The number of files that were damaged.
    pub(super) damaged: usize,
    /// While this is open, no other process sends the faults.
    pub(super) lock: Option<File>,
}

/// The folder. Nothing is read or written before it is asked for.
#[derive(Clone, Debug)]
pub(super) struct Spool {
    folder: PathBuf,
}

impl Spool {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Writes a fault to a file. `since` is the time when it was spooled for the first time.
    pub(super) fn store(&self, envelope: &Envelope, since: SystemTime) -> Result<EventId, SpoolError> {
        let entry = Entry::of(envelope, since).ok_or(SpoolError::Envelope)?;
        let content = entry.write();
        DirBuilder::new().mode(0o700).create(&self.folder).or_else(ignore(io::ErrorKind::AlreadyExists))?;
        if !self.is_ours() {
            return Err(SpoolError::Folder);
        }
        if self.used() + content.len() as u64 > MAX_BYTES {
            return Err(SpoolError::Full);
        }
        let unfinished = self.path(&format!("{}-{}", entry.event_id, std::process::id()), UNFINISHED);
        let written = write_new(&unfinished, &content)
            .and_then(|()| fs::rename(&unfinished, self.path(&entry.event_id.to_string(), FINISHED)));
        if let Err(error) = written {
            let _ = fs::remove_file(&unfinished);
            return Err(error.into());
        }
        Ok(entry.event_id)
    }

    /// Reads all faults that are to be sent. Their files remain until `remove`. The files of all others are removed.
    /// Nothing is read while another process sends the faults.
    pub(super) fn read(&self, now: SystemTime) -> Content {
        let mut content = Content { lock: self.lock(), ..Content::default() };
        if content.lock.is_none() {
            return content;
        }
        for (path, _) in self.files().filter(|(path, _)| has_extension(path, FINISHED)) {
            match read(&path).map(Entry::read) {
                // It was removed meanwhile, or it cannot be read.
                Err(_) | Ok(Err(InvalidEntry::Foreign)) => {}
                Ok(entry) => {
                    if !content.add(entry, now) {
                        let _ = fs::remove_file(&path);
                    }
                }
            }
        }
        content
    }

    /// Removes the file of a fault that has left.
    pub(super) fn remove(&self, event_id: &EventId) -> io::Result<()> {
        fs::remove_file(self.path(&event_id.to_string(), FINISHED))
    }

    /// Whether there is a file of this fault.
    pub(super) fn has(&self, event_id: &EventId) -> bool {
        fs::symlink_metadata(self.path(&event_id.to_string(), FINISHED)).is_ok()
    }

    /// Locks the folder against other processes that would send its faults too. A folder from which nothing can be
    /// removed is not used, because each process would send its faults again.
    fn lock(&self) -> Option<File> {
        if !self.is_ours() || access(&self.folder, AccessFlags::W_OK).is_err() {
            return None;
        }
        let folder = File::open(&self.folder).ok()?;
        match folder.try_lock() {
            Err(TryLockError::WouldBlock) => None,
            // Where the file system has no locks, two processes may send a fault twice. Else it would be lost.
            Ok(()) | Err(TryLockError::Error(_)) => Some(folder),
        }
    }

    /// Whether the folder exists, is not a symlink, and only this user can enter it.
    fn is_ours(&self) -> bool {
        fs::symlink_metadata(&self.folder)
            .is_ok_and(|found| found.is_dir() && is_own(&found) && found.mode() & 0o777 == 0o700)
    }

    /// Returns the bytes of all files of this extension. Removes the files that will never be complete.
    fn used(&self) -> u64 {
        let is_abandoned = |path: &Path, found: &Metadata| {
            let written = found.modified().ok().and_then(|time| time.elapsed().ok());
            has_extension(path, UNFINISHED) && written.is_some_and(|age| age > MAX_WRITE_TIME)
        };
        let is_left = |(path, found): &(PathBuf, Metadata)| {
            !is_abandoned(path, found) || fs::remove_file(path).is_err()
        };
        self.files().filter(is_left).map(|(_, found)| found.len()).sum()
    }

    /// Returns the files that have a name of ours and belong to this user.
    fn files(&self) -> impl Iterator<Item = (PathBuf, Metadata)> {
        let listed = fs::read_dir(&self.folder).into_iter().flatten().take(MAX_FILES).flatten();
        listed.filter_map(|listed| {
            let path = listed.path();
            // If it is a symlink, this describes the symlink itself.
            let found = listed.metadata().ok()?;
            let ours = is_own_name(&path) && is_plain(&found);
            ours.then_some((path, found))
        })
    }

    fn path(&self, name: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{name}.{extension}"))
    }
}

impl Content {
    /// Adds what a file contains. Returns whether it is to be sent.
    fn add(&mut self, entry: Result<Entry, InvalidEntry>, now: SystemTime) -> bool {
        let Ok(mut entry) = entry else {
            self.damaged += 1;
            return false;
        };
        // After the clock was set back, the age is unknown.
        if now.duration_since(entry.since).is_ok_and(|age| age > MAX_AGE) {
            self.expired.push(entry.event_id);
            return false;
        }
        sent_at::renew(&mut entry.body, now);
        let (event_id, since) = (entry.event_id.clone(), entry.since);
        self.faults.push(Spooled { event_id, since, envelope: entry.into_envelope() });
        true
    }
}

fn ignore(kind: io::ErrorKind) -> impl Fn(io::Error) -> io::Result<()> {
    move |error| if error.kind() == kind { Ok(()) } else { Err(error) }
}

fn is_own(found: &Metadata) -> bool {
    found.uid() == geteuid().as_raw()
}

/// Whether it is a file of this user that nobody else has linked to another place.
fn is_plain(found: &Metadata) -> bool {
    found.is_file() && is_own(found) && found.nlink() == 1 && found.len() <= MAX_BYTES
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

/// Whether a name is an event's id, perhaps with a process id behind it, and one of our extensions.
fn is_own_name(path: &Path) -> bool {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let id = stem.split_once('-').map_or(stem, |(id, _)| id);
    EventId::parse(id).is_some() && (has_extension(path, FINISHED) || has_extension(path, UNFINISHED))
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    // `create_new` follows no symlink.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Another process may have replaced the file by a symlink or a pipe meanwhile.
    let file: File = OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path)?;
    let found = file.metadata()?;
    if !is_plain(&found) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut content = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests;
