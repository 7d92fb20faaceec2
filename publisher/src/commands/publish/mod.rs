//! `publisher publish`: shows the plan, and carries it out with `--execute`.

mod canary;
mod conclusion;
mod expected_regions;
mod observer;
mod options;
mod other;
mod share;
mod summary;
mod writing;

pub(crate) use options::Publish;

use crate::{
    artifacts::{
        atomic_file::AtomicFile,
        layers_manifest::{self, LayersError, LayersManifest, Placement},
    },
    aws::{
        audience::{AccountId, Audience},
        identity::Identity,
        partition::RegionName,
        regions::Selection,
        session::Session,
    },
    commands::common::{
        account::{self, same_command},
        fewer_regions,
    },
    failure::{Code, Failure},
    github_actions::WorkflowStep,
    model::time,
    publish::{
        final_check,
        interrupt::Urgency,
        progress_bars::ProgressBars,
        report::{self, Row},
        run::{self, LayerOptions, RegionResult},
        version_balance,
        write_context::WriteContext,
    },
    ui::Ui,
};
use expected_regions::present;
use observer::{ProgressObserver, warn_of_drift};
use options::{PublishPlan, VersionStyle};
use serde::Serialize;
use std::sync::Arc;

/// The result as `--json` prints it.
#[derive(Serialize)]
struct PublishDocument<'a> {
    execute: bool,
    version: &'a str,
    /// Null if the layers are not the extension's.
    commit: Option<&'a str>,
    account: &'a str,
    partition: &'a str,
    audience: &'a Audience,
    regions: &'a [Row],
    disabled: &'a [RegionName],
}

impl Publish {
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let release = self.open()?;
        self.other.warn_of_unknown_runtimes(ui);
        account::runtime()?.block_on(self.publish_in_stages(ui, &release))
    }

    async fn publish_in_stages(&self, ui: &Ui, release: &PublishPlan) -> Result<(), Failure> {
        if !self.canary.canary.is_empty() {
            let stage = self.canary_stage()?;
            self.announce_canary(ui);
            if self.act.execute {
                Box::pin(stage.publish(ui, release)).await?;
                self.check_canary(ui).await?;
            }
        }
        self.publish(ui, release).await
    }

    async fn publish(&self, ui: &Ui, release: &PublishPlan) -> Result<(), Failure> {
        let choice = self.choice();
        let partition_hint = account::region_in_partition(&choice);
        let (session, identity) =
            account::open_session(ui, &self.account_options, partition_hint.as_ref()).await?;
        let selection = account::select(ui, &session, &identity, &choice).await?;
        let mut manifest = LayersManifest::of(&release.bundle, &identity, release.layers());
        // If the result could not be written, this run has to fail before it publishes anything.
        let earlier = manifest
            .earlier(&self.dist, &release.bundle.built)
            .map_err(|error| self.manifest_failure(error))?;
        if let Some(yanked) = earlier.as_ref().and_then(|earlier| earlier.yanked.as_ref()) {
            let version = &release.bundle.version;
            let text = format!("{version} was {yanked}; publishing it would give it to everybody again");
            return Err(Failure::message(Code::Failed, text).hint(format!(
                "publish another version, or take the yank back: publisher yank {version} --undo"
            )));
        }
        let last = self.last_regions()?;
        self.announce_fewer(ui, &last, &manifest, &selection);
        let (temporary, write) = if self.act.execute {
            if self.other.is_used() {
                std::fs::create_dir_all(&self.dist).map_err(Failure::new)?;
            }
            let temporary = AtomicFile::of(&self.dist.join(layers_manifest::FILE)).map_err(Failure::new)?;
            (Some(temporary), Some(self.write_context(ui, release, &identity)?))
        } else {
            (None, None)
        };
        let results = self.publish_all(ui, &session, &identity, &selection, release, write.as_ref()).await?;
        let rows: Vec<Row> = results.into_iter().map(|result| result.row).collect();
        let mut written = None;
        if self.act.execute {
            record_versions(&mut manifest, &rows, &release.audience);
        }
        if let Some(earlier) = &earlier {
            manifest.keep(earlier, &release.bundle.built);
        }
        let missing = self.fewer.missing(&last, &present(&manifest, &rows, self.act.execute));
        manifest.set_missing(&missing);
        if let Some(temporary) = temporary
            && manifest.all().any(|(_, layer)| !layer.regions.is_empty())
        {
            manifest.write(temporary).map_err(|error| self.manifest_failure(error))?;
            ui.status("Wrote", self.dist.join(layers_manifest::FILE).display());
            written = Some(manifest);
        }
        if ui.json() && !self.is_canary_stage {
            let document = PublishDocument {
                execute: self.act.execute,
                version: &release.bundle.version,
                commit: release.bundle.commit(),
                account: &identity.account,
                partition: identity.partition.name(),
                audience: &release.audience,
                regions: &rows,
                disabled: &selection.left_out,
            };
            ui.result(serde_json::to_string_pretty(&document).map_err(Failure::new)?);
        } else if !ui.json() {
            // On a terminal, the error below has the reasons. If stdout goes elsewhere, it needs them as well.
            let table = if ui.results_are_seen() { report::table_without_reasons } else { report::table };
            ui.result(table(&rows));
        }
        // An incomplete release is reported to GitHub too. If both fail, the failure of the release is returned.
        let github_result = self.report_to_github(&release.bundle.version, written.as_ref(), &rows);
        let concluded = self.conclude(ui, &rows).and_then(|()| {
            let why = |region: &RegionName| self.why_missing(region, &rows, &selection);
            let unexpected = missing.only(|region| !self.is_partial_without(region));
            fewer_regions::failure(&unexpected, identity.partition, why).map_or(Ok(()), Err)
        });
        match (concluded, github_result) {
            (Ok(()), github_result) => github_result,
            (failed, github_result) => {
                github_result.unwrap_or_else(|error| ui.warning(error.text()));
                failed
            }
        }
    }

    /// Writes the summary and the outputs of the workflow step, if GitHub Actions runs this command.
    fn report_to_github(
        &self,
        version: &str,
        layers: Option<&LayersManifest>,
        rows: &[Row],
    ) -> Result<(), Failure> {
        let step = WorkflowStep::from_env();
        step.summary(&summary::markdown(version, self.act.execute, layers, rows))?;
        step.output("version", version)?;
        if let Some(layers) = layers {
            step.output("layers", &serde_json::to_string(layers).map_err(Failure::new)?)?;
        }
        Ok(())
    }

    async fn publish_all(
        &self,
        ui: &Ui,
        session: &Arc<Session>,
        identity: &Identity,
        selection: &Selection,
        release: &PublishPlan,
        write: Option<&WriteContext>,
    ) -> Result<Vec<RegionResult>, Failure> {
        let named = self.version_style == VersionStyle::Named;
        let options = LayerOptions {
            owner: AccountId::try_from(identity.account.clone()).map_err(Failure::new)?,
            bucket: self.s3_bucket.clone(),
            named,
            publish_again: self.again,
        };
        let total = selection.targets.len() * release.wanted.len();
        let mut observer = ProgressObserver {
            ui,
            bars: ProgressBars::new(ui, total),
            execute: self.act.execute,
            balance: self.balance,
        };
        let targets = &selection.targets;
        let mut results =
            run::publish_all(session, targets, &release.wanted, &options, write, &mut observer).await?;
        if let Some(write) = write {
            // An interrupt with `Urgency::Now` skips this second look. The next run looks again.
            tokio::select! {
                () = final_check::check_unanswered(&mut results, write) => {}
                () = write.interrupt.asked(Urgency::Now) => {}
            }
        }
        if let (Some(write), Some(limit)) = (write, self.balance) {
            tokio::select! {
                () = version_balance::balance(&mut results, write, limit) => {}
                () = write.interrupt.asked(Urgency::Now) => {
                    let text = "interrupted while the version numbers were being balanced";
                    let next = format!("run the same command again to resume:\n  {}", same_command());
                    return Err(Failure::message(Code::Incomplete, text).hint(next));
                }
            }
        }
        drop(observer);
        if self.act.execute {
            let rows: Vec<Row> =
                results.iter().filter(|result| result.row.done).map(|result| result.row.clone()).collect();
            warn_of_drift(ui, &rows, self.balance);
        }
        Ok(results)
    }

    fn manifest_failure(&self, error: LayersError) -> Failure {
        let file = self.dist.join(layers_manifest::FILE);
        let next = match &error {
            LayersError::Write(_) => {
                format!("make {} writable and run the same command again", self.dist.display())
            }
            LayersError::OtherAccount { .. } => {
                format!(
                    "move {} away first, or publish from a copy of the folder with --dist",
                    file.display()
                )
            }
            LayersError::OtherLayer { .. } => {
                "name a folder of its own for the files of this layer: --dist DIR".to_owned()
            }
            _ => format!("move {} away, and run the same command again", file.display()),
        };
        Failure::new(error).hint(next)
    }
}

fn record_versions(manifest: &mut LayersManifest, rows: &[Row], audience: &Audience) {
    let verified_at = time::now();
    for row in rows.iter().filter(|row| row.done) {
        if let (Some(arn), Some(version)) = (row.arn.clone(), row.version) {
            let placement = Placement {
                arn,
                version,
                grant: audience.clone(),
                grant_before_yank: None,
                verified_at: verified_at.clone(),
            };
            manifest.place(row.variant, row.region.clone(), placement);
        }
    }
}
