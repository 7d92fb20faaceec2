//! What can go wrong while measuring: anything, and each of it ends the measuring with a message.

use std::error::Error;

/// A value, or why there is none.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// An error of these words.
pub(crate) fn fail(words: impl Into<String>) -> Box<dyn Error + Send + Sync> {
    words.into().into()
}
