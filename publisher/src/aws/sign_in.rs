//! What a profile of the AWS configuration files says about signing in.

use aws_config::profile::{Profile, ProfileSet};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};

/// As many profiles may name another one as the source of their credentials.
const SOURCES: usize = 8;

/// The profiles of the configuration files, and which of them is meant.
pub(crate) struct Profiles {
    name: String,
    set: ProfileSet,
}

impl Profiles {
    /// Reads the files. `None` where they cannot be read: whoever needs them says so.
    pub(crate) async fn load(named: Option<&str>) -> Option<Self> {
        let selected = named.map(|name| name.to_owned().into());
        let files = EnvConfigFiles::default();
        let set = aws_config::profile::load(&Fs::real(), &Env::real(), &files, selected).await.ok()?;
        Some(Self { name: set.selected_profile().to_owned(), set })
    }

    /// The path of `ca_bundle`.
    pub(crate) fn ca_bundle(&self) -> Option<&str> {
        self.set.get("ca_bundle")
    }

    /// The command by which a person signs in, where the profile or the source of its credentials has one.
    pub(crate) fn command(&self) -> Option<String> {
        let mut name = self.name.as_str();
        for _ in 0..SOURCES {
            let profile = self.set.get_profile(name)?;
            if let Some(command) = command(profile) {
                return Some(format!("{command} --profile {name}"));
            }
            name = profile.get("source_profile").filter(|source| *source != name)?;
        }
        None
    }
}

fn command(profile: &Profile) -> Option<&'static str> {
    if profile.get("login_session").is_some() {
        return Some("aws login");
    }
    ["sso_session", "sso_start_url"]
        .into_iter()
        .any(|key| profile.get(key).is_some())
        .then_some("aws sso login")
}
