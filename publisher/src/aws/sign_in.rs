//! Finds out from the profiles of the AWS configuration files how a user signs in.

use crate::failure::chain;
use aws_config::profile::{Profile, ProfileSet};
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_types::os_shim_internal::{Env, Fs};
use std::error::Error;

/// The largest number of profiles in a chain. Each profile names the next one as the source of its credentials.
const MAX_CHAIN_LENGTH: usize = 8;

/// Texts in the SDK's errors that mean that a person has to sign in: there is no token, it has expired, or the service
/// refuses it. The types of these errors are private, so their texts are compared. `tests/it/sign_in.rs` makes the SDK
/// return each of them.
const SIGNED_OUT: [&str; 6] = [
    "cached SSO token",
    "SSO token has expired",
    "/sso/cache/",
    "/login/cache/",
    "eauthenticate",
    "UnauthorizedException",
];

/// Whether an error of a source of credentials means that a person has to sign in. A network failure, or a role
/// that may not be assumed, means something else, although the same profile is concerned.
pub(crate) fn is_signed_out(error: &dyn Error) -> bool {
    let text = chain(error);
    SIGNED_OUT.iter().any(|part| text.contains(part))
}

/// The profiles of the configuration files, and which of them is selected.
pub(crate) struct Profiles {
    name: String,
    set: ProfileSet,
}

impl Profiles {
    /// Reads the files. Returns `None` if that fails, because not all users need them. The source of credentials that
    /// needs them reports the error.
    pub(crate) async fn load(named: Option<&str>) -> Option<Self> {
        let selected = named.map(|name| name.to_owned().into());
        let files = EnvConfigFiles::default();
        let set = aws_config::profile::load(&Fs::real(), &Env::real(), &files, selected).await.ok()?;
        Some(Self { name: set.selected_profile().to_owned(), set })
    }

    /// The path that the selected profile's `ca_bundle` names.
    pub(crate) fn ca_bundle(&self) -> Option<&str> {
        self.set.get("ca_bundle")
    }

    /// The command that signs in, if the profile or the source of its credentials needs a sign-in.
    pub(crate) fn command(&self) -> Option<String> {
        let mut name = self.name.as_str();
        for _ in 0..MAX_CHAIN_LENGTH {
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
