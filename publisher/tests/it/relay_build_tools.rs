//! `publisher relay build` with the real cargo-lambda and zig, for a workspace that is like that of Sentry's Relay.

use crate::{
    build_fixture::{assert_code, stdout, tools},
    relay_build::{CONFIG, FAKE_PYTHON, Fixture, HERE},
};
use serde_json::Value;
use std::{env, fs, os::unix::fs::symlink, process::Command};

/// The workspace, as small as can be. What it takes from the registry is beside it.
const SMALL_WORKSPACE: [(&str, &str); 12] = [
    ("relay-config/src/config.rs", CONFIG),
    (
        "Cargo.toml",
        "[workspace]\nmembers = [\"relay\"]\nresolver = \"3\"\n\n[workspace.dependencies]\n\
         symbolic-common = { git = \"https://example.com/symbolic\", rev = \"0ff\", default-features = false }\n\
         symbolic-unreal = { git = \"https://example.com/symbolic\", rev = \"0ff\" }\n",
    ),
    (
        "Cargo.lock",
        "version = 4\n\n[[package]]\nname = \"relay\"\nversion = \"26.9.0\"\ndependencies = [\n \
         \"symbolic-common\",\n \"symbolic-unreal\",\n]\n\n\
         [[package]]\nname = \"symbolic-common\"\nversion = \"14.0.0-alpha.3\"\nsource = \"git+https://x\"\n\n\
         [[package]]\nname = \"symbolic-unreal\"\nversion = \"14.0.0-alpha.3\"\nsource = \"git+https://x\"\n",
    ),
    (
        ".cargo/config.toml",
        "[build]\nrustflags = [\"--cfg\", \"of_its_own\"]\n\n[source.crates-io]\nreplace-with = \"beside\"\n\n\
         [source.beside]\ndirectory = \"vendor\"\n",
    ),
    (
        "relay/Cargo.toml",
        "[package]\nname = \"relay\"\nversion = \"26.9.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         symbolic-common.workspace = true\nsymbolic-unreal.workspace = true\n",
    ),
    (
        "relay/src/main.rs",
        "fn main() {\n    if std::env::args().any(|argument| argument == \"--version\") {\n        \
         println!(\"relay 26.9.0\");\n    } else {\n        \
         println!(\"{} {}\", env!(\"RELAY_RELEASE\"), cfg!(of_its_own));\n    }\n}\n",
    ),
    (
        "vendor/symbolic-common/Cargo.toml",
        "[package]\nname = \"symbolic-common\"\nversion = \"14.0.0-alpha.3\"\n",
    ),
    ("vendor/symbolic-common/src/lib.rs", ""),
    (
        "vendor/symbolic-common/.cargo-checksum.json",
        r#"{"files":{},"package":"b3ce6a0b122482d8cea8e4f136ff5616b53bc64e671616ac98efffe350d795dc"}"#,
    ),
    (
        "vendor/symbolic-unreal/Cargo.toml",
        "[package]\nname = \"symbolic-unreal\"\nversion = \"14.0.0-alpha.3\"\n",
    ),
    ("vendor/symbolic-unreal/src/lib.rs", ""),
    (
        "vendor/symbolic-unreal/.cargo-checksum.json",
        r#"{"files":{},"package":"c856b55c698d039b78ebebe167ae05038860f682e9818ef13c5c9c616e61b57d"}"#,
    ),
];

#[test]
fn the_real_tools_build_for_the_glibc_of_lambdas_oldest_runtimes() {
    let fixture = Fixture::new();
    fixture.package_of(&SMALL_WORKSPACE);
    symlink(tools(), fixture.workspace.path().join(".tools")).unwrap();
    fixture.workspace.script("python/python3", FAKE_PYTHON);
    let mut path = vec![fixture.workspace.path().join("python")];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap()));
    let mut command = fixture.workspace.publisher();
    command.env("PATH", env::join_paths(path).unwrap()).env("FAKE", fixture.workspace.path().join("fake"));
    command.env("XDG_CACHE_HOME", fixture.workspace.path().join("cache"));
    let output = command.args(["relay", "build", "--json", "--arch", HERE.0]).output().unwrap();
    assert_code(&output, 0);
    let row: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let minor = row[0]["glibc"].as_str().and_then(|glibc| glibc.strip_prefix("2.")?.parse::<u32>().ok());
    assert!(minor.is_some_and(|minor| minor <= 26), "{row}");
    let program = Command::new(row[0]["path"].as_str().unwrap()).output().unwrap();
    assert_eq!(stdout(&program), "relay@26.9.0 true\n", "the flags of its own configuration count");
    let binary = fs::read(fixture.kept()).unwrap();
    let cache = fixture.workspace.path().join("cache").into_os_string().into_encoded_bytes();
    assert!(
        !binary.windows(cache.len()).any(|bytes| bytes == cache),
        "the folder of this user is in the binary"
    );
}
