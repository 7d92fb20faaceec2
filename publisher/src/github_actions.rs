//! What GitHub Actions shows and passes on of a run: the job's summary and the step's outputs, where it asks for them.
//!
//! Both are files that steps add to; whatever others wrote stays.

use crate::{failure::Failure, model::digest::Digest};
use std::{
    env,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    path::PathBuf,
};

const SUMMARY: &str = "GITHUB_STEP_SUMMARY";
const OUTPUT: &str = "GITHUB_OUTPUT";

/// The job that runs us; outside GitHub Actions, nobody.
#[derive(Debug)]
pub(crate) struct WorkflowStep {
    summary: Option<PathBuf>,
    output: Option<PathBuf>,
}

/// The job asked for something and did not get it.
#[derive(Debug, thiserror::Error)]
#[error("cannot add to {}, which {variable} names", path.display())]
pub(crate) struct GithubError {
    variable: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl From<GithubError> for Failure {
    fn from(error: GithubError) -> Self {
        let hint = format!("everything else is done; without {} it is left out", error.variable);
        Self::new(error).hint(hint)
    }
}

impl WorkflowStep {
    /// As the environment says.
    pub(crate) fn from_env() -> Self {
        let file = |name| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        Self { summary: file(SUMMARY), output: file(OUTPUT) }
    }

    /// Adds some Markdown to what the job's page shows.
    pub(crate) fn summary(&self, markdown: &str) -> Result<(), GithubError> {
        add(SUMMARY, self.summary.as_ref(), &format!("{}\n\n", markdown.trim_end()))
    }

    /// Sets an output of the step.
    pub(crate) fn output(&self, name: &str, value: &str) -> Result<(), GithubError> {
        add(OUTPUT, self.output.as_ref(), &assignment(name, value))
    }
}

fn add(variable: &'static str, path: Option<&PathBuf>, text: &str) -> Result<(), GithubError> {
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

/// The form that takes any value, lines included: what ends it is in none of them.
fn assignment(name: &str, value: &str) -> String {
    let mut end = format!("end-{}", Digest::of(value.as_bytes()).short());
    while value.contains(&end) {
        end.push('-');
    }
    format!("{name}<<{end}\n{value}\n{end}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_others_wrote_stays_even_if_their_last_line_has_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        fs::write(&path, "other=1").unwrap();
        let job = WorkflowStep { summary: None, output: Some(path.clone()) };
        job.output("version", "1.2.3").unwrap();
        job.output("two", "a\nb").unwrap();
        job.summary("nobody asked").unwrap();
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().map(|line| line.split("end-").next().unwrap()).collect();
        assert_eq!(lines, ["other=1", "version<<", "1.2.3", "", "two<<", "a", "b", ""]);
    }

    #[test]
    fn no_value_can_end_itself_early_and_set_another_output() {
        let value = "a\nend-\nlayers=evil";
        let text = assignment("x", value);
        let end = text.lines().next().unwrap().split_once("<<").unwrap().1;
        assert!(!value.contains(end));
        assert_eq!(text, format!("x<<{end}\n{value}\n{end}\n"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let job = WorkflowStep { summary: Some("/proc/nothing/summary".into()), output: None };
        let failure = Failure::from(job.summary("x").unwrap_err());
        assert!(failure.text().contains("/proc/nothing/summary, which GITHUB_STEP_SUMMARY names"));
    }
}
