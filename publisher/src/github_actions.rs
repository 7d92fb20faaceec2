//! Passes results to GitHub Actions: the summary of the job and the outputs of the step, if the environment names the
//! files for them.
//!
//! Both files are only appended to, so that the text of other steps stays.

use crate::{failure::Failure, model::digest::Digest};
use std::{
    env,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::PathBuf,
};

const SUMMARY: &str = "GITHUB_STEP_SUMMARY";
const OUTPUT: &str = "GITHUB_OUTPUT";

/// The GitHub Actions step that runs this process. Outside GitHub Actions both paths are `None`.
#[derive(Debug)]
pub(crate) struct WorkflowStep {
    summary: Option<PathBuf>,
    output: Option<PathBuf>,
}

/// A file that GitHub Actions names cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot append to {}, which {variable} names", path.display())]
pub(crate) struct GithubError {
    variable: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl From<GithubError> for Failure {
    fn from(error: GithubError) -> Self {
        let hint = format!("everything else is done; unset {} to leave it out", error.variable);
        Self::new(error).hint(hint)
    }
}

impl WorkflowStep {
    /// Reads the paths from the environment.
    pub(crate) fn from_env() -> Self {
        let file = |name| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { summary: file(SUMMARY), output: file(OUTPUT) }
    }

    /// Appends Markdown to the summary on the job's page.
    pub(crate) fn summary(&self, markdown: &str) -> Result<(), GithubError> {
        append(SUMMARY, self.summary.as_ref(), &format!("{}\n\n", markdown.trim_end()))
    }

    /// Sets an output of the step.
    pub(crate) fn output(&self, name: &str, value: &str) -> Result<(), GithubError> {
        append(OUTPUT, self.output.as_ref(), &assignment(name, value))
    }
}

fn append(variable: &'static str, path: Option<&PathBuf>, text: &str) -> Result<(), GithubError> {
    let Some(path) = path else { return Ok(()) };
    let write = || {
        let mut file = File::options().read(true).append(true).create(true).open(path)?;
        let mut text = text.to_owned();
        if file.seek(SeekFrom::End(0))? > 0 {
            file.seek(SeekFrom::End(-1))?;
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                text.insert(0, '\n');
            }
        }
        file.write_all(text.as_bytes())
    };
    write().map_err(|source| GithubError { variable, path: path.clone(), source })
}

/// Formats an output with a delimiter, so that its value may have several lines. The delimiter does not occur in the
/// value.
fn assignment(name: &str, value: &str) -> String {
    let mut delimiter = format!("end-{}", Digest::of(value.as_bytes()).short());
    while value.contains(&delimiter) {
        delimiter.push('-');
    }
    format!("{name}<<{delimiter}\n{value}\n{delimiter}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn earlier_text_stays_even_if_its_last_line_has_no_newline() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        fs::write(&path, "other=1").unwrap();
        let job = WorkflowStep { summary: None, output: Some(path.clone()) };
        job.output("version", "1.2.3").unwrap();
        job.output("two", "a\nb").unwrap();
        job.summary("not requested").unwrap();
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| line.split("end-").next().unwrap()).collect();
        assert_eq!(lines, ["other=1", "version<<", "1.2.3", "", "two<<", "a", "b", ""]);
    }

    #[test]
    fn a_value_cannot_contain_the_delimiter_and_set_another_output() {
        let value = "a\nend-\nlayers=evil";
        let text = assignment("x", value);
        let delimiter = text.lines().next().unwrap().split_once("<<").unwrap().1;
        assert!(!value.contains(delimiter));
        assert_eq!(text, format!("x<<{delimiter}\n{value}\n{delimiter}\n"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let job = WorkflowStep { summary: Some("/proc/nothing/summary".into()), output: None };
        let failure = Failure::from(job.summary("x").unwrap_err());
        assert!(failure.text().contains("/proc/nothing/summary, which GITHUB_STEP_SUMMARY names"));
    }
}
