//! Finds and runs other programs.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

/// A program that could not be started, or that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExecError {
    #[error("cannot run `{command}`")]
    Start { command: String, source: io::Error },
    #[error("`{command}` failed ({status}){}", stderr_suffix(.stderr))]
    Failed {
        command: String,
        status: ExitStatus,
        /// Its error output. It is empty if the output went straight to the terminal.
        stderr: String,
    },
}

fn stderr_suffix(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(":\n{stderr}") }
}

/// The first executable of this name on PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(program)).find(|path| is_executable(path))
}

/// Whether the path is a file with an execute permission.
pub(crate) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The cargo to call: the one that started this process (`cargo run` sets `CARGO`), else the first on PATH.
pub(crate) fn cargo() -> Option<PathBuf> {
    env::var_os("CARGO").map(PathBuf::from).filter(|path| is_executable(path)).or_else(|| find("cargo"))
}

/// The folder in which cargo keeps the sources of all dependencies.
pub(crate) fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cargo")))
}

/// Runs a program without showing its output, and returns its trimmed stdout.
pub(crate) fn ask(command: &mut Command) -> Result<String, ExecError> {
    let output = command.stdin(Stdio::null()).output().map_err(|source| start_error(command, source))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(ExecError::Failed { command: describe(command), status: output.status, stderr })
}

/// Runs a program and shows its output. Its stdout goes to our stderr, because our stdout is for results.
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

/// The program, without its folder, and its arguments, as a user would type them.
fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut text = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}
