//! Finds the tools for building, testing and publishing that this machine has.

use crate::{
    build::{
        cross_tools::CrossTools,
        exec,
        rust::{self, Rust},
        venv::Venv,
        workspace::Workspace,
    },
    model::arch::Arch,
};
use serde::Serialize;
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// The task that needs a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Purpose {
    Build,
    Test,
    Publish,
}

/// The result of looking for one tool. If it is missing or does not work, `mend` is the command that fixes that.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) tool: String,
    pub(crate) purpose: Purpose,
    /// Whether the tool is installed and new enough.
    pub(crate) ok: bool,
    /// The version that the tool reports, or what is wrong with it.
    pub(crate) version: Option<String>,
    pub(crate) path: Option<PathBuf>,
    /// The command that installs or fixes the tool.
    pub(crate) mend: Option<String>,
}

impl Finding {
    fn new(tool: impl Into<String>, purpose: Purpose) -> Self {
        Self { tool: tool.into(), purpose, ok: false, version: None, path: None, mend: None }
    }

    fn found(self, version: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { ok: true, version: Some(version.into()), path: Some(path.into()), mend: None, ..self }
    }

    fn missing(self, mend: impl Into<String>) -> Self {
        Self { ok: false, mend: Some(mend.into()), ..self }
    }
}

const INSTALL_RUST: &str = "install Rust: https://rustup.rs, or apt-get install cargo rust-src";

/// Looks for all tools. Without a workspace, its pins and its Rust version are not known.
pub(crate) fn take(workspace: Option<&Workspace>) -> Vec<Finding> {
    let folder = workspace.map_or_else(|| PathBuf::from("."), |workspace| workspace.root.clone());
    let mut findings = vec![cargo(&folder)];
    findings.extend(rust_and_std(&folder, workspace.and_then(|workspace| workspace.rust_version.as_deref())));
    let cross = cross_tools(workspace);
    let python_for = if cross.iter().all(|finding| finding.ok) { Purpose::Test } else { Purpose::Build };
    findings.extend(cross);
    findings.push(python(python_for));
    findings.push(program("node", Purpose::Test, "apt-get install nodejs"));
    findings.push(program("npm", Purpose::Test, "apt-get install npm"));
    findings.push(program("qemu-aarch64-static", Purpose::Test, "apt-get install qemu-user-static"));
    findings.push(program("shellcheck", Purpose::Test, "apt-get install shellcheck"));
    findings.extend(REPOSITORY_TOOLS.iter().map(|tool| tool.find_installed(&folder)));
    findings.push(credentials());
    findings
}

/// A tool that `ci/test` installs into a folder of the repository.
struct RepositoryTool {
    tool: &'static str,
    folder: &'static str,
    /// Whether `--version` prints its version. The emulators would start instead.
    reports_version: bool,
}

const REPOSITORY_TOOLS: [RepositoryTool; 6] = [
    RepositoryTool { tool: "cargo-deny", folder: ".tools/cargo-deny/bin", reports_version: true },
    RepositoryTool { tool: "actionlint", folder: ".tools/lint/bin", reports_version: true },
    RepositoryTool { tool: "zizmor", folder: ".tools/lint/bin", reports_version: true },
    RepositoryTool { tool: "ministack", folder: ".tools/aws/bin", reports_version: false },
    RepositoryTool { tool: "moto_server", folder: ".tools/aws/bin", reports_version: false },
    RepositoryTool { tool: "aws-lambda-rie-x86_64", folder: ".tools/rie", reports_version: false },
];

impl RepositoryTool {
    /// Looks in the folder and then on PATH. The emulators are pinned, so those on PATH are not used.
    fn find_installed(&self, root: &Path) -> Finding {
        let finding = Finding::new(self.tool, Purpose::Test);
        let in_folder = Some(root.join(self.folder).join(self.tool)).filter(|path| exec::is_executable(path));
        let found = in_folder.or_else(|| exec::find(self.tool).filter(|_| self.reports_version));
        let mend = format!("ci/test installs it into {}", self.folder);
        match found {
            Some(path) if self.reports_version => with_version(finding, path, &mend),
            Some(path) => finding.found("installed", path),
            None => finding.missing(mend),
        }
    }
}

fn program(name: &str, purpose: Purpose, mend: &str) -> Finding {
    let finding = Finding::new(name, purpose);
    match exec::find(name) {
        Some(path) => with_version(finding, path, mend),
        None => finding.missing(mend),
    }
}

/// Asks the program for its version.
fn with_version(finding: Finding, path: PathBuf, mend: &str) -> Finding {
    match exec::ask(Command::new(&path).arg("--version")) {
        Ok(answer) => finding.found(rust::version_in(&answer).unwrap_or(&answer).to_owned(), path),
        Err(error) => Finding { version: Some(error.to_string()), path: Some(path), ..finding.missing(mend) },
    }
}

fn cargo(folder: &Path) -> Finding {
    let finding = Finding::new("cargo", Purpose::Build);
    let Some(path) = exec::cargo() else { return finding.missing(INSTALL_RUST) };
    match exec::ask(Command::new(&path).arg("--version").current_dir(folder)) {
        Ok(answer) => finding.found(rust::version_in(&answer).unwrap_or(&answer).to_owned(), path),
        Err(error) => Finding { version: Some(error.to_string()), ..finding.missing(INSTALL_RUST) },
    }
}

fn rust_and_std(folder: &Path, needed: Option<&str>) -> Vec<Finding> {
    let rustc = Finding::new("rustc", Purpose::Build);
    let rust = match Rust::ask(folder) {
        Ok(rust) => rust,
        Err(error) => {
            return vec![Finding { version: Some(error.to_string()), ..rustc.missing(INSTALL_RUST) }];
        }
    };
    let version = rust::version_in(&rust.version).unwrap_or_default();
    let mut rustc = rustc.found(version, &rust.sysroot);
    if let Some(needed) = needed.filter(|needed| !rust::at_least(version, needed)) {
        let mend = if rust.is_rustup() { "rustup update".to_owned() } else { INSTALL_RUST.to_owned() };
        rustc = Finding { version: Some(format!("{version}, needs {needed}")), ..rustc.missing(mend) };
    }
    let mut findings = vec![rustc];
    findings.extend(Arch::ALL.map(|arch| std_for(arch, &rust)));
    findings
}

fn std_for(arch: Arch, rust: &Rust) -> Finding {
    let finding = Finding::new(format!("std for {}", arch.target()), Purpose::Build);
    if rust.has_sources() {
        return finding.found("compiled from source", rust.sources());
    }
    if rust.has_std(arch.target()) {
        return finding.found("prebuilt", rust.sysroot.join("lib/rustlib").join(arch.target()));
    }
    if rust.is_rustup() {
        return finding.missing("rustup component add rust-src");
    }
    finding.missing("apt-get install rust-src (rust-web-src for rustc-web, rust-1.95-src for rustc-1.95)")
}

fn cross_tools(workspace: Option<&Workspace>) -> [Finding; 2] {
    let cargo_lambda = Finding::new("cargo-lambda", Purpose::Build);
    let zig = Finding::new("zig", Purpose::Build);
    let mend = "ci/build installs it into .tools/build";
    let Some(cross) = CrossTools::on_path().or_else(|| Venv::of(workspace?).installed()) else {
        return [cargo_lambda.missing(mend), zig.missing(mend)];
    };
    let found = |finding: Finding, version: Result<String, exec::ExecError>, path: &Path| match version {
        Ok(answer) => finding.found(rust::version_in(&answer).unwrap_or(&answer).to_owned(), path),
        Err(error) => Finding { version: Some(error.to_string()), ..finding.missing(mend) },
    };
    [
        found(cargo_lambda, cross.version(), &cross.cargo_lambda),
        found(zig, cross.zig.version(), cross.zig.path()),
    ]
}

fn python(purpose: Purpose) -> Finding {
    let finding = program("python3", purpose, "apt-get install python3 python3-venv");
    let Some(path) = finding.path.clone().filter(|_| finding.ok) else { return finding };
    if exec::ask(Command::new(path).args(["-c", "import ensurepip, venv"])).is_ok() {
        return finding;
    }
    let version = format!("{}, without venv", finding.version.as_deref().unwrap_or_default());
    Finding { version: Some(version), ..finding.missing("apt-get install python3-venv") }
}

/// Looks for AWS credentials. Only AWS can tell whether they are valid.
fn credentials() -> Finding {
    const VARIABLES: [&str; 5] = [
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    let finding = Finding::new("AWS credentials", Purpose::Publish);
    if let Some(name) =
        VARIABLES.into_iter().find(|name| env::var_os(name).is_some_and(|value| !value.is_empty()))
    {
        return Finding { ok: true, version: Some(format!("from {name}")), ..finding };
    }
    let file = |variable: &str, name: &str| {
        let set = env::var_os(variable).map(PathBuf::from);
        set.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".aws").join(name)))
    };
    let files = [file("AWS_SHARED_CREDENTIALS_FILE", "credentials"), file("AWS_CONFIG_FILE", "config")];
    match files.into_iter().flatten().find(|path| path.is_file()) {
        Some(path) => finding.found("from a profile", path),
        None => finding
            .missing("aws configure, or export AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    }
}
