//! `publisher publish`: the plan, and with --execute the deed.

mod observer;
mod options;
mod summary;

pub(crate) use options::Publish;

use crate::{
    artifacts::{
        atomic_file::AtomicFile,
        bundle,
        layers_manifest::{self, LastRegions, LayersError, LayersManifest, Placement},
    },
    aws::{
        audience::{AccountId, Audience},
        identity::Identity,
        partition::RegionName,
        rate_limit::InFlight,
        regions::{RegionPattern, Selection},
        session::Session,
        upload::{Label, Upload},
    },
    commands::common::{
        account::{self, command},
        fewer_regions,
    },
    failure::{Code, Failure},
    github_actions::WorkflowStep,
    model::{time, variant::Variant},
    publish::{
        interrupt::{Interrupt, Urgency},
        journal::{Journal, JournalError},
        plan::{self, Action},
        progress_bars::ProgressBars,
        report::{self, Row},
        run::{self, LayerOptions, RegionResult, WriteContext},
        version_balance,
    },
    ui::Ui,
};
use observer::{ProgressObserver, tell_drift};
use options::{PublishPlan, VersionStyle};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The result, for machines.
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
    /// Does it.
    pub(crate) fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let release = self.open()?;
        account::runtime()?.block_on(self.publish(ui, &release))
    }

    async fn publish(&self, ui: &Ui, release: &PublishPlan) -> Result<(), Failure> {
        let choice = self.choice();
        let near = account::near(&choice);
        let (session, identity) = account::enter(ui, &self.account_options, near.as_ref()).await?;
        let selection = account::select(ui, &session, &identity, &choice).await?;
        let mut manifest = LayersManifest::of(&release.bundle, &identity, release.layers());
        // What could keep the result from being written down is found out before there is one.
        let earlier =
            manifest.earlier(&self.dist, &release.bundle.built).map_err(|error| self.cannot_note(error))?;
        let last = self.last_regions()?;
        self.announce_fewer(ui, &last, &manifest, &selection);
        let (aside, write) = if self.execute {
            let aside = AtomicFile::of(&self.dist.join(layers_manifest::FILE)).map_err(Failure::new)?;
            (Some(aside), Some(self.load(ui, release, &identity)?))
        } else {
            (None, None)
        };
        let results = self.publish_all(ui, &session, &identity, &selection, release, write.as_ref()).await?;
        let rows: Vec<Row> = results.into_iter().map(|result| result.row).collect();
        let mut written = None;
        if self.execute {
            note(&mut manifest, &rows, &release.audience);
        }
        if let Some(earlier) = &earlier {
            manifest.keep(earlier, &release.bundle.built);
        }
        let missing = self.fewer.missing(&last, &present(&manifest, &rows, self.execute));
        manifest.set_missing(&missing);
        if let Some(aside) = aside
            && manifest.all().any(|(_, layer)| !layer.regions.is_empty())
        {
            manifest.write(aside).map_err(|error| self.cannot_note(error))?;
            ui.status("Wrote", self.dist.join(layers_manifest::FILE).display());
            written = Some(manifest);
        }
        if ui.json() {
            let document = PublishDocument {
                execute: self.execute,
                version: &release.bundle.version,
                commit: &release.bundle.commit,
                account: &identity.account,
                partition: identity.partition.name(),
                audience: &release.audience,
                regions: &rows,
                disabled: &selection.left_out,
            };
            ui.result(serde_json::to_string_pretty(&document).map_err(Failure::new)?);
        } else {
            ui.result(report::table(&rows));
        }
        // A release that is incomplete is told as well, and its failure is the one that counts.
        let told = self.tell_github(&release.bundle.version, written.as_ref(), &rows);
        let concluded = self.conclude(ui, &rows).and_then(|()| {
            let why = |region: &RegionName| self.why_missing(region, &rows, &selection);
            let silently = missing.only(|region| !self.is_partial_without(region));
            fewer_regions::failure(&silently, identity.partition, why).map_or(Ok(()), Err)
        });
        match (concluded, told) {
            (Ok(()), told) => told,
            (failed, told) => {
                told.unwrap_or_else(|error| ui.warning(error.text()));
                failed
            }
        }
    }

    /// Where the last release has its layers: by the files that are named, and by the manifest that this run replaces.
    fn last_regions(&self) -> Result<LastRegions, Failure> {
        let mut last = self.fewer.last_regions()?;
        match LayersManifest::open(&self.dist) {
            Ok(manifest) => last.add(&manifest),
            Err(LayersError::NotPublished(_)) => {}
            Err(error) => return Err(self.cannot_note(error)),
        }
        Ok(last)
    }

    /// Says before anything is done which regions of the last release this run does not even try.
    fn announce_fewer(&self, ui: &Ui, last: &LastRegions, manifest: &LayersManifest, selection: &Selection) {
        let tried = selection.targets.iter().filter(|target| target.disabled.is_none());
        let tried: BTreeSet<RegionName> = tried.map(|target| target.region.clone()).collect();
        let present = manifest.all().map(|(variant, _)| (variant, tried.clone())).collect();
        let missing = self.fewer.missing(last, &present);
        if let Some(failure) = fewer_regions::failure(&missing, manifest.partition(), |region| {
            self.why_missing(region, &[], selection)
        }) {
            ui.warning(failure.text());
        }
    }

    /// Whether this run was told not to go to a region. That is a part of a release, which the next part goes on with:
    /// `layers.json` keeps in mind what is missing. Compared with a file that was named, a part is not enough.
    fn is_partial_without(&self, region: &RegionName) -> bool {
        let is_in = |patterns: &[RegionPattern]| patterns.iter().any(|pattern| pattern.matches(region));
        let only = &self.regions.regions;
        self.fewer.previous.is_empty()
            && (is_in(&self.regions.exclude)
                || !(only.is_empty() || is_in(only) || is_in(&self.optional_regions)))
    }

    fn why_missing(&self, region: &RegionName, rows: &[Row], selection: &Selection) -> Option<String> {
        if let Some(row) = rows.iter().find(|row| row.region == *region) {
            return row.error.clone().or_else(|| row.note.clone());
        }
        if selection.left_out.contains(region) {
            return Some("it is switched off in this account".to_owned());
        }
        if self.regions.exclude.iter().any(|pattern| pattern.matches(region)) {
            return Some("it was excluded".to_owned());
        }
        let narrowed = !self.regions.regions.is_empty();
        let text =
            if narrowed { "it was not asked for" } else { "the account's list of regions does not have it" };
        Some(text.to_owned())
    }

    /// What GitHub Actions wants to know, where it runs us.
    fn tell_github(
        &self,
        version: &str,
        layers: Option<&LayersManifest>,
        rows: &[Row],
    ) -> Result<(), Failure> {
        let step = WorkflowStep::from_env();
        step.summary(&summary::markdown(version, self.execute, layers, rows))?;
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
            execute: self.execute,
            balance: self.balance,
        };
        let targets = &selection.targets;
        let mut results =
            run::publish_all(session, targets, &release.wanted, &options, write, &mut observer).await?;
        if let (Some(write), Some(limit)) = (write, self.balance) {
            tokio::select! {
                () = version_balance::level(&mut results, write, limit) => {}
                () = write.interrupt.asked(Urgency::Now) => {
                    return Err(Failure::message(Code::Incomplete, "interrupted while numbers were balanced")
                        .hint(format!("run the same again to resume:\n  {}", command(""))));
                }
            }
        }
        drop(observer);
        if self.execute {
            let rows: Vec<Row> = results.iter().filter(|b| b.row.done).map(|b| b.row.clone()).collect();
            tell_drift(ui, &rows, self.balance);
        }
        Ok(results)
    }

    fn load(&self, ui: &Ui, release: &PublishPlan, identity: &Identity) -> Result<WriteContext, Failure> {
        let bundle = &release.bundle;
        let upload = |zip: &bundle::Zip| {
            let description = bundle.description(zip);
            let license = plan::license(zip.variant.kind);
            let arch = Some(zip.variant.arch);
            let runtimes = zip.runtimes.clone();
            let label = Label { description, license, arch, runtimes };
            Upload::new(zip.bytes.clone(), label).map(|upload| (zip.variant, upload))
        };
        let uploads = bundle.zips.iter().map(upload).collect::<Result<_, _>>().map_err(Failure::new)?;
        let digests: Vec<_> = bundle.zips.iter().map(|zip| zip.digest).collect();
        let path = Journal::path(&self.dist, &bundle.version, &digests);
        let journal = Journal::open(path, &identity.account).map_err(|error| {
            let next = match &error {
                JournalError::Busy(_) => "wait until it has ended, then run the same again",
                JournalError::Io { .. } => "make the folder writable, and run the same again",
            };
            Failure::new(error).hint(next)
        })?;
        let listener = ui.clone();
        let interrupt = Interrupt::on_signals(move |urgency| match urgency {
            Urgency::Now => listener.warning("stopping at once; what has begun is found out by the next run"),
            _ => listener
                .warning("finishing what has begun, beginning nothing more; once more to stop at once"),
        })
        .map_err(Failure::new)?;
        let in_flight = InFlight::new(self.max_uploads, self.max_in_flight);
        Ok(WriteContext { uploads, in_flight, journal, interrupt, keep_s3: self.keep_s3 })
    }

    fn conclude(&self, ui: &Ui, rows: &[Row]) -> Result<(), Failure> {
        let say = |row: &Row| Some(format!("{} {}: {}", row.region, row.variant, row.error.as_ref()?));
        let not_as_sent: Vec<&Row> = rows.iter().filter(|row| row.not_as_sent).collect();
        let required: Vec<&Row> = rows.iter().filter(|row| row.required && row.error.is_some()).collect();
        let missing: Vec<String> = required.iter().filter_map(|row| say(row)).collect();
        let settled = !rows.is_empty() && rows.iter().all(|row| row.action == Some(Action::Adopt));
        let summary =
            if settled && missing.is_empty() { "nothing to do".to_owned() } else { report::summary(rows) };
        ui.status(if self.execute { "Finished" } else { "Planned" }, summary);
        if !not_as_sent.is_empty() {
            let lines: Vec<String> = not_as_sent.iter().filter_map(|row| say(row)).collect();
            let text = format!(
                "what AWS has is not what was sent; it is not granted, and not published again:\n  {}",
                lines.join("\n  ")
            );
            return Err(Failure::message(Code::Failed, text).hint(next_for(&not_as_sent)));
        }
        if !missing.is_empty() {
            let verb = if self.execute { "done" } else { "ready to be published" };
            let text =
                format!("{} required layers are not {verb}:\n  {}", missing.len(), missing.join("\n  "));
            return Err(Failure::message(Code::Incomplete, text).hint(next_for(&required)));
        }
        if !self.execute && !settled {
            ui.status("Note", format!("nothing was written; to act:  {}", command(" --execute")));
        }
        Ok(())
    }

    fn cannot_note(&self, error: LayersError) -> Failure {
        let file = self.dist.join(layers_manifest::FILE);
        let next = match &error {
            LayersError::Write(_) => format!("make {} writable and run the same again", self.dist.display()),
            LayersError::OtherAccount { .. } => {
                format!(
                    "move {} away first, or publish from a copy of the folder with --dist",
                    file.display()
                )
            }
            _ => format!("move {} away, and run the same again", file.display()),
        };
        Failure::new(error).hint(next)
    }
}

/// What to do about failed rows: what has to change, each once, and the command again where that may be enough.
fn next_for(rows: &[&Row]) -> String {
    let mut next: Vec<&str> = Vec::new();
    for remedy in rows.iter().filter_map(|row| row.remedy.as_deref()) {
        if !next.contains(&remedy) {
            next.push(remedy);
        }
    }
    let again = command("");
    let resume = if rows.iter().any(|row| row.remedy.is_none()) {
        format!("what is done stays done; run the same again to resume:\n  {again}")
    } else if rows.iter().any(|row| row.not_as_sent) {
        "what is done stays done".to_owned()
    } else {
        format!("what is done stays done; once that is changed, this resumes:\n  {again}")
    };
    next.push(&resume);
    next.join("\n")
}

/// Where each layer is after the run or, of a plan, where it would be.
fn present(
    manifest: &LayersManifest,
    rows: &[Row],
    executed: bool,
) -> BTreeMap<Variant, BTreeSet<RegionName>> {
    let mut present = manifest.present();
    if !executed {
        for row in rows.iter().filter(|row| row.error.is_none() && !row.left_out) {
            present.entry(row.variant).or_default().insert(row.region.clone());
        }
    }
    present
}

fn note(manifest: &mut LayersManifest, rows: &[Row], audience: &Audience) {
    let verified_at = time::now();
    for row in rows.iter().filter(|row| row.done) {
        if let (Some(arn), Some(version)) = (row.arn.clone(), row.version) {
            let placement =
                Placement { arn, version, grant: audience.clone(), verified_at: verified_at.clone() };
            manifest.place(row.variant, row.region.clone(), placement);
        }
    }
}
