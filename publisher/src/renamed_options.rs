//! Options that had another name in earlier versions. The error about an old name shows the new one.

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

/// The command, the old option, and the option to use instead.
const RENAMED: [(&str, &str, &str); 4] = [
    ("publish", "--account", "--share-with ID,…"),
    ("publish", "--organization", "--share-with o-…"),
    ("publish", "--private", "--share-with private"),
    ("publish", "--public", "--share-with public"),
];

/// Adds the new name to the error about an option that no longer exists.
pub(crate) fn explain(mut error: Error, arguments: &[String]) -> Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else { return error };
    let Some(instead) = instead_of(given, arguments) else { return error };
    let given = given.clone();
    error.remove(ContextKind::SuggestedArg);
    error.insert(
        ContextKind::Suggested,
        ContextValue::StyledStrs(vec![format!("instead of '{given}' there is '{instead}'").into()]),
    );
    error
}

fn instead_of(given: &str, arguments: &[String]) -> Option<&'static str> {
    let name = given.split(['=', ' ']).next()?;
    let renamed = RENAMED.iter().find(|(command, old, _)| {
        *old == name && arguments.iter().skip(1).any(|argument| argument == command)
    });
    renamed.map(|(_, _, instead)| *instead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_option_of_a_command_names_the_new_one() {
        let arguments = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let publish = arguments("publisher --json publish --private");
        assert_eq!(instead_of("--private", &publish), Some("--share-with private"));
        assert_eq!(instead_of("--account=1", &publish), Some("--share-with ID,…"));
        assert_eq!(instead_of("--other", &publish), None);
        assert_eq!(instead_of("--private", &arguments("publisher arn --private")), None);
    }
}
