//! One file over HTTP: what was received stays, and the next attempt, or the next run, goes on from there.

use crate::{build::relay::client, ui::Ui};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};
use ureq::{Agent, http::Response};

/// Attempts in a row that bring nothing new.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// What no layer could hold.
const LARGEST: u64 = 250 * 1024 * 1024;

/// A download in the making.
pub(crate) struct Download<'a> {
    /// With what.
    pub(crate) agent: &'a Agent,
    /// From where.
    pub(crate) url: &'a str,
    /// Where it is put together.
    pub(crate) part: &'a Path,
    /// What it is, for the progress bar.
    pub(crate) what: &'a str,
    /// Whether a hash will tell a file pieced together of two: then a part of unknown origin may be resumed.
    pub(crate) known_hash: bool,
    /// Who shows progress.
    pub(crate) ui: &'a Ui,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayDownloadError {
    /// No answer.
    #[error("cannot download {url}")]
    Http {
        /// From where.
        url: String,
        /// Why.
        source: Box<ureq::Error>,
    },
    /// An answer, but not that.
    #[error("cannot download {url}: the server answered {status}")]
    Status {
        /// From where.
        url: String,
        /// The answer.
        status: u16,
    },
    /// It ends too early, again and again.
    #[error("the download of {url} was cut off after {got} of {length} bytes")]
    CutOff {
        /// From where.
        url: String,
        /// Bytes received.
        got: u64,
        /// Bytes promised.
        length: String,
    },
    /// A log-in or error page.
    #[error("{url} is a web page, not a program")]
    Html {
        /// From where.
        url: String,
    },
    /// Not what one looks for.
    #[error("{url} has more than {LARGEST} bytes; no layer could hold it")]
    TooLarge {
        /// From where.
        url: String,
    },
    /// The part cannot be kept.
    #[error("cannot write {}", path.display())]
    Disk {
        /// The part.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// How an attempt failed.
struct Failed {
    error: RelayDownloadError,
    /// Whether another may fare better.
    again: bool,
}

impl Download<'_> {
    /// Brings the whole file into `part`; whether it was pieced together.
    pub(crate) fn run(&self) -> Result<bool, RelayDownloadError> {
        let mut most = self.received();
        let mut idle = 0;
        loop {
            let failed = match self.attempt() {
                Ok(pieced) => return Ok(pieced),
                Err(failed) => failed,
            };
            let got = self.received();
            idle = if got > most { 0 } else { idle + 1 };
            most = most.max(got);
            if !failed.again || idle >= ATTEMPTS {
                return Err(failed.error);
            }
            self.ui.status("Resuming", format_args!("{} after {got} bytes", self.what));
            thread::sleep(FIRST_PAUSE * 2u32.pow(idle));
        }
    }

    fn attempt(&self) -> Result<bool, Failed> {
        let (mut offset, validator) = self.resumable();
        let mut request = self.agent.get(self.url);
        if offset > 0 {
            request = request.header("range", format!("bytes={offset}-"));
            if let Some(validator) = &validator {
                request = request.header("if-range", validator);
            }
        }
        let answer = request.call().map_err(|error| self.http(error))?;
        let length = match answer.status().as_u16() {
            200 => {
                offset = 0;
                header(&answer, "content-length").and_then(|text| text.parse().ok())
            }
            206 => match content_range(header(&answer, "content-range").unwrap_or_default()) {
                Some((start, length)) if start == offset => length,
                _ => return Err(self.start_over(206)),
            },
            416 => return Err(self.start_over(416)),
            status => {
                let error = RelayDownloadError::Status { url: self.url.to_owned(), status };
                return Err(Failed { error, again: client::is_passing_status(status) });
            }
        };
        if header(&answer, "content-type").is_some_and(|kind| kind.starts_with("text/html")) {
            return Err(fatal(RelayDownloadError::Html { url: self.url.to_owned() }));
        }
        if length.is_some_and(|length| length > LARGEST) {
            return Err(self.too_large());
        }
        let pieced = offset > 0;
        let mut file = self.open(offset, &answer).map_err(|source| self.disk(source))?;
        let bar = self.bar(offset, length);
        let mut body = answer.into_body().into_reader();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = match body.read(&mut buffer) {
                Ok(0) if length.is_none_or(|length| offset >= length) => break,
                Ok(0) => return Err(self.cut_off(offset, length)),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(self.cut_off(offset, length)),
            };
            file.write_all(buffer.get(..read).unwrap_or_default()).map_err(|source| self.disk(source))?;
            offset += read as u64;
            if offset > LARGEST {
                return Err(self.too_large());
            }
            bar.set_position(offset);
        }
        bar.finish_and_clear();
        file.sync_all().map_err(|source| self.disk(source))?;
        Ok(pieced)
    }

    /// A bar on a terminal, nothing elsewhere; gone when dropped.
    fn bar(&self, offset: u64, length: Option<u64>) -> ProgressBar {
        let Some(bars) = self.ui.bars() else { return ProgressBar::hidden() };
        let style = match length {
            Some(_) => ProgressStyle::with_template("{bar:24} {bytes} of {total_bytes}, {eta} left: {msg}"),
            None => ProgressStyle::with_template("{spinner} {bytes}: {msg}"),
        };
        let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let bar = bars.add(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())));
        bar.set_message(self.what.to_owned());
        bar.set_position(offset);
        bar.with_finish(ProgressFinish::AndClear)
    }

    /// What is there already, and the mark by which the server tells whether it is still of the same file.
    fn resumable(&self) -> (u64, Option<String>) {
        let noted = fs::read_to_string(self.note()).unwrap_or_default();
        let (url, validator) = noted.split_once('\n').unwrap_or_default();
        let validator = Some(validator.to_owned()).filter(|validator| !validator.is_empty());
        let usable = url == self.url && (validator.is_some() || self.known_hash);
        if usable { (self.received(), validator) } else { (0, None) }
    }

    fn received(&self) -> u64 {
        fs::metadata(self.part).map_or(0, |meta| meta.len())
    }

    /// The part, to be written from `offset` on, and beside it what it is a part of.
    fn open<B>(&self, offset: u64, answer: &Response<B>) -> io::Result<File> {
        if offset > 0 {
            return OpenOptions::new().append(true).open(self.part);
        }
        let file = File::create(self.part)?;
        // A weak tag promises the same meaning, not the same bytes.
        let tag = header(answer, "etag").filter(|tag| tag.starts_with('"'));
        let validator = tag.or_else(|| header(answer, "last-modified")).unwrap_or_default();
        fs::write(self.note(), format!("{}\n{validator}", self.url))?;
        Ok(file)
    }

    fn note(&self) -> PathBuf {
        self.part.with_extension("from")
    }

    /// The next attempt begins at the beginning: the server does not go on where we left off.
    fn start_over(&self, status: u16) -> Failed {
        match fs::remove_file(self.part) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => self.disk(source),
            _ => {
                Failed { error: RelayDownloadError::Status { url: self.url.to_owned(), status }, again: true }
            }
        }
    }

    fn http(&self, error: ureq::Error) -> Failed {
        let again = client::is_passing(&error);
        Failed {
            error: RelayDownloadError::Http { url: self.url.to_owned(), source: Box::new(error) },
            again,
        }
    }

    fn disk(&self, source: io::Error) -> Failed {
        fatal(RelayDownloadError::Disk { path: self.part.to_owned(), source })
    }

    fn too_large(&self) -> Failed {
        fatal(RelayDownloadError::TooLarge { url: self.url.to_owned() })
    }

    fn cut_off(&self, got: u64, length: Option<u64>) -> Failed {
        let length = length.map_or_else(|| "an unknown number of".to_owned(), |length| length.to_string());
        Failed { error: RelayDownloadError::CutOff { url: self.url.to_owned(), got, length }, again: true }
    }
}

fn fatal(error: RelayDownloadError) -> Failed {
    Failed { error, again: false }
}

fn header<'a, B>(answer: &'a Response<B>, name: &str) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}

/// `bytes 10-99/100`: where it starts, and the length of the whole (`*` where that is not known).
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, length) = text.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, length.parse().ok()))
}
