//! Checks documents against `publisher/layers.schema.json` with an independent validator: Python's jsonschema, which is
//! installed together with the emulators.

use super::emulator::tools;
use serde_json::Value;
use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

const VALIDATE: &str = r"
import json, sys
from jsonschema import Draft202012Validator as Validator

schema = json.load(open(sys.argv[1]))
Validator.check_schema(schema)
validator = Validator(schema)
found = [[f'{error.json_path}: {error.message}' for error in validator.iter_errors(it)] for it in json.load(sys.stdin)]
json.dump(found, sys.stdout)
";

/// The violations of the schema in one document.
pub fn violations(document: &Value) -> Vec<String> {
    violations_of(std::slice::from_ref(document)).remove(0)
}

/// The violations of the schema in each of the documents.
pub fn violations_of(documents: &[Value]) -> Vec<Vec<String>> {
    let python = tools().join("python");
    assert!(python.exists(), "{} is missing: run ci/test, which sets it up", python.display());
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("layers.schema.json");
    let mut command = Command::new(python);
    command.args(["-c", VALIDATE]).arg(schema);
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    child.stdin.take().unwrap().write_all(Value::from(documents).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "the validator does not work; ci/test sets it up\n{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}
