//! `publisher man`: generates manual pages from the same texts as `--help`.

use crate::{
    artifacts::atomic_file::AtomicFile,
    failure::{Code, Failure},
    ui::Ui,
};
use std::{fs, path::PathBuf};

/// Arguments of `publisher man`.
#[derive(clap::Args)]
pub(crate) struct Man {
    /// Write a page for each command into this folder instead of printing the first one
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// A manual page: the name of its file, and its roff text.
struct Page {
    file: String,
    roff: Vec<u8>,
}

impl Man {
    /// Prints the page of `command`. With `--out`, writes the pages of it and all subcommands into the folder.
    pub(crate) fn run(&self, command: clap::Command, ui: &Ui) -> Result<(), Failure> {
        let mut command = command.disable_help_subcommand(true);
        // Gives each subcommand its full name, `publisher-iam-policy-trust`.
        command.build();
        let mut pages = Vec::new();
        render(&command, &mut pages)?;
        let Some(folder) = &self.out else {
            let first = pages.into_iter().next().map(|page| page.roff).unwrap_or_default();
            ui.result(String::from_utf8(first).map_err(Failure::new)?.trim_end());
            return Ok(());
        };
        fs::create_dir_all(folder).map_err(|error| {
            let text = format!("cannot create the folder {}: {error}", folder.display());
            Failure::message(Code::Failed, text).hint("choose a writable folder: --out DIR")
        })?;
        for page in &pages {
            AtomicFile::of(&folder.join(&page.file))
                .and_then(|temporary| temporary.replace(&page.roff))
                .map_err(|error| Failure::new(error).hint("choose a writable folder: --out DIR"))?;
        }
        ui.status("Wrote", format_args!("{} manual pages to {}", pages.len(), folder.display()));
        Ok(())
    }
}

/// Appends the page of `command` to `pages`, then the pages of its subcommands.
fn render(command: &clap::Command, pages: &mut Vec<Page>) -> Result<(), Failure> {
    let man = clap_mangen::Man::new(command.clone());
    let mut roff = Vec::new();
    man.render(&mut roff).map_err(Failure::new)?;
    pages.push(Page { file: man.get_filename(), roff });
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        render(subcommand, pages)?;
    }
    Ok(())
}
