//! The part of a function that `publisher attach` may change: its layers, and the environment variables of the layer.

use crate::aws::functions::{Environment, Function};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The environment variable in which Lambda expects the path of a wrapper script.
pub(crate) const WRAPPER: &str = "AWS_LAMBDA_EXEC_WRAPPER";
/// The settings of the extension that `--insights` sets. None of them is secret.
pub(crate) const SETTINGS: [&str; 7] = [
    "SENTRY_EXTENSION_ERRORS",
    "SENTRY_EXTENSION_FAULTS",
    "SENTRY_EXTENSION_FUNCTION_LOGS",
    "SENTRY_EXTENSION_FUNCTION_LOGS_BUDGET",
    "SENTRY_EXTENSION_METRICS",
    "SENTRY_EXTENSION_MONITOR",
    "SENTRY_EXTENSION_SPANS",
];

/// The layers of a function, and the variables that belong to the layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FunctionState {
    /// The ARNs of all layers, in order.
    pub(crate) layers: Vec<String>,
    /// The value of `AWS_LAMBDA_EXEC_WRAPPER`; null if it is not set or cannot be read.
    pub(crate) exec_wrapper: Option<String>,
    /// The settings of the extension that the function has, by the names of their variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) settings: BTreeMap<String, String>,
}

impl FunctionState {
    /// The current state of the function.
    pub(crate) fn of(function: &Function) -> Self {
        let layers = function.layers.iter().map(|layer| layer.arn.clone()).collect();
        match &function.environment {
            Environment::Known(variables) => Self::with(layers, variables),
            Environment::Unreadable(_) => Self { layers, exec_wrapper: None, settings: BTreeMap::new() },
        }
    }

    /// The state with these layers and these environment variables, of which only those of the layer are kept.
    pub(crate) fn with(layers: Vec<String>, variables: &BTreeMap<String, String>) -> Self {
        let setting = |name: &&str| Some(((*name).to_owned(), variables.get(*name)?.clone()));
        let settings = SETTINGS.iter().filter_map(setting).collect();
        Self { layers, exec_wrapper: variables.get(WRAPPER).cloned(), settings }
    }

    /// `variables` with the variables of the layer as they are in this state.
    pub(crate) fn applied_to(&self, variables: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut all = variables.clone();
        all.retain(|name, _| name != WRAPPER && !SETTINGS.contains(&name.as_str()));
        all.extend(self.settings.clone());
        all.extend(self.exec_wrapper.clone().map(|path| (WRAPPER.to_owned(), path)));
        all
    }

    /// Whether both states have the same variables of the layer.
    pub(crate) fn has_variables_of(&self, other: &Self) -> bool {
        self.exec_wrapper == other.exec_wrapper && self.settings == other.settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_variables_of_the_layer_are_kept_and_put_back() {
        let map = |list: &[(&str, &str)]| -> BTreeMap<String, String> {
            list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let before = map(&[("SECRET", "s"), (WRAPPER, ""), ("SENTRY_EXTENSION_SPANS", "off")]);
        let state = FunctionState::with(vec!["a".to_owned()], &before);
        assert!(!serde_json::to_string(&state).unwrap().contains("SECRET"));
        let now = map(&[("SECRET", "new"), (WRAPPER, "/opt/x"), ("SENTRY_EXTENSION_METRICS", "true")]);
        let expected = map(&[("SECRET", "new"), (WRAPPER, ""), ("SENTRY_EXTENSION_SPANS", "off")]);
        assert_eq!(state.applied_to(&now), expected);
    }
}
