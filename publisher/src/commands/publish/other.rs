//! The options of `publisher publish` for layers that are not the extension's: `--zip` and what goes with it.

use crate::{
    artifacts::{
        bundle::{Bundle, HASH_IN_DESCRIPTION, MAX_DESCRIPTION, Origin, Zip},
        layers_manifest::OtherLayer,
        other_zip,
    },
    failure::{Code, Failure},
    model::{
        arch::Arch,
        lambda_runtime,
        layer_arch::LayerArch,
        layer_name,
        variant::{LayerKind, Variant},
    },
    snippets::registry::CANONICAL_PREFIX,
    ui::Ui,
};
use clap::ValueEnum;
use std::{path::PathBuf, str::FromStr};

/// Lambda's limits, in characters and in entries.
const MAX_LICENSE: usize = 512;
const MAX_RUNTIMES: usize = 15;

/// The options for layers that are not the extension's.
#[derive(Clone, clap::Args)]
pub(super) struct OtherOptions {
    /// Publish this zip instead of the extension's layers: one file for both architectures, or ARCH=FILE for each
    #[arg(long = "zip", value_name = "[ARCH=]FILE", num_args = 1..,
        requires = "dist", requires = "layer_name", requires = "release", requires = "license",
        conflicts_with_all = ["kind", "relay_layer_name", "version_style"])]
    zips: Vec<ZipArgument>,

    /// The release that the zips are of, e.g. 2.1.0
    #[arg(long, value_name = "VERSION", requires = "zips", value_parser = version)]
    release: Option<String>,

    /// The licence of the zips: an SPDX identifier, a URL or the text, of at most 512 characters
    #[arg(long, value_name = "TEXT", requires = "zips", value_parser = license)]
    license: Option<String>,

    /// The runtimes that the zips are for; all of them unless told
    #[arg(long, value_name = "RUNTIME,…", value_delimiter = ',', requires = "zips", value_parser = runtime)]
    runtimes: Vec<String>,

    /// What AWS says about the layer; the hash of the zip is added [default: its name and version]
    #[arg(long, value_name = "TEXT", requires = "zips", value_parser = description)]
    description: Option<String>,

    /// The layer's name in Sentry's release registry, e.g. aws-layer:python; {arch} is filled in
    #[arg(long, value_name = "NAME", requires = "zips", value_parser = canonical)]
    canonical: Option<String>,
}

/// A zip on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ZipArgument {
    arch: LayerArch,
    path: PathBuf,
}

impl FromStr for ZipArgument {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named =
            text.split_once('=').and_then(|(arch, path)| Some((Arch::from_str(arch, false).ok()?, path)));
        Ok(match named {
            Some((arch, path)) => Self { arch: arch.into(), path: path.into() },
            None => Self { arch: LayerArch::Both, path: text.into() },
        })
    }
}

impl OtherOptions {
    /// Whether layers are published that are not the extension's.
    pub(super) fn is_used(&self) -> bool {
        !self.zips.is_empty()
    }

    /// Reads the zips and checks everything about them. `template` is that of the layers' names.
    pub(super) fn open(&self, template: &str) -> Result<Bundle, Failure> {
        let (Some(version), Some(license)) = (self.release.clone(), self.license.clone()) else {
            return Err(Failure::message(Code::Usage, "--zip needs --release and --license"));
        };
        let arches = self.arches()?;
        let names = layer_name::names_for(template, &version, &arches)
            .map_err(|error| Failure::message(Code::Usage, error.to_string()))?;
        let names = names.into_iter().map(|(arch, name)| (Variant::new(arch, LayerKind::Plain), name));
        let runtimes = self.runtimes()?;
        let mut zips: Vec<Zip> = Vec::new();
        for ZipArgument { arch, path } in &self.zips {
            let variant = Variant::new(*arch, LayerKind::Plain);
            let zip = other_zip::open(path, variant, runtimes.clone()).map_err(|error| {
                Failure::new(error).hint("name a zip that holds what is to be in /opt; nothing was written")
            })?;
            zips.push(zip);
        }
        zips.sort_by_key(|zip| zip.variant);
        let canonical = self.canonical.clone();
        let layer = OtherLayer { name_template: template.to_owned(), license, canonical };
        let built = zips.iter().map(|zip| (zip.variant, zip.digest)).collect();
        let description = self.description.clone();
        let origin = Origin::Other { layer, names: names.collect(), description };
        Ok(Bundle { version, origin, zips, built })
    }

    /// Warns of runtimes that this version does not know. AWS may know them.
    pub(super) fn warn_of_unknown_runtimes(&self, ui: &Ui) {
        let known = lambda_runtime::compatible(None);
        let unknown: Vec<&str> =
            self.runtimes.iter().map(String::as_str).filter(|name| !known.contains(name)).collect();
        if !unknown.is_empty() {
            ui.warning(format!(
                "not among the runtimes that this version knows, and passed on to AWS: {}",
                unknown.join(" ")
            ));
        }
    }

    /// The architectures of the zips, in order. Fails if the zips or the name in the registry do not fit to them.
    fn arches(&self) -> Result<Vec<LayerArch>, Failure> {
        let mut arches: Vec<LayerArch> = self.zips.iter().map(|zip| zip.arch).collect();
        arches.sort_unstable();
        let separate = [LayerArch::Arm64, LayerArch::X86_64];
        if arches.len() != 1 && arches != separate {
            let text = "--zip takes one file for both architectures, or one file for each";
            return Err(Failure::message(Code::Usage, text)
                .hint("write --zip FILE, or --zip arm64=FILE x86_64=FILE, or only one of the two"));
        }
        let lacks_arch = |name: &&String| !name.contains("{arch}");
        if let (Some(name), true) = (self.canonical.as_ref().filter(lacks_arch), arches == separate) {
            let text = format!("{name} would be the name of both architectures' layers in the registry");
            return Err(Failure::message(Code::Usage, text).hint(format!("--canonical '{name}-{{arch}}'")));
        }
        if let (Some(name), [LayerArch::Both]) =
            (self.canonical.as_ref().filter(|name| name.contains("{arch}")), &arches[..])
        {
            let text = format!("{name} has {{arch}}, and the layer is one for both architectures");
            return Err(Failure::message(Code::Usage, text).hint("leave {arch} out of --canonical"));
        }
        Ok(arches)
    }

    /// The runtimes without repetitions, in the order of the command line.
    fn runtimes(&self) -> Result<Vec<String>, Failure> {
        let mut runtimes: Vec<String> = Vec::new();
        for runtime in &self.runtimes {
            if !runtimes.contains(runtime) {
                runtimes.push(runtime.clone());
            }
        }
        if runtimes.len() > MAX_RUNTIMES {
            let text = format!("--runtimes names {} runtimes; Lambda accepts {MAX_RUNTIMES}", runtimes.len());
            return Err(Failure::message(Code::Usage, text)
                .hint("leave some out, or all of them: a layer without runtimes is for all"));
        }
        Ok(runtimes)
    }
}

/// Parses a version like 1.2.3, 1.2.3-rc.1 or 1.2.3+build. Names are made of its numbers.
fn version(text: &str) -> Result<String, String> {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<&str> = core.split('.').collect();
    let is_number = |part: &&str| {
        part.len() <= 9
            && !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part.len() == 1 || !part.starts_with('0'))
    };
    let rest = text.get(core.len()..).unwrap_or_default();
    let words = rest.split(['-', '+']).skip(1);
    let is_word =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    let good = numbers.len() == 3
        && numbers.iter().all(is_number)
        && text.len() <= 100
        && words.into_iter().all(is_word)
        && rest.matches('+').count() <= 1;
    if good {
        Ok(text.to_owned())
    } else {
        Err("a version has three numbers, like 2.1.0 or 2.1.0-rc.1".to_owned())
    }
}

fn license(text: &str) -> Result<String, String> {
    one_line(text, MAX_LICENSE, "a licence")
}

fn description(text: &str) -> Result<String, String> {
    one_line(text, MAX_DESCRIPTION - HASH_IN_DESCRIPTION, "a description")
}

fn one_line(text: &str, most: usize, what: &str) -> Result<String, String> {
    let count = text.chars().count();
    if count > most {
        return Err(format!("{what} has at most {most} characters, and this one has {count}"));
    }
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(format!("{what} is one line of text"));
    }
    Ok(text.to_owned())
}

fn runtime(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.';
    if !text.is_empty() && text.len() <= 64 && text.chars().all(good) {
        return Ok(text.to_owned());
    }
    Err("a runtime is named like python3.14 or nodejs24.x".to_owned())
}

fn canonical(text: &str) -> Result<String, String> {
    let name = text.strip_prefix(CANONICAL_PREFIX).unwrap_or_default().replacen("{arch}", "x", 1);
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.len() <= 100 && name.chars().all(good) {
        return Ok(text.to_owned());
    }
    Err(format!(
        "a name in the registry is like {CANONICAL_PREFIX}python or {CANONICAL_PREFIX}python-{{arch}}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_three_numbers() {
        for good in ["2.1.0", "0.0.1", "10.20.30-rc.1", "1.2.3+b.5", "1.2.3-rc.1+b"] {
            assert_eq!(version(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "2",
            "2.1",
            "2.1.0.0",
            "v2.1.0",
            "2.1.x",
            "02.1.0",
            "2.1.0-",
            "2.1.0-a b",
            "1.2.3+a+b",
            "../2.1.0",
        ] {
            assert!(version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_zip_is_for_both_architectures_unless_one_is_named() {
        let zip = |text: &str| {
            let zip: ZipArgument = text.parse().unwrap();
            (zip.arch, zip.path.to_str().unwrap().to_owned())
        };
        assert_eq!(zip("layer.zip"), (LayerArch::Both, "layer.zip".to_owned()));
        assert_eq!(zip("arm64=out/a.zip"), (LayerArch::Arm64, "out/a.zip".to_owned()));
        assert_eq!(zip("amd64=a=b.zip"), (LayerArch::X86_64, "a=b.zip".to_owned()));
        assert_eq!(zip("a=b.zip"), (LayerArch::Both, "a=b.zip".to_owned()));
    }

    #[test]
    fn what_lambda_or_the_registry_would_refuse_is_refused() {
        assert!(license(&"x".repeat(512)).is_ok() && license(&"x".repeat(513)).is_err());
        assert!(license(" ").is_err() && license("a\nb").is_err());
        assert!(description(&"é".repeat(231)).is_ok() && description(&"é".repeat(232)).is_err());
        assert!(runtime("python3.99").is_ok() && runtime("provided.al2023").is_ok());
        assert!(runtime("Python").is_err() && runtime("").is_err());
        for good in ["aws-layer:python", "aws-layer:node-{arch}"] {
            assert_eq!(canonical(good).as_deref(), Ok(good));
        }
        for bad in
            ["python", "aws-layer:", "aws-layer:../x", "aws-layer:a b", "aws-layer:{region}", "aws-layer:a/b"]
        {
            assert!(canonical(bad).is_err(), "{bad}");
        }
    }
}
