//! `publish --canary`: publishes to a few regions first, and to the others only if a command of the user's says that
//! the layers work there.

use crate::{
    aws::{partition::RegionName, regions::RegionPattern},
    commands::{common::account::same_command, publish::Publish},
    failure::{Code, Failure},
    publish::interrupt::Interrupt,
    ui::Ui,
};
use std::{
    io,
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// How long the command may take to delete what it created, once it was asked to end.
const CLEAN_UP: Duration = Duration::from_secs(30);

/// The options of a canary.
#[derive(Clone, clap::Args)]
pub(super) struct CanaryOptions {
    /// Publish to these regions first, and to the others only if --canary-check succeeds in each of them
    #[arg(long, value_name = "REGION,…", value_delimiter = ',', requires = "canary_check")]
    pub(super) canary: Vec<RegionName>,

    /// The shell command that tries the layers in real functions; it has the variables `DIST` and `REGION`, for
    /// example: ci/smoke "$DIST" "$REGION"
    #[arg(long, value_name = "COMMAND", requires = "canary")]
    canary_check: Option<String>,

    /// How long the command may take in one region
    #[arg(long, value_name = "SECONDS", default_value = "900", requires = "canary",
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    canary_timeout: u64,
}

impl Publish {
    /// The options of the first stage, which publishes to the canary regions alone.
    pub(super) fn canary_stage(&self) -> Result<Self, Failure> {
        for region in &self.canary.canary {
            let is_in = |patterns: &[RegionPattern]| patterns.iter().any(|pattern| pattern.matches(region));
            let only = &self.regions.regions;
            if is_in(&self.regions.exclude) || !(only.is_empty() || is_in(only)) {
                let text = format!("--canary names {region}, and --regions or --exclude leave it out");
                return Err(Failure::message(Code::Usage, text).hint("name regions that are published to"));
            }
        }
        let mut stage = self.clone();
        let exact = |region: &RegionName| RegionPattern::Exact(region.clone());
        stage.regions.regions = self.canary.canary.iter().map(exact).collect();
        stage.regions.exclude.clear();
        stage.optional_regions.clear();
        stage.fewer.previous.clear();
        stage.balance = None;
        stage.is_canary_stage = true;
        Ok(stage)
    }

    /// Says what comes first and what decides about the rest.
    pub(super) fn announce_canary(&self, ui: &Ui) {
        if let Some(check) = &self.canary.canary_check {
            let names: Vec<&str> = self.canary.canary.iter().map(RegionName::as_str).collect();
            ui.status("Canary", format!("first {}, then in each: {check}; then the rest", names.join(" ")));
        }
    }

    /// Runs the user's command in each canary region, one after the other.
    pub(super) async fn check_canary(&self, ui: &Ui) -> Result<(), Failure> {
        let Some(check) = &self.canary.canary_check else { return Ok(()) };
        let interrupt = Interrupt::on_signals(|_| {}).map_err(Failure::new)?;
        for region in &self.canary.canary {
            ui.status("Checking", format!("{region}: {check}"));
            let failed = |why: String| {
                let text =
                    format!("the canary in {region} failed, so nothing was published elsewhere: {why}");
                Failure::message(Code::Incomplete, text).hint(format!(
                    "if the layers are at fault, `publisher yank` withdraws them; else the same command resumes:\n  {}",
                    same_command()
                ))
            };
            let mut command = Command::new("/bin/sh");
            command.args(["-c", check]).env("DIST", &self.dist).env("REGION", region.as_str());
            // Our stdout is for results.
            command.stdin(Stdio::null()).stdout(io::stderr()).process_group(0);
            let mut child = command.spawn().map_err(|error| failed(format!("it cannot be run: {error}")))?;
            let limit = Duration::from_secs(self.canary.canary_timeout);
            match wait(&mut child, limit, &interrupt).await {
                Ok(Some(status)) if status.success() => {}
                Ok(Some(status)) => return Err(failed(format!("the command ended with {status}"))),
                Ok(None) if interrupt.is_asked() => return Err(failed("it was interrupted".to_owned())),
                Ok(None) => return Err(failed(format!("no end after {} seconds", limit.as_secs()))),
                Err(error) => return Err(failed(error.to_string())),
            }
        }
        Ok(())
    }
}

/// Waits for the end of the process. Ends it and returns `None` after the limit, or if the run is to stop.
async fn wait(child: &mut Child, limit: Duration, interrupt: &Interrupt) -> io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() > limit || interrupt.is_asked() {
            end(child).await?;
            return Ok(None);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Asks the process and all that it started to end, so that they can delete what they created, and kills what is left
/// after a while.
async fn end(child: &mut Child) -> io::Result<()> {
    for (signal, patience) in [("TERM", CLEAN_UP), ("KILL", CLEAN_UP)] {
        let kill = format!("kill -{signal} -{}", child.id());
        Command::new("/bin/sh").args(["-c", &kill]).stdin(Stdio::null()).status()?;
        let started = Instant::now();
        while started.elapsed() < patience {
            if child.try_wait()?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}
