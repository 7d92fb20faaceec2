//! The spool against a real folder: whole files, damaged ones, those of others, and several extensions at once.

use super::entry::{Entry, sample};
use super::*;
use nix::sys::stat::Mode;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::UNIX_EPOCH;

/// A spool in a folder that does not exist yet, and the folder around it.
fn spool() -> (Spool, tempfile::TempDir) {
    let around = tempfile::tempdir().unwrap();
    (Spool::new(around.path().join("spool")), around)
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_795_600_803)
}

fn store(spool: &Spool, entry: &Entry) -> Result<EventId, SpoolError> {
    spool.store(&entry.clone().into_envelope(), entry.since)
}

fn names(spool: &Spool) -> Vec<String> {
    let listed = fs::read_dir(&spool.folder).unwrap();
    listed.map(|listed| listed.unwrap().file_name().into_string().unwrap()).collect()
}

impl Spool {
    /// Reads all faults and removes their files, as if all had left.
    fn take(&self, now: SystemTime) -> Content {
        let content = self.read(now);
        for fault in &content.faults {
            self.remove(&fault.event_id).unwrap();
        }
        Content { lock: None, ..content }
    }
}

fn ids(content: &Content) -> Vec<&EventId> {
    content.faults.iter().map(|fault| &fault.event_id).collect()
}

#[test]
fn a_fault_is_taken_out_once_with_its_own_time_and_a_fresh_sent_at() {
    let (spool, _around) = spool();
    assert!(spool.take(now()).faults.is_empty(), "there is no folder yet");
    let entry = sample(now(), 0);
    assert_eq!(store(&spool, &entry).unwrap(), entry.event_id);
    assert_eq!(fs::metadata(&spool.folder).unwrap().permissions().mode() & 0o777, 0o700);
    let later = now() + Duration::from_hours(2);
    let content = spool.take(later);
    let [fault] = &content.faults[..] else { panic!("{content:?}") };
    assert_eq!((&fault.event_id, fault.since), (&entry.event_id, entry.since));
    let body = String::from_utf8(fault.envelope.body.to_vec()).unwrap();
    assert!(body.contains("\"sent_at\":\"2026-11-25T12:00:03.000000Z\""), "{body}");
    assert_eq!(fault.envelope.path, "/api/42/envelope/");
    assert!(spool.take(later).faults.is_empty(), "once");
    assert!(names(&spool).is_empty());
}

#[test]
fn a_fault_stays_until_it_has_left_and_one_process_at_a_time_sends_it() {
    let (spool, _around) = spool();
    let entry = sample(now(), 0);
    store(&spool, &entry).unwrap();
    // Nothing says that a process was killed: its files are closed.
    for _ in 0..2 {
        let sending = spool.read(now());
        assert_eq!(ids(&sending), [&entry.event_id]);
        let second = spool.read(now());
        assert!(second.faults.is_empty() && second.lock.is_none());
        assert!(spool.has(&entry.event_id));
    }
    let sending = spool.read(now());
    spool.remove(&entry.event_id).unwrap();
    drop(sending);
    assert!(!spool.has(&entry.event_id) && spool.read(now()).faults.is_empty());
    assert_eq!(spool.remove(&entry.event_id).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_fault_older_than_a_day_is_not_sent() {
    let (spool, _around) = spool();
    let entry = sample(now(), 0);
    for (age, sent) in [(Duration::ZERO, 1), (MAX_AGE, 1), (MAX_AGE + Duration::from_secs(1), 0)] {
        store(&spool, &entry).unwrap();
        let content = spool.take(now() + age);
        assert_eq!((content.faults.len(), content.expired.len()), (sent, 1 - sent), "{age:?}");
        assert!(names(&spool).is_empty());
    }
    store(&spool, &entry).unwrap();
    assert_eq!(spool.take(now() - Duration::from_hours(1)).faults.len(), 1, "the clock was set back");
}

#[test]
fn damaged_files_are_removed_and_do_not_hide_the_others() {
    let (spool, _around) = spool();
    let whole = sample(now(), 0);
    store(&spool, &whole).unwrap();
    let content = sample(now(), 0).write();
    for (at, length) in [content.len() - 1, content.len() / 2, 40].into_iter().enumerate() {
        let name = format!("{:032x}", at + 1);
        fs::write(spool.path(&name, FINISHED), &content[..length]).unwrap();
    }
    // What a process left that ended while it wrote.
    fs::write(spool.path(&format!("{:032x}-1", 9), UNFINISHED), &content[..100]).unwrap();
    let taken = spool.take(now());
    assert_eq!((ids(&taken), taken.damaged), (vec![&whole.event_id], 3));
    assert_eq!(names(&spool), [format!("{:032x}-1.tmp", 9)], "it may still be written");
}

#[test]
fn what_others_put_there_is_neither_followed_nor_touched() {
    let (spool, around) = spool();
    let entry = sample(now(), 0);
    store(&spool, &entry).unwrap();
    let elsewhere = around.path().join("elsewhere");
    fs::write(&elsewhere, sample(now(), 0).write()).unwrap();
    let name = |n: u8| spool.path(&format!("{n:032x}"), FINISHED);
    symlink(&elsewhere, name(1)).unwrap();
    fs::hard_link(&elsewhere, name(2)).unwrap();
    fs::create_dir(name(3)).unwrap();
    fs::write(name(4), "not ours").unwrap();
    nix::unistd::mkfifo(&name(5), Mode::from_bits_truncate(0o600)).unwrap();
    fs::write(spool.folder.join("readme.fault"), sample(now(), 0).write()).unwrap();
    let others_before = names(&spool).len() - 1;
    assert_eq!(ids(&spool.take(now())), [&entry.event_id]);
    assert_eq!(names(&spool).len(), others_before);
    assert!(elsewhere.exists());
}

#[test]
fn files_of_another_user_are_ignored() {
    let (spool, _around) = spool();
    if !geteuid().is_root() {
        return eprintln!("skipped: only root can give files away");
    }
    let entry = sample(now(), 0);
    store(&spool, &entry).unwrap();
    std::os::unix::fs::chown(spool.path(&entry.event_id.to_string(), FINISHED), Some(993), None).unwrap();
    assert!(spool.take(now()).faults.is_empty());
    std::os::unix::fs::chown(&spool.folder, Some(993), None).unwrap();
    assert!(matches!(store(&spool, &entry), Err(SpoolError::Folder)));
}

#[test]
fn a_folder_that_is_not_ours_alone_is_not_used() {
    let (spool, around) = spool();
    let entry = sample(now(), 0);
    let elsewhere = around.path().join("elsewhere");
    DirBuilder::new().mode(0o700).create(&elsewhere).unwrap();
    symlink(&elsewhere, &spool.folder).unwrap();
    assert!(matches!(store(&spool, &entry), Err(SpoolError::Folder)));
    store(&Spool::new(elsewhere.clone()), &entry).unwrap();
    assert!(spool.take(now()).faults.is_empty(), "through a symlink");

    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o770)).unwrap();
    let open = Spool::new(elsewhere);
    assert!(open.take(now()).faults.is_empty(), "others can write there");
    assert!(matches!(store(&open, &entry), Err(SpoolError::Folder)));

    fs::remove_file(&spool.folder).unwrap();
    fs::write(&spool.folder, "").unwrap();
    assert!(matches!(store(&spool, &entry), Err(SpoolError::Folder)));
    assert!(spool.take(now()).faults.is_empty());
}

#[test]
fn the_spool_is_bounded() {
    let (spool, _around) = spool();
    let quarter = usize::try_from(MAX_BYTES).unwrap() / 4;
    for _ in 0..3 {
        store(&spool, &sample(now(), quarter)).unwrap();
    }
    assert!(matches!(store(&spool, &sample(now(), quarter)), Err(SpoolError::Full)));
    store(&spool, &sample(now(), quarter / 2)).unwrap();
    // What nobody will ever finish does not take room for ever.
    let abandoned = spool.path(&format!("{:032x}-1", 1), UNFINISHED);
    fs::write(&abandoned, vec![0; quarter / 2]).unwrap();
    assert!(matches!(store(&spool, &sample(now(), quarter / 4)), Err(SpoolError::Full)));
    let old = SystemTime::now() - MAX_WRITE_TIME - Duration::from_secs(1);
    File::options().write(true).open(&abandoned).unwrap().set_modified(old).unwrap();
    store(&spool, &sample(now(), quarter / 4)).unwrap();
    assert!(!abandoned.exists());
    assert_eq!(spool.take(now()).faults.len(), 5);
}

#[test]
fn a_place_where_nothing_can_be_written_is_an_error_and_no_more() {
    let (spool, around) = spool();
    let entry = sample(now(), 0);
    let nowhere = Spool::new(around.path().join("missing/spool"));
    assert!(matches!(store(&nowhere, &entry), Err(SpoolError::Io(_))));
    assert!(nowhere.take(now()).faults.is_empty());
    // A folder in the place of the file makes the rename fail, as a full disk makes the write fail.
    DirBuilder::new().mode(0o700).create(&spool.folder).unwrap();
    let taken = spool.path(&entry.event_id.to_string(), FINISHED);
    fs::create_dir_all(taken.join("full")).unwrap();
    assert!(matches!(store(&spool, &entry), Err(SpoolError::Io(_))));
    assert_eq!(names(&spool), [format!("{}.fault", entry.event_id)], "nothing unfinished is left");
    let odd = Envelope { body: "no envelope".into(), ..entry.into_envelope() };
    assert!(matches!(spool.store(&odd, now()), Err(SpoolError::Envelope)));
}

#[test]
fn two_extensions_at_once_send_each_fault_once() {
    let (spool, _around) = spool();
    for _ in 0..20 {
        let mut stored: Vec<String> =
            (0..20).map(|_| store(&spool, &sample(now(), 0)).unwrap().to_string()).collect();
        let takers: Vec<_> = (0..4)
            .map(|_| {
                let spool = spool.clone();
                std::thread::spawn(move || spool.take(now()).faults)
            })
            .collect();
        let faults = takers.into_iter().flat_map(|taker| taker.join().unwrap());
        let mut taken: Vec<String> = faults.map(|fault| fault.event_id.to_string()).collect();
        stored.sort();
        taken.sort();
        assert_eq!(taken, stored);
    }
}
