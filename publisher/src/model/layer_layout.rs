//! Where the files of a layer are.

/// Where Lambda looks for extensions, and the one file in it. There are no entries for folders:
/// Lambda makes them, and each would be one more thing that a host could get wrong.
pub(crate) const EXTENSION: &str = "extensions/sentry-lambda-extension";

/// What Lambda can start the runtime through: a link to the extension, which knows by its name what to do.
pub(crate) const WRAPPER: &str = "sentry-exec-wrapper";

/// The licence of the extension. It is not beside the extension, because Lambda would try to start it there.
pub(crate) const LICENSE: &str = "sentry-lambda-extension/LICENSE";

/// The licences of everything that is linked into the extension.
pub(crate) const NOTICES: &str = "sentry-lambda-extension/THIRD-PARTY-NOTICES.txt";

/// The licence of Sentry's own Relay, in the layers that carry it.
pub(crate) const RELAY_LICENSE: &str = "sentry-lambda-extension/RELAY-LICENSE.txt";
