//! The result type of the experiments. Every error ends the experiment with a message.

use std::error::Error;

/// A value, or the error that ends the experiment.
pub(crate) type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Creates an error with this message.
pub(crate) fn fail(words: impl Into<String>) -> Box<dyn Error + Send + Sync> {
    words.into().into()
}
