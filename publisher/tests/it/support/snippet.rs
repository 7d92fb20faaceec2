//! Makes snippets, and runs the tools that the snippets are for.

use super::{cli::Publisher, dist::Dist};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A release in three regions of two partitions. One region lacks an architecture.
pub fn published() -> Dist {
    let dist = Dist::new("snippets");
    let layer = |arch: &str, regions: &[(&str, &str, &str)]| {
        let place = |(region, partition, account): &(&str, &str, &str)| {
            let arn = format!("arn:{partition}:lambda:{region}:{account}:layer:X-{arch}:7");
            let place =
                json!({"arn": arn, "version": 7, "grant": "public", "verified_at": "2026-01-01T00:00:00Z"});
            ((*region).to_owned(), place)
        };
        let places: serde_json::Map<String, Value> = regions.iter().map(place).collect();
        json!({
            "layer_name": format!("X-{arch}"), "sha256": "0".repeat(64), "code_sha256": "", "size": 1,
            "regions": places
        })
    };
    let all = [
        ("us-east-1", "aws", "123456789012"),
        ("eu-west-1", "aws", "123456789012"),
        ("cn-north-1", "aws-cn", "210987654321"),
    ];
    let mut layers = json!({
        "schema": 1, "version": "1.2.3", "commit": "unknown",
        "toolchain": {"rustc": "rustc", "cargo_lambda": "cl", "zig": "z", "std": "prebuilt"},
        "accounts": {"aws": "123456789012", "aws-cn": "210987654321"},
        "layers": {"arm64": layer("arm64", &all), "x86_64": layer("x86_64", &all[..2])}
    });
    let mut relay = layer("arm64", &all[..1]);
    relay["relay"] = json!({"version": "26.9.0", "sha256": "0".repeat(64), "glibc": "2.28"});
    relay["runtimes"] = json!(["python3.13"]);
    layers["relay_layers"] = json!({"arm64": relay});
    std::fs::write(dist.path().join("layers.json"), layers.to_string()).unwrap();
    dist
}

/// An ARN in the release that `published` makes.
pub fn arn(region: &str, arch: &str) -> String {
    let (partition, account) =
        if region.starts_with("cn-") { ("aws-cn", "210987654321") } else { ("aws", "123456789012") };
    format!("arn:{partition}:lambda:{region}:{account}:layer:X-{arch}:7")
}

/// Settings of the extension, for the options of `publisher arn`, among them values with what templates may take for
/// something else.
pub const INSIGHTS: [&str; 2] = [
    "--insights",
    "logs=warn,errors,faults=timeout,oom,spans=0.25,monitor=nightly|cron(0/10 8 ? * MON-FRI *)",
];

/// The same settings as environment variables.
pub fn insight_variables() -> Value {
    json!({
        "SENTRY_EXTENSION_ERRORS": "true",
        "SENTRY_EXTENSION_FAULTS": "timeout,oom",
        "SENTRY_EXTENSION_FUNCTION_LOGS": "warn",
        "SENTRY_EXTENSION_MONITOR": "nightly|cron(0/10 8 ? * MON-FRI *)",
        "SENTRY_EXTENSION_SPANS": "0.25",
    })
}

/// Compares the extension's settings among the variables of a function with these settings.
pub fn assert_insights(variables: &Value) {
    let mut variables = variables.clone();
    let is_setting = |name: &str| name.starts_with("SENTRY_EXTENSION_");
    variables.as_object_mut().unwrap().retain(|name, _| is_setting(name));
    assert_eq!(variables, insight_variables());
}

/// Options of `publisher arn` that select all or a part of the release, each with a name for messages.
pub const CUTS: [(&str, &[&str]); 4] = [
    ("everything", &[]),
    ("one region", &["--region", "us-east-1"]),
    ("one architecture in one region", &["--region", "eu-west-1", "--arch", "x86_64"]),
    ("everything with settings", &INSIGHTS),
];

/// The output of `publisher arn`.
pub fn snippet(dist: &Dist, format: &str, options: &[&str]) -> String {
    let args = [&["arn", "--format", format], options].concat();
    Publisher::new().run(dist, &args).expect(0).stdout
}

/// The path of a tool that ci/setup-test installs below the repository.
pub fn tool(path: &str) -> PathBuf {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path);
    assert!(tool.exists(), "{} is missing: run ci/test, which sets it up", tool.display());
    tool
}

/// Runs a tool. Returns whether it succeeded, and its output.
pub fn run(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (status.success(), text)
}

/// The first line of a tool's `--version` output.
pub fn version(tool: &Path) -> String {
    let (ok, text) = run(Command::new(tool).arg("--version"));
    assert!(ok, "{text}");
    text.lines().next().unwrap_or_default().trim_start_matches("Version ").to_owned()
}

/// A folder in which Node and the TypeScript compiler find the packages that ci/setup-test installs.
pub fn node_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(tool("ci/snippets/node_modules"), folder.path().join("node_modules")).unwrap();
    std::fs::write(folder.path().join("package.json"), r#"{"type": "module"}"#).unwrap();
    folder
}
