//! `publisher publish`: shows the plan, and carries it out with `--execute`.

mod canary;
mod conclusion;
mod expected_regions;
mod observer;
mod options;
mod share;
mod summary;

pub(crate) use options::Publish;

use crate::{
    artifacts::{
        atomic_file::AtomicFile,
        bundle::{Bundle, Zip},
        layers_manifest::{self, LayersError, LayersManifest, Placement},
    },
    aws::{
        audience::{AccountId, Audience},
        identity::Identity,
        partition::RegionName,
        rate_limit::InFlight,
        regions::Selection,
        session::Session,
        upload::{Label, Upload},
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
        interrupt::{Interrupt, Urgency},
        journal::{Journal, JournalError},
        plan,
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
use std::{collections::BTreeMap, sync::Arc};

/// The result as `--json` prints it.
#[derive(Serialize)]
struct PublishDocument<'a> {
    execute: bool,
    version: &'a str,
    commit: &'a str,
    account: &'a str,
    partition: &'a str,
    audience: &'a Audience,
    regions: &'a [Row],
    disabled: &'a [RegionName],
}

impl Publish {
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let release = self.open()?;
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
                commit: &release.bundle.commit,
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

    /// Opens the journal and prepares the uploads. Only `--execute` needs them.
    fn write_context(
        &self,
        ui: &Ui,
        plan: &PublishPlan,
        identity: &Identity,
    ) -> Result<WriteContext, Failure> {
        let bundle = &plan.bundle;
        let mut uploads = BTreeMap::new();
        for zip in &bundle.zips {
            uploads.insert(zip.variant, upload(bundle, zip).map_err(Failure::new)?);
        }
        Ok(WriteContext {
            uploads,
            in_flight: InFlight::new(self.max_uploads, self.max_in_flight),
            journal: self.open_journal(bundle, identity)?,
            interrupt: interrupt(ui).map_err(Failure::new)?,
            keep_s3: self.keep_s3,
        })
    }

    fn open_journal(&self, bundle: &Bundle, identity: &Identity) -> Result<Journal, Failure> {
        let digests: Vec<_> = bundle.zips.iter().map(|zip| zip.digest).collect();
        let path = Journal::path(&self.dist, &bundle.version, &digests);
        Journal::open(path, &identity.account).map_err(|error| {
            let next = match &error {
                JournalError::Busy(_) => "wait until it has ended, then run the same command again",
                JournalError::Io { .. } => "make the folder writable, and run the same command again",
            };
            Failure::new(error).hint(next)
        })
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
            _ => format!("move {} away, and run the same command again", file.display()),
        };
        Failure::new(error).hint(next)
    }
}

fn upload(bundle: &Bundle, zip: &Zip) -> serde_json::Result<Upload> {
    let label = Label {
        description: bundle.description(zip),
        license: plan::license(zip.variant.kind),
        arch: Some(zip.variant.arch),
        runtimes: zip.runtimes.clone(),
    };
    Upload::new(zip.bytes.clone(), label)
}

/// Handles Ctrl-C and SIGTERM from now on, and tells the user the effect of each signal.
fn interrupt(ui: &Ui) -> std::io::Result<Interrupt> {
    let ui = ui.clone();
    Interrupt::on_signals(move |urgency| match urgency {
        Urgency::Now => ui.notice("stopping at once; the next run checks what this one has begun"),
        _ => ui.notice("finishing what has begun, and starting nothing new; interrupt again to stop now"),
    })
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
