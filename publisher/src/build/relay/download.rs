//! Downloads one file over HTTP. Received bytes are kept, and the next attempt or the next run continues from there.

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

/// The download fails after this many attempts in a row without new bytes.
const MAX_ATTEMPTS_IN_VAIN: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The size limit in bytes, which is that of a layer.
const MAX_SIZE: u64 = 250 * 1024 * 1024;

/// A file to download, and where to put it.
pub(crate) struct Download<'a> {
    pub(crate) agent: &'a Agent,
    pub(crate) url: &'a str,
    /// The file that receives the bytes until it is complete.
    pub(crate) part: &'a Path,
    /// The name of the download for the progress bar.
    pub(crate) what: &'a str,
    /// Whether the expected hash is known. Then a part of unknown origin may be resumed, because the hash would
    /// reveal a file that was joined from two different ones.
    pub(crate) known_hash: bool,
    pub(crate) ui: &'a Ui,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum RelayDownloadError {
    #[error("cannot download {url}")]
    Http { url: String, source: Box<ureq::Error> },
    #[error("cannot download {url}: the server answered {status}")]
    Status { url: String, status: u16 },
    /// Attempt after attempt ended too early.
    #[error("the download of {url} was cut off after {got} of {length} bytes")]
    CutOff {
        url: String,
        /// The number of bytes that were received.
        got: u64,
        /// The number of bytes that the server announced.
        length: String,
    },
    /// The server sent a log-in page or an error page.
    #[error("{url} is a web page, not a program")]
    Html { url: String },
    #[error("{url} has more than {MAX_SIZE} bytes; no layer could hold it")]
    TooLarge { url: String },
    #[error("cannot write {}", path.display())]
    Disk { path: PathBuf, source: io::Error },
}

/// The failure of one attempt.
struct AttemptFailure {
    error: RelayDownloadError,
    /// Whether another attempt may succeed.
    retry: bool,
}

impl Download<'_> {
    /// Downloads the whole file to `part`. Returns whether the last attempt resumed an earlier one.
    pub(crate) fn run(&self) -> Result<bool, RelayDownloadError> {
        let mut most = self.received();
        let mut attempts_in_vain = 0;
        loop {
            let failed = match self.attempt() {
                Ok(resumed) => return Ok(resumed),
                Err(failed) => failed,
            };
            let got = self.received();
            attempts_in_vain = if got > most { 0 } else { attempts_in_vain + 1 };
            most = most.max(got);
            if !failed.retry || attempts_in_vain >= MAX_ATTEMPTS_IN_VAIN {
                return Err(failed.error);
            }
            self.ui.status("Resuming", format_args!("{} after {got} bytes", self.what));
            thread::sleep(FIRST_PAUSE * 2u32.pow(attempts_in_vain));
        }
    }

    fn attempt(&self) -> Result<bool, AttemptFailure> {
        let (mut offset, validator) = self.resumable();
        let mut request = self.agent.get(self.url);
        if offset > 0 {
            request = request.header("range", format!("bytes={offset}-"));
            if let Some(validator) = &validator {
                request = request.header("if-range", validator);
            }
        }
        let response = request.call().map_err(|error| self.http_failure(error))?;
        let length = match response.status().as_u16() {
            200 => {
                offset = 0;
                header(&response, "content-length").and_then(|text| text.parse().ok())
            }
            206 => match content_range(header(&response, "content-range").unwrap_or_default()) {
                Some((start, length)) if start == offset => length,
                _ => return Err(self.start_over(206)),
            },
            416 => return Err(self.start_over(416)),
            status => {
                let error = RelayDownloadError::Status { url: self.url.to_owned(), status };
                return Err(AttemptFailure { error, retry: client::is_transient_status(status) });
            }
        };
        if header(&response, "content-type").is_some_and(|kind| kind.starts_with("text/html")) {
            return Err(fatal(RelayDownloadError::Html { url: self.url.to_owned() }));
        }
        if length.is_some_and(|length| length > MAX_SIZE) {
            return Err(self.too_large());
        }
        let resumed = offset > 0;
        let mut file = self.open(offset, &response).map_err(|source| self.disk_failure(source))?;
        let bar = self.bar(offset, length);
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = match body.read(&mut buffer) {
                Ok(0) if length.is_none_or(|length| offset >= length) => break,
                Ok(0) => return Err(self.cut_off(offset, length)),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(self.cut_off(offset, length)),
            };
            file.write_all(buffer.get(..read).unwrap_or_default())
                .map_err(|source| self.disk_failure(source))?;
            offset += read as u64;
            if offset > MAX_SIZE {
                return Err(self.too_large());
            }
            bar.set_position(offset);
        }
        bar.finish_and_clear();
        file.sync_all().map_err(|source| self.disk_failure(source))?;
        Ok(resumed)
    }

    /// A progress bar on a terminal, else a hidden one. The bar disappears when it is dropped.
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

    /// The number of bytes to continue from, and the validator by which the server tells whether they are still of
    /// the same file.
    fn resumable(&self) -> (u64, Option<String>) {
        let noted = fs::read_to_string(self.note_path()).unwrap_or_default();
        let (url, validator) = noted.split_once('\n').unwrap_or_default();
        let validator = Some(validator.to_owned()).filter(|validator| !validator.is_empty());
        let usable = url == self.url && (validator.is_some() || self.known_hash);
        if usable { (self.received(), validator) } else { (0, None) }
    }

    fn received(&self) -> u64 {
        fs::metadata(self.part).map_or(0, |meta| meta.len())
    }

    /// Opens the part to be written from `offset` on. A new part gets a note beside it with its URL and validator.
    fn open<B>(&self, offset: u64, response: &Response<B>) -> io::Result<File> {
        if offset > 0 {
            return OpenOptions::new().append(true).open(self.part);
        }
        let file = File::create(self.part)?;
        // A weak ETag promises the same meaning, not the same bytes.
        let tag = header(response, "etag").filter(|tag| tag.starts_with('"'));
        let validator = tag.or_else(|| header(response, "last-modified")).unwrap_or_default();
        fs::write(self.note_path(), format!("{}\n{validator}", self.url))?;
        Ok(file)
    }

    fn note_path(&self) -> PathBuf {
        self.part.with_extension("from")
    }

    /// Removes the part, because the server does not continue where it ends. The next attempt starts from the
    /// beginning.
    fn start_over(&self, status: u16) -> AttemptFailure {
        match fs::remove_file(self.part) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => self.disk_failure(source),
            _ => AttemptFailure {
                error: RelayDownloadError::Status { url: self.url.to_owned(), status },
                retry: true,
            },
        }
    }

    fn http_failure(&self, error: ureq::Error) -> AttemptFailure {
        let retry = client::is_transient(&error);
        AttemptFailure {
            error: RelayDownloadError::Http { url: self.url.to_owned(), source: Box::new(error) },
            retry,
        }
    }

    fn disk_failure(&self, source: io::Error) -> AttemptFailure {
        fatal(RelayDownloadError::Disk { path: self.part.to_owned(), source })
    }

    fn too_large(&self) -> AttemptFailure {
        fatal(RelayDownloadError::TooLarge { url: self.url.to_owned() })
    }

    fn cut_off(&self, got: u64, length: Option<u64>) -> AttemptFailure {
        let length = length.map_or_else(|| "an unknown number of".to_owned(), |length| length.to_string());
        AttemptFailure {
            error: RelayDownloadError::CutOff { url: self.url.to_owned(), got, length },
            retry: true,
        }
    }
}

fn fatal(error: RelayDownloadError) -> AttemptFailure {
    AttemptFailure { error, retry: false }
}

fn header<'a, B>(response: &'a Response<B>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Parses `bytes 10-99/100` to the start and the length of the whole, which is `None` for `*`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, length) = text.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, length.parse().ok()))
}
