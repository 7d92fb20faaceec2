//! The paths of the files in a layer.

/// The extension itself. Lambda starts each file in the folder `extensions`, and this is the only one. The zip has no
/// entries for folders, because Lambda creates them and each entry is one more thing that a build host could get
/// wrong.
pub(crate) const EXTENSION: &str = "extensions/sentry-lambda-extension";

/// A link to the extension, through which Lambda can start the runtime. The extension knows its task by the name of
/// the link.
pub(crate) const WRAPPER: &str = "sentry-exec-wrapper";

/// The licence of the extension. It is in another folder than the extension, because Lambda would try to start it
/// there.
pub(crate) const LICENSE: &str = "sentry-lambda-extension/LICENSE";

/// The licences of everything that is linked into the extension.
pub(crate) const NOTICES: &str = "sentry-lambda-extension/THIRD-PARTY-NOTICES.txt";

/// The licence of Sentry Relay, in the layers that contain Relay.
pub(crate) const RELAY_LICENSE: &str = "sentry-lambda-extension/RELAY-LICENSE.txt";
