//! Other programs: finding them, asking them something.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

/// A program that could not be run, or that said no.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    /// It did not start.
    #[error("cannot run `{command}`")]
    Start {
        /// Program and arguments.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// It ended with an error.
    #[error("`{command}` failed ({status}){}", own_words(.stderr))]
    Failed {
        /// Program and arguments.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// Its own explanation; empty where it went straight to the terminal.
        stderr: String,
    },
}

fn own_words(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(":\n{stderr}") }
}

/// The first executable of this name on PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(program)).find(|path| is_executable(path))
}

/// Whether a file can be run by somebody.
pub(crate) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The cargo to call: the one that runs us (`cargo run` says so in `CARGO`), else the first on PATH.
pub(crate) fn cargo() -> Option<PathBuf> {
    env::var_os("CARGO").map(PathBuf::from).filter(|path| is_executable(path)).or_else(|| find("cargo"))
}

/// Runs a program quietly; returns what it said on stdout, trimmed.
pub(crate) fn ask(command: &mut Command) -> Result<String, ExecError> {
    let output = command.stdin(Stdio::null()).output().map_err(|source| start_error(command, source))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ExecError::Failed { command: describe(command), status: output.status, stderr })
}

/// Runs a program in the user's sight. Its stdout goes to our stderr: stdout is for results.
pub(crate) fn show(command: &mut Command) -> Result<(), ExecError> {
    let status = command
        .stdin(Stdio::null())
        .stdout(io::stderr())
        .status()
        .map_err(|source| start_error(command, source))?;
    if status.success() {
        return Ok(());
    }
    Err(ExecError::Failed { command: describe(command), status, stderr: String::new() })
}

fn start_error(command: &Command, source: io::Error) -> ExecError {
    ExecError::Start { command: describe(command), source }
}

/// Program and arguments as one would type them, the program without its folder.
fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut text = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
