//! Reads single settings, and collects what is wrong with them.

use super::units;
use super::upstream::InvalidUrl;
use std::time::Duration;

/// Lambda's Runtime API and Extensions API use this port.
pub(super) const RESERVED_PORT: u16 = 9001;

/// Reads the variables of the environment. A setting that cannot be used becomes a warning.
pub(super) struct EnvironmentReader<'a> {
    pub(super) var: &'a dyn Fn(&str) -> Option<String>,
    pub(super) warnings: Vec<String>,
}

impl EnvironmentReader<'_> {
    /// Warns that the variable `name` is wrong in some way, and says what happens instead. Values are never named,
    /// because they may be secrets.
    pub(super) fn warn(&mut self, name: &str, what: impl std::fmt::Display, instead: impl std::fmt::Display) {
        self.warnings.push(format!("{name} {what}: {instead}"));
    }

    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, InvalidUrl>,
    ) -> Option<T> {
        let text = (self.var)(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(why) => {
                self.warn(name, why, "it is ignored");
                None
            }
        }
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let text = (self.var)(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
    }

    pub(super) fn size(&mut self, name: &str, default: usize) -> usize {
        let Some(text) = (self.var)(name) else { return default };
        units::size(&text).filter(|bytes| *bytes > 0).unwrap_or_else(|| {
            self.warn(name, "is not a size like 16MiB", format_args!("{default} bytes are used"));
            default
        })
    }

    pub(super) fn duration(&mut self, name: &str, default: Duration) -> Duration {
        let Some(text) = (self.var)(name) else { return default };
        units::duration(&text).filter(|d| !d.is_zero()).unwrap_or_else(|| {
            self.warn(name, "is not a duration like 2s or 1500ms", format_args!("{default:?} is used"));
            default
        })
    }

    /// Reads `true` or `false` in any of the spellings that people use.
    pub(super) fn flag(&mut self, name: &str, default: bool) -> bool {
        let Some(text) = (self.var)(name) else { return default };
        units::flag(&text).unwrap_or_else(|| {
            self.warn(name, "is neither true nor false", format_args!("{default} is used"));
            default
        })
    }
}
