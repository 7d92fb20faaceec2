//! Where the files of a layer are.

/// Where Lambda looks for extensions, and the one file in it. There are no entries for folders:
/// Lambda makes them, and each would be one more thing that a host could get wrong.
pub(crate) const EXTENSION: &str = "extensions/sentry-lambda-extension";

/// What Lambda can start the runtime through: a link to the extension, which knows by its name what to do.
pub(crate) const WRAPPER: &str = "sentry-exec-wrapper";
