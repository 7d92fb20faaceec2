//! Makes Relay's part of a layer: checks the binary, strips it and describes it.

use crate::{
    artifacts::build_manifest::RelayPart,
    build::{
        layer_zip::ZipEntry,
        licences::Licences,
        relay::{
            inspect,
            source::{self, RelayBinary},
            strip,
        },
    },
    failure::{Code, Failure, chain},
    model::{digest::Digest, lambda_runtime, layer_layout},
    ui::Ui,
};

/// The content of `relay/config.yml` in the layer.
const CONFIG: &str = include_str!("../../../relay-config.yml");
/// The terms of the licence that the binary is under.
const LICENSE: &str = include_str!("../../../licences/sentry-relay.txt");
/// Lambda's limit for a function's code and layers together, in unpacked bytes.
const LARGEST_UNPACKED: u64 = 250 * 1024 * 1024;
/// Lambda's limit for a zip in the request itself, in bytes.
const LARGEST_DIRECT: u64 = 50 * 1024 * 1024;

/// A checked binary that is ready to be packed.
pub(crate) struct PackedRelay {
    /// The description of the binary in `build.json`.
    pub(crate) about: RelayPart,
    binary: Vec<u8>,
}

impl PackedRelay {
    /// Checks the binary, and removes its debug sections unless `keep_debug` is set.
    pub(crate) fn make(relay: RelayBinary, keep_debug: bool, ui: &Ui) -> Result<Self, Failure> {
        let needs =
            inspect::inspect(&relay.binary, relay.arch).map_err(|error| source::refused(&relay, &error))?;
        let runtimes = lambda_runtime::compatible(needs.glibc);
        if let (true, Some(glibc)) = (runtimes.is_empty(), needs.glibc) {
            let text = format!(
                "{} needs glibc {glibc}; the newest on Lambda is {} (Amazon Linux 2023)",
                relay.origin,
                lambda_runtime::NEWEST
            );
            return Err(Failure::message(Code::Failed, text)
                .hint("publisher relay build makes one that runs on every runtime"));
        }
        if !needs.libraries.is_empty() {
            let list = needs.libraries.join(", ");
            ui.warning(format_args!(
                "{} needs {list}, which not every runtime has; without it the extension's own relay takes over",
                relay.origin
            ));
        }
        let source_sha256 = Digest::of(&relay.binary).to_string();
        let smaller = if keep_debug { None } else { stripped(&relay.binary, &relay.origin, ui) };
        let sha256 = smaller.as_ref().map_or_else(|| source_sha256.clone(), |it| Digest::of(it).to_string());
        let binary = smaller.unwrap_or(relay.binary);
        // A layer that is too large is refused now, before the extension is compiled for minutes.
        refuse_too_large(binary.len() as u64)?;
        let about = RelayPart {
            version: relay.version,
            sha256,
            size: binary.len() as u64,
            source_sha256,
            glibc: needs.glibc.map(|glibc| glibc.to_string()),
            runtimes: runtimes.into_iter().map(str::to_owned).collect(),
        };
        Ok(Self { about, binary })
    }

    /// All entries of the layer.
    pub(crate) fn entries<'a>(
        &'a self,
        extension: &'a [u8],
        licences: &'a Licences,
    ) -> Result<Vec<ZipEntry<'a>>, Failure> {
        let mut entries = vec![
            ZipEntry::extension(extension),
            ZipEntry::file("relay/relay", 0o755, &self.binary),
            ZipEntry::file("relay/config.yml", 0o644, CONFIG.as_bytes()),
            ZipEntry::wrapper(),
        ];
        entries.extend(licences.entries());
        entries.push(ZipEntry::file(layer_layout::RELAY_LICENSE, 0o644, LICENSE.as_bytes()));
        refuse_too_large(entries.iter().map(ZipEntry::size).sum())?;
        Ok(entries)
    }
}

/// Warns if a zip is too large to be sent in the request.
pub(crate) fn warn_of_size(file: &str, size: u64, ui: &Ui) {
    if size > LARGEST_DIRECT {
        ui.warning(format_args!(
            "{file} has {size} bytes; above {LARGEST_DIRECT} Lambda takes a layer only through S3"
        ));
    }
}

fn refuse_too_large(size: u64) -> Result<(), Failure> {
    if size <= LARGEST_UNPACKED {
        return Ok(());
    }
    let text = format!("the layer would have {size} bytes unpacked; Lambda accepts {LARGEST_UNPACKED}");
    Err(Failure::message(Code::Failed, text).hint("nothing was written; take a smaller Relay"))
}

/// The binary without debug sections, or `None` if it has none or they cannot be removed.
fn stripped(binary: &[u8], origin: &str, ui: &Ui) -> Option<Vec<u8>> {
    match strip::strip(binary) {
        Ok(None) => None,
        Ok(Some(smaller)) => {
            let left = smaller.len();
            let all = binary.len();
            ui.status("Stripped", format_args!("{origin}: {left} of {all} bytes are left"));
            Some(smaller)
        }
        Err(error) => {
            ui.warning(format_args!("the debug sections of {origin} stay in: {}", chain(&error)));
            None
        }
    }
}
