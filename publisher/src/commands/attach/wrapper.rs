//! The environment variable that makes Lambda start the runtime through the extension's wrapper script. With it, the
//! code of the function needs no change.

use crate::{
    aws::functions::{Environment, Function},
    failure::{Code, Failure},
};
use std::collections::BTreeMap;

/// The environment variable in which Lambda expects the path of a wrapper script.
pub(crate) const VARIABLE: &str = crate::attach::function_state::WRAPPER;
/// The path of the wrapper script that the layer contains.
pub(crate) const PATH: &str = "/opt/sentry-exec-wrapper";

/// The wrapper of the function. It is `None` if there is none or if the variables cannot be read.
pub(crate) fn of(function: &Function) -> Option<&str> {
    match &function.environment {
        Environment::Known(variables) => variables.get(VARIABLE).map(String::as_str),
        Environment::Unreadable(_) => None,
    }
}

/// Whether Lambda supports wrapper scripts for the runtime of the function.
pub(crate) fn is_known_to(function: &Function) -> bool {
    !function.runtime.starts_with("provided")
}

/// The environment variables with the wrapper added, or `None` if it is already set. Fails if another wrapper is
/// set, if the runtime does not support wrappers, or if the variables cannot be read.
pub(crate) fn added(function: &Function) -> Result<Option<BTreeMap<String, String>>, Failure> {
    let variables = readable(function, "an update replaces all of them, and would lose what cannot be read")?;
    if !is_known_to(function) {
        let text = format!("the runtime {} does not support wrapper scripts", function.runtime);
        return Err(Failure::message(Code::Failed, text).hint(
            "leave out --exec-wrapper, and let `bootstrap` be a script that ends in\n\
                 `exec /opt/sentry-exec-wrapper ./program`",
        ));
    }
    match variables.get(VARIABLE).map(String::as_str) {
        Some(PATH) => Ok(None),
        // An empty value means that there is no wrapper.
        None | Some("") => {
            let mut all = variables.clone();
            all.insert(VARIABLE.to_owned(), PATH.to_owned());
            Ok(Some(all))
        }
        Some(other) => {
            let text = format!("{VARIABLE} is {other} already, and there can be one wrapper only");
            Err(Failure::message(Code::Failed, text)
                .hint("leave out --exec-wrapper, or remove that one first; nothing was changed"))
        }
    }
}

/// The environment variables without the wrapper, or `None` if it is not set. Without the layer, a wrapper that is
/// still set would keep the function from starting.
pub(crate) fn removed(function: &Function) -> Result<Option<BTreeMap<String, String>>, Failure> {
    let variables = readable(
        function,
        "AWS_LAMBDA_EXEC_WRAPPER may be among them, and without the layer it would keep the function from starting",
    )?;
    if variables.get(VARIABLE).map(String::as_str) != Some(PATH) {
        return Ok(None);
    }
    let mut all = variables.clone();
    all.remove(VARIABLE);
    Ok(Some(all))
}

/// The environment variables with these settings of the extension, or `None` if nothing changes. `changed` has the
/// variables if the wrapper has changed them already.
pub(crate) fn with_settings(
    function: &Function,
    changed: Option<BTreeMap<String, String>>,
    settings: &BTreeMap<String, String>,
) -> Result<Option<BTreeMap<String, String>>, Failure> {
    if settings.is_empty() {
        return Ok(changed);
    }
    let now = readable(function, "an update replaces all of them, and would lose what cannot be read")?;
    let mut all = changed.unwrap_or_else(|| now.clone());
    all.extend(settings.clone());
    Ok((all != *now).then_some(all))
}

fn readable<'a>(function: &'a Function, but: &str) -> Result<&'a BTreeMap<String, String>, Failure> {
    match &function.environment {
        Environment::Known(variables) => Ok(variables),
        Environment::Unreadable(why) => {
            let text = format!("the function's environment variables cannot be read ({why}): {but}");
            Err(Failure::message(Code::Failed, text)
                .hint("use credentials that may kms:Decrypt with the function's key; nothing was changed"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{aws::functions::UpdateStatus, model::arch::Arch};

    fn function(runtime: &str, variables: &[(&str, &str)]) -> Function {
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Function {
            arn: String::new(),
            revision: None,
            arch: Arch::Arm64,
            image: false,
            runtime: runtime.to_owned(),
            code_size: 0,
            layers: Vec::new(),
            environment: Environment::Known(variables),
            update: UpdateStatus::Done,
        }
    }

    #[test]
    fn all_other_variables_stay() {
        let plain = function("python3.13", &[("A", "1"), ("B", "2")]);
        let with = added(&plain).unwrap().unwrap();
        assert_eq!(with.len(), 3);
        let wrapped = Function { environment: Environment::Known(with), ..plain.clone() };
        assert_eq!(added(&wrapped).unwrap(), None);
        let Environment::Known(before) = plain.environment.clone() else { panic!() };
        assert_eq!(removed(&wrapped).unwrap().unwrap(), before);
        assert_eq!(removed(&plain).unwrap(), None);
    }

    #[test]
    fn a_change_that_would_lose_a_setting_is_refused() {
        let other = function("python3.13", &[(VARIABLE, "/opt/otel-instrument")]);
        assert!(added(&other).unwrap_err().text().contains("/opt/otel-instrument"));
        assert_eq!(removed(&other).unwrap(), None);
        assert!(added(&function("provided.al2023", &[])).is_err());
        let secret = Function { environment: Environment::Unreadable("no key".to_owned()), ..other };
        assert!(added(&secret).unwrap_err().text().contains("no key"));
        assert!(removed(&secret).is_err());
    }
}
