//! Finds the AWS API calls in the publisher's sources, so that a test can compare them with the IAM policy.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The prefixes of the AWS SDK's method names.
const VERBS: [&str; 13] = [
    "add_", "create_", "delete_", "get_", "head_", "invoke", "list_", "publish_", "put_", "remove_", "tag_",
    "untag_", "update_",
];

/// The names of all calls on an AWS client, such as `client.get_layer_version()`. Line breaks do not matter.
pub fn aws_calls() -> BTreeSet<String> {
    let mut calls = BTreeSet::new();
    for file in files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(file).unwrap();
        if text.contains("aws_sdk_") {
            let squeezed: String = text.split_whitespace().collect();
            calls.extend(squeezed.split('.').filter_map(call).map(str::to_owned));
        }
    }
    calls
}

/// The method name at the start of `behind`, the text that follows a dot. The SDK's builders take no arguments.
fn call(behind: &str) -> Option<&str> {
    let (name, _) = behind.split_once("()")?;
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    (plain && VERBS.iter().any(|verb| name.starts_with(verb))).then_some(name)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
