//! `publisher publish`: the plan, and with --execute the deed.

use super::account::{self, AccountOptions, RegionOptions, command};
use crate::{
    aws::{
        audience::{AccountId, Audience, OrganizationId, Reader},
        budget::InFlight,
        identity::Identity,
        partition::RegionName,
        regions::{Choice, RegionPattern, Selection},
        session::Session,
        upload::{Label, Upload},
    },
    failure::{Code, Failure, chain},
    release::{
        balance,
        board::Board,
        bundle::{self, Bundle, BundleError},
        files::Aside,
        fleet::{self, Berth, Cargo, Observer, Terms},
        journal::{Journal, JournalError},
        layer_name,
        layers::{self, LayersError, LayersManifest, Placement},
        plan::{Action, LICENSE, Wanted},
        report::{self, Row},
        rollout::Progress,
        stop::{Stop, Urgency},
        time,
    },
    ui::Ui,
};
use clap::ArgAction;
use serde::Serialize;
use serde_json::json;
use std::{path::PathBuf, sync::Arc};

/// Arguments of `publisher publish`.
#[derive(clap::Args)]
pub struct Publish {
    /// The folder with build.json, SHA256SUMS and the zips
    #[arg(long, value_name = "DIR", default_value = "dist")]
    dist: PathBuf,

    /// The layers' names; {arch} {version} {major} {minor} {patch} are filled in [default:
    /// SentryLambdaExtension-{arch}]
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "version_style")]
    layer_name: Option<String>,

    /// Where the release's version is: in the layer's number, or in its name (then the number is 1 everywhere)
    #[arg(long, value_enum, default_value = "numbered")]
    version_style: VersionStyle,

    #[command(flatten)]
    regions: RegionOptions,

    /// Try these regions too, without letting them decide the exit code; patterns too
    #[arg(long, value_name = "REGION,…", value_delimiter = ',')]
    optional_regions: Vec<RegionPattern>,

    /// Let only these accounts use the layers, instead of everybody
    #[arg(long, value_name = "ID,…", value_delimiter = ',')]
    account: Vec<AccountId>,

    /// Let only the accounts of this organization use the layers, instead of everybody
    #[arg(long, value_name = "o-…", value_delimiter = ',')]
    organization: Vec<OrganizationId>,

    /// Let nobody else use the layers
    #[arg(long, conflicts_with_all = ["account", "organization"])]
    private: bool,

    /// Publish a version like 1.2.0-rc.1
    #[arg(long)]
    prerelease: bool,

    /// Where version numbers differ, publish again to those that are behind: at most N times each
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "10", require_equals = true)]
    balance: Option<u16>,

    /// Bring zips over 50 MB to Lambda through this bucket; {region} is filled in
    #[arg(long, value_name = "TEMPLATE")]
    s3_bucket: Option<String>,

    /// Leave the zips in the bucket
    #[arg(long, requires = "s3_bucket")]
    keep_s3: bool,

    /// How many uploads at once
    #[arg(long, value_name = "N", default_value = "32")]
    max_uploads: u16,

    /// How many mebibytes of uploads at once
    #[arg(long, value_name = "MIB", default_value = "512")]
    max_in_flight: u16,

    /// Do what the plan says; without this, nothing is written
    #[arg(long, action = ArgAction::SetTrue)]
    execute: bool,

    #[command(flatten)]
    account_options: AccountOptions,
}

/// Where the release's version is.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum VersionStyle {
    /// One layer; its numbers are Lambda's
    Numbered,
    /// A layer for each release
    Named,
}

/// The result, for machines.
#[derive(Serialize)]
struct Document<'a> {
    execute: bool,
    version: &'a str,
    commit: &'a str,
    account: &'a str,
    partition: &'a str,
    audience: &'a Audience,
    regions: &'a [Row],
    disabled: &'a [RegionName],
}

struct Release {
    wanted: Vec<Wanted>,
    bundle: Bundle,
    audience: Audience,
}

impl Publish {
    /// Does it.
    pub fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let release = self.open()?;
        account::runtime()?.block_on(self.publish(ui, &release))
    }

    fn open(&self) -> Result<Release, Failure> {
        let bundle = Bundle::open(&self.dist).map_err(not_fit)?;
        if bundle.is_prerelease() && !self.prerelease {
            let text = format!("{} is a prerelease", bundle.version);
            return Err(Failure::message(Code::Usage, text).hint("if it is meant, say so with --prerelease"));
        }
        if let Some(zip) = bundle.zips.iter().find(|zip| zip.bytes.len() as u64 > bundle::DIRECT)
            && self.s3_bucket.is_none()
        {
            let (arch, size) = (zip.arch, zip.bytes.len());
            let text = format!(
                "the {arch} zip has {size} bytes; Lambda takes at most {} with the request",
                bundle::DIRECT
            );
            return Err(Failure::message(Code::Failed, text).hint(
                "name a bucket that it can go through, in each region: --s3-bucket 'layers-{region}'",
            ));
        }
        let audience = self.audience();
        let of_release = layer_name::of_release(&bundle.version);
        let template = match (&self.layer_name, self.version_style) {
            (Some(template), _) => template,
            (None, VersionStyle::Named) => &of_release,
            (None, VersionStyle::Numbered) => "SentryLambdaExtension-{arch}",
        };
        let names = layer_name::names(template, &bundle.version)
            .map_err(|error| Failure::message(Code::Usage, chain(&error)))?;
        let wanted = names.into_iter().filter_map(|(arch, layer)| {
            let zip = bundle.zips.iter().find(|zip| zip.arch == arch)?;
            let (digest, size) = (zip.digest, zip.bytes.len() as u64);
            Some(Wanted { arch, layer, digest, size, audience: audience.clone() })
        });
        Ok(Release { wanted: wanted.collect(), audience, bundle })
    }

    fn audience(&self) -> Audience {
        let accounts = self.account.iter().cloned().map(Reader::Account);
        let named = accounts.chain(self.organization.iter().cloned().map(Reader::Organization));
        if self.private || !self.account.is_empty() || !self.organization.is_empty() {
            Audience::of(named)
        } else {
            Audience::public()
        }
    }

    async fn publish(&self, ui: &Ui, release: &Release) -> Result<(), Failure> {
        let choice = Choice {
            regions: self.regions.regions.clone(),
            optional: self.optional_regions.clone(),
            exclude: self.regions.exclude.clone(),
        };
        let near = account::near(&choice);
        let (session, identity) = account::enter(ui, &self.account_options, near.as_ref()).await?;
        let selection = account::select(ui, &session, &identity, &choice).await?;
        let mut manifest = LayersManifest::of(&release.bundle, &identity, &release.wanted);
        // What could keep the result from being written down is found out before there is one.
        let earlier = manifest.earlier(&self.dist).map_err(|error| self.cannot_note(error))?;
        let (aside, cargo) = if self.execute {
            let aside = Aside::of(&self.dist.join(layers::FILE)).map_err(Failure::new)?;
            (Some(aside), Some(self.load(ui, release, &identity)?))
        } else {
            (None, None)
        };
        let berths = self.sail(ui, &session, &selection, release, cargo.as_ref()).await?;
        let rows: Vec<Row> = berths.into_iter().map(|berth| berth.row).collect();
        if let Some(aside) = aside {
            note(&mut manifest, &rows, &release.audience);
            if let Some(earlier) = earlier {
                manifest.keep(earlier);
            }
            if manifest.layers.values().any(|layer| !layer.regions.is_empty()) {
                manifest.write(aside).map_err(|error| self.cannot_note(error))?;
                ui.status("Wrote", self.dist.join(layers::FILE).display());
            }
        }
        if ui.json() {
            let document = Document {
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
        self.conclude(ui, &rows)
    }

    async fn sail(
        &self,
        ui: &Ui,
        session: &Arc<Session>,
        selection: &Selection,
        release: &Release,
        cargo: Option<&Cargo>,
    ) -> Result<Vec<Berth>, Failure> {
        let named = self.version_style == VersionStyle::Named;
        let terms = Terms { bucket: self.s3_bucket.clone(), named };
        let total = selection.targets.len() * release.wanted.len();
        let mut watch =
            Watch { ui, board: Board::new(ui, total), execute: self.execute, balance: self.balance };
        let targets = &selection.targets;
        let mut berths = fleet::run(session, targets, &release.wanted, &terms, cargo, &mut watch).await?;
        if let (Some(cargo), Some(limit)) = (cargo, self.balance) {
            balance::level(&mut berths, cargo, limit).await;
        }
        drop(watch);
        if self.execute {
            let rows: Vec<Row> = berths.iter().filter(|b| b.row.done).map(|b| b.row.clone()).collect();
            tell_drift(ui, &rows, self.balance);
        }
        Ok(berths)
    }

    fn load(&self, ui: &Ui, release: &Release, identity: &Identity) -> Result<Cargo, Failure> {
        let bundle = &release.bundle;
        let upload = |zip: &bundle::Zip| {
            let label = Label { description: bundle.description(zip), license: LICENSE, arch: zip.arch };
            Upload::new(zip.bytes.clone(), label).map(|upload| (zip.arch, upload))
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
        let stop = Stop::on_signals(move |urgency| match urgency {
            Urgency::Now => listener.warning("stopping at once; what has begun is found out by the next run"),
            _ => listener
                .warning("finishing what has begun, beginning nothing more; once more to stop at once"),
        })
        .map_err(Failure::new)?;
        let in_flight = InFlight::new(self.max_uploads, self.max_in_flight);
        Ok(Cargo { uploads, in_flight, journal, stop, keep_s3: self.keep_s3 })
    }

    fn conclude(&self, ui: &Ui, rows: &[Row]) -> Result<(), Failure> {
        let missing: Vec<String> = rows
            .iter()
            .filter(|row| row.required)
            .filter_map(|row| Some(format!("{} {}: {}", row.region, row.arch, row.error.as_ref()?)))
            .collect();
        let settled = !rows.is_empty() && rows.iter().all(|row| row.action == Some(Action::Adopt));
        let summary =
            if settled && missing.is_empty() { "nothing to do".to_owned() } else { report::summary(rows) };
        ui.status(if self.execute { "Finished" } else { "Planned" }, summary);
        if !missing.is_empty() {
            let verb = if self.execute { "done" } else { "ready to be published" };
            let text =
                format!("{} required layers are not {verb}:\n  {}", missing.len(), missing.join("\n  "));
            return Err(Failure::message(Code::Incomplete, text)
                .hint(format!("what is done stays done; run the same again to resume:\n  {}", command(""))));
        }
        if !self.execute && !settled {
            ui.status("Note", format!("nothing was written; to act:  {}", command(" --execute")));
        }
        Ok(())
    }

    fn cannot_note(&self, error: LayersError) -> Failure {
        let file = self.dist.join(layers::FILE);
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

/// What is said while it goes on.
struct Watch<'a> {
    ui: &'a Ui,
    board: Board,
    execute: bool,
    balance: Option<u16>,
}

impl Observer for Watch<'_> {
    fn planned(&mut self, rows: &[Row]) -> Result<(), Failure> {
        self.ui.event(&json!({"event": "plan", "regions": rows}));
        let fatal: Vec<String> = rows
            .iter()
            .filter(|row| row.fatal && row.required)
            .filter_map(|row| Some(format!("{} {}: {}", row.region, row.arch, row.error.as_ref()?)))
            .collect();
        if !fatal.is_empty() {
            let text = format!("nothing was written:\n  {}", fatal.join("\n  "));
            return Err(Failure::message(Code::Failed, text)
                .hint("make the buckets, or leave regions out with --exclude or --optional-regions"));
        }
        if self.execute {
            self.ui.text(&report::table(rows));
        }
        if !self.execute {
            tell_drift(self.ui, rows, self.balance);
        }
        Ok(())
    }

    fn progress(&mut self, progress: &Progress) {
        self.board.progress(progress);
    }

    fn ended(&mut self, row: &Row) {
        self.board.ended(row);
    }
}

fn tell_drift(ui: &Ui, rows: &[Row], balance: Option<u16>) {
    for drift in balance::drift(rows) {
        let next = match balance {
            None => format!("--balance={} publishes again until they agree", drift.width()),
            Some(_) if rows.iter().all(|row| row.done) => {
                "--balance could not bring them together".to_owned()
            }
            Some(limit) => format!("--balance publishes up to {limit} times more until they agree"),
        };
        ui.warning(format!("{drift}; {next}"));
    }
}

fn note(manifest: &mut LayersManifest, rows: &[Row], audience: &Audience) {
    let verified_at = time::now();
    for row in rows.iter().filter(|row| row.done) {
        if let (Some(arn), Some(version)) = (row.arn.clone(), row.version) {
            let placement =
                Placement { arn, version, grant: audience.clone(), verified_at: verified_at.clone() };
            manifest.place(row.arch, row.region.clone(), placement);
        }
    }
}

fn not_fit(error: BundleError) -> Failure {
    let next = match &error {
        BundleError::NotBuilt(_) => "build first: ci/build; --dist names another folder to look in",
        BundleError::TooLarge { .. } => "find out what made it grow; build again with ci/build",
        _ => "build again: ci/build",
    };
    Failure::new(error).hint(next)
}
