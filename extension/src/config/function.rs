//! What Lambda tells an extension of its function, through the environment.

use crate::protocol::release_name;

/// The function, and what its operator calls its releases and environments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// `orders`
    pub name: String,
    /// `$LATEST`, or the number of a published version.
    pub version: String,
    /// `eu-central-1`
    pub region: String,
    /// In MiB, as it was configured.
    pub memory_mb: Option<u64>,
    /// `on-demand`, `provisioned-concurrency`, `snap-start`, `lambda-managed-instances`.
    pub initialization_type: Option<String>,
    /// Lambda does not tell extensions, so this is the default unless an emulator does.
    pub log_group: String,
    /// Telemetry tells it, too.
    pub log_stream: Option<String>,
    /// `SENTRY_RELEASE`, if Sentry accepts such a name.
    pub release: Option<String>,
    /// `SENTRY_ENVIRONMENT`, if Sentry accepts such a name.
    pub environment: Option<String>,
}

impl Function {
    /// Reads it through `var`, which gives a variable's value where it is set and not empty.
    pub fn read(var: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name: &str| var(name).unwrap_or_default();
        let name = text("AWS_LAMBDA_FUNCTION_NAME");
        let default_group = || format!("/aws/lambda/{name}");
        Self {
            version: text("AWS_LAMBDA_FUNCTION_VERSION"),
            region: var("AWS_REGION").or_else(|| var("AWS_DEFAULT_REGION")).unwrap_or_default(),
            memory_mb: var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").and_then(|size| size.parse().ok()),
            initialization_type: var("AWS_LAMBDA_INITIALIZATION_TYPE"),
            log_group: var("AWS_LAMBDA_LOG_GROUP_NAME").unwrap_or_else(default_group),
            log_stream: var("AWS_LAMBDA_LOG_STREAM_NAME"),
            release: var("SENTRY_RELEASE").filter(|name| release_name::is_release(name)),
            environment: var("SENTRY_ENVIRONMENT").filter(|name| release_name::is_environment(name)),
            name,
        }
    }

    /// The release that a published version is by itself. `$LATEST` is none: its code changes under its name.
    pub fn published(&self) -> Option<String> {
        let is_number = !self.version.is_empty() && self.version.bytes().all(|b| b.is_ascii_digit());
        (is_number && !self.name.is_empty()).then(|| format!("{}@{}", self.name, self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(vars: &[(&str, &str)]) -> Function {
        Function::read(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn only_published_versions_are_releases() {
        let of_version = |version| {
            function(&[("AWS_LAMBDA_FUNCTION_NAME", "orders"), ("AWS_LAMBDA_FUNCTION_VERSION", version)])
        };
        assert_eq!(of_version("42").published().as_deref(), Some("orders@42"));
        assert_eq!(of_version("$LATEST").published(), None);
        assert_eq!(function(&[]).published(), None);
    }

    #[test]
    fn the_log_group_is_lambdas_default() {
        assert_eq!(function(&[("AWS_LAMBDA_FUNCTION_NAME", "orders")]).log_group, "/aws/lambda/orders");
    }
}
