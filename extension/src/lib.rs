//! Sentry Lambda extension.
