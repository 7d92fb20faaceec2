//! Reads the user's certificates from PEM files and from folders of such files. What is read is bounded, and only
//! regular files are opened: a FIFO would block the whole extension.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes. The bundles of Linux distributions have about 250 KB.
const MAX_FILE: u64 = 2 << 20;
/// The most bytes of all certificates together.
const MAX_TOTAL: usize = 4 << 20;
/// The most files of one folder that are read.
const MAX_FILES: usize = 2000;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The distinct certificates of all bundles.
#[derive(Debug, Default)]
pub(super) struct Certificates {
    pub(super) all: Vec<CertificateDer<'static>>,
    bytes: usize,
}

impl Certificates {
    /// Adds the certificates of a file, or of all files in a folder. Returns how many it found.
    pub(super) fn read(&mut self, path: &Path) -> io::Result<usize> {
        let found =
            if fs::metadata(path)?.is_dir() { self.read_folder(path)? } else { self.read_file(path)? };
        if found == 0 {
            let why = "no certificate in PEM form; `openssl x509 -in FILE -out NEW` writes it in that form";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(found)
    }

    /// Reads the files of a folder in the order of their names. Files without a certificate are no mistake there.
    fn read_folder(&mut self, folder: &Path) -> io::Result<usize> {
        let entries = fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path());
        let mut files: Vec<PathBuf> = entries.take(MAX_FILES).collect();
        files.sort_unstable();
        Ok(files.iter().filter_map(|file| self.read_file(file).ok()).sum())
    }

    fn read_file(&mut self, path: &Path) -> io::Result<usize> {
        // This follows links, because folders of certificates consist of them.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut text = Vec::new();
        File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut text)?;
        if text.len() as u64 > MAX_FILE {
            return Err(io::Error::other(format!("it is larger than {MAX_FILE} bytes")));
        }
        // Some editors put a byte order mark in front, which would hide the first certificate.
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(text).filter_map(Result::ok) {
            found += 1;
            if self.all.contains(&certificate) {
                continue;
            }
            self.bytes += certificate.len();
            if self.bytes > MAX_TOTAL {
                return Err(io::Error::other(format!(
                    "all certificates together have more than {MAX_TOTAL} bytes"
                )));
            }
            self.all.push(certificate);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};
    use std::os::unix::fs::symlink;

    fn pem(name: &str) -> String {
        let key = KeyPair::generate().unwrap();
        CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap().pem()
    }

    #[test]
    fn reads_files_and_folders_and_each_certificate_once() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (pem("one"), pem("two"));
        fs::write(folder.path().join("one.pem"), &one).unwrap();
        fs::write(folder.path().join("both.pem"), format!("text\n{one}{two}")).unwrap();
        fs::write(folder.path().join("notes.txt"), "no certificate").unwrap();
        symlink("one.pem", folder.path().join("5ed36f99.0")).unwrap();
        symlink("nowhere", folder.path().join("dangling")).unwrap();
        let mut certificates = Certificates::default();
        assert_eq!(certificates.read(folder.path()).unwrap(), 4);
        assert_eq!(certificates.all.len(), 2);
        assert_eq!(certificates.read(&folder.path().join("one.pem")).unwrap(), 1);
        assert_eq!(certificates.all.len(), 2);
    }

    #[test]
    fn the_forms_that_editors_and_tools_write_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let (file, one, two) = (folder.path().join("bundle"), pem("one"), pem("two"));
        let both = format!("{one}{two}");
        for text in [
            format!("\u{feff}{both}"),
            both.replace('\n', "\r\n"),
            both.trim_end().to_owned(),
            format!("subject=CN = one\n\n{one}\n# two\n{two}\n-----BEGIN X509 CRL-----\n"),
            both.replace('\n', "  \n"),
        ] {
            fs::write(&file, &text).unwrap();
            assert_eq!(Certificates::default().read(&file).unwrap(), 2, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        fs::write(file("empty"), "no certificate").unwrap();
        fs::write(file("large"), vec![b' '; usize::try_from(MAX_FILE).unwrap() + 1]).unwrap();
        fs::create_dir(file("folder")).unwrap();
        for path in [file("missing"), file("empty"), file("large"), file("folder"), "/dev/zero".into()] {
            assert!(Certificates::default().read(&path).is_err(), "{}", path.display());
        }
    }
}
