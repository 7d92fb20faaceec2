//! `publisher publish`: the plan, and with --execute the deed.

use crate::{
    aws::{
        budget::InFlight,
        identity::{self, Identity},
        partition::RegionName,
        regions::{self, ListError, Selection},
        session::{AwsOptions, Session, SessionError},
        upload::{Label, Upload},
    },
    failure::{Code, Failure, chain},
    release::{
        bundle::{Bundle, BundleError},
        files::Aside,
        fleet::{self, Cargo},
        layer_name,
        layers::{self, GrantName, LayersError, LayersManifest, Placement},
        plan::{Action, LICENSE, Wanted},
        report::{self, Row},
    },
    ui::Ui,
};
use aws_sdk_lambda::primitives::{DateTime, DateTimeFormat};
use serde::Serialize;
use std::{path::PathBuf, sync::Arc, time::SystemTime};

/// Two of the largest zips, encoded, or many small ones.
const IN_FLIGHT_MEBIBYTES: u32 = 160;

/// Arguments of `publisher publish`.
#[derive(clap::Args)]
pub struct Publish {
    /// The folder with build.json, SHA256SUMS and the zips
    #[arg(long, value_name = "DIR", default_value = "dist")]
    dist: PathBuf,

    /// The layers' names; {arch} {version} {major} {minor} {patch} are filled in
    #[arg(long, value_name = "TEMPLATE", default_value = "SentryLambdaExtension-{arch}")]
    layer_name: String,

    /// Publish to these regions instead of all that the account has enabled
    #[arg(long, value_name = "REGION,…", value_delimiter = ',')]
    regions: Vec<RegionName>,

    /// Try these regions too, without letting them decide the exit code
    #[arg(long, value_name = "REGION,…", value_delimiter = ',')]
    optional_regions: Vec<RegionName>,

    /// Do what the plan says; without this, nothing is written
    #[arg(long)]
    execute: bool,

    #[command(flatten)]
    aws: AwsOptions,
}

/// The result, for machines.
#[derive(Serialize)]
struct Document<'a> {
    execute: bool,
    version: &'a str,
    commit: &'a str,
    account: &'a str,
    partition: &'a str,
    regions: &'a [Row],
    disabled: &'a [RegionName],
}

impl Publish {
    /// Does it.
    pub fn run(&self, ui: &Ui) -> Result<(), Failure> {
        let bundle = Bundle::open(&self.dist).map_err(not_fit)?;
        let names = layer_name::names(&self.layer_name, &bundle.version)
            .map_err(|error| Failure::message(Code::Usage, chain(&error)))?;
        let wanted: Vec<Wanted> = names
            .into_iter()
            .filter_map(|(arch, layer)| {
                let zip = bundle.zips.iter().find(|zip| zip.arch == arch)?;
                Some(Wanted { arch, layer, digest: zip.digest, size: zip.bytes.len() as u64 })
            })
            .collect();
        runtime()?.block_on(self.publish(ui, bundle, &wanted))
    }

    async fn publish(&self, ui: &Ui, bundle: Bundle, wanted: &[Wanted]) -> Result<(), Failure> {
        let near = self.regions.first().or(self.optional_regions.first());
        let (session, identity) = enter(ui, &self.aws, near).await?;
        let selection = self.select(ui, &session, &identity).await?;
        let mut manifest = LayersManifest::of(&bundle, &identity, wanted);
        // What could keep the result from being written down is found out before there is one.
        let earlier = manifest.earlier(&self.dist).map_err(|error| cannot_note(error, &self.dist))?;
        let (aside, cargo) = if self.execute {
            let aside = Aside::of(&self.dist.join(layers::FILE)).map_err(Failure::new)?;
            (Some(aside), Some(load(&bundle)?))
        } else {
            (None, None)
        };
        let (version, commit) = (bundle.version.clone(), bundle.commit.clone());
        drop(bundle);

        let rows = fleet::run(&session, &selection.targets, wanted, cargo.as_ref(), |row| {
            if self.execute {
                tell(ui, row);
            }
        })
        .await;

        if let Some(aside) = aside {
            note(&mut manifest, &rows);
            if let Some(earlier) = earlier {
                manifest.keep(earlier);
            }
            if manifest.layers.values().any(|layer| !layer.regions.is_empty()) {
                manifest.write(aside).map_err(|error| cannot_note(error, &self.dist))?;
                ui.status("Wrote", self.dist.join(layers::FILE).display());
            }
        }
        if ui.json() {
            let document = Document {
                execute: self.execute,
                version: &version,
                commit: &commit,
                account: &identity.account,
                partition: identity.partition.name(),
                regions: &rows,
                disabled: &selection.left_out,
            };
            ui.result(serde_json::to_string_pretty(&document).map_err(Failure::new)?);
        } else {
            ui.result(report::table(&rows));
        }
        self.conclude(ui, &rows)
    }

    async fn select(&self, ui: &Ui, session: &Session, identity: &Identity) -> Result<Selection, Failure> {
        for region in self.regions.iter().chain(&self.optional_regions) {
            if region.partition() != identity.partition {
                let (theirs, ours) = (region.partition(), identity.partition);
                let text = format!("{region} is in the partition {theirs}, these credentials are of {ours}");
                return Err(Failure::message(Code::Failed, text)
                    .hint("publish to each partition in a run of its own, with credentials of its own"));
            }
        }
        let listing = match regions::list(session, identity).await {
            Ok(listing) => Some(listing),
            // Where the regions are named, the list only tells which of them are switched off.
            Err(_) if !self.regions.is_empty() => None,
            Err(ListError::Unavailable(why)) => {
                ui.warning(format!(
                    "the account's own list of regions is not to be had ({why}); taking the list compiled in, \
                     with regions that need to be opted in to as optional"
                ));
                None
            }
            Err(error @ ListError::Call(_)) => return Err(Failure::new(error).hint("run it again")),
        };
        let chosen =
            regions::choose(listing.as_ref(), identity.partition, &self.regions, &self.optional_regions);
        if !chosen.left_out.is_empty() {
            let names: Vec<&str> = chosen.left_out.iter().map(RegionName::as_str).collect();
            ui.status("Left out", format!("disabled in this account: {}", names.join(" ")));
        }
        Ok(chosen)
    }

    fn conclude(&self, ui: &Ui, rows: &[Row]) -> Result<(), Failure> {
        let missing: Vec<String> = rows
            .iter()
            .filter(|row| row.required)
            .filter_map(|row| Some(format!("{} {}: {}", row.region, row.arch, row.error.as_ref()?)))
            .collect();
        let settled = !rows.is_empty() && rows.iter().all(|row| row.action == Some(Action::Adopt));
        let summary = if settled { "nothing to do".to_owned() } else { report::summary(rows) };
        ui.status(if self.execute { "Finished" } else { "Planned" }, summary);
        if !missing.is_empty() {
            let verb = if self.execute { "done" } else { "readable" };
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
}

/// Credentials, and whose they are: the start of everything that talks to AWS.
pub async fn enter(
    ui: &Ui,
    options: &AwsOptions,
    near: Option<&RegionName>,
) -> Result<(Session, Identity), Failure> {
    let refused = |error: SessionError| {
        let next = error.next();
        Failure::new(error).hint(next)
    };
    let session = Session::open(options, near).await.map_err(refused)?;
    let identity = identity::caller(&session).await.map_err(refused)?;
    ui.status("Account", format!("{} ({})", identity.account, identity.partition));
    Ok((session, identity))
}

/// The runtime that the steps which talk to AWS run in.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::new)
}

fn load(bundle: &Bundle) -> Result<Cargo, Failure> {
    let upload = |zip| {
        let label = Label { description: bundle.description(zip), license: LICENSE, arch: zip.arch };
        Upload::new(&zip.bytes, &label).map(|upload| (zip.arch, upload))
    };
    let uploads = bundle.zips.iter().map(upload).collect::<Result<_, _>>().map_err(Failure::new)?;
    Ok(Cargo { uploads: Arc::new(uploads), in_flight: InFlight::mebibytes(IN_FLIGHT_MEBIBYTES) })
}

fn tell(ui: &Ui, row: &Row) {
    let (region, arch) = (&row.region, row.arch);
    match (&row.error, row.version) {
        (Some(error), _) => ui.status("Failed", format!("{region} {arch}: {error}")),
        (None, Some(version)) => {
            let state = row.state();
            ui.status("Done", format!("{region} {arch}: {state}, version {version}"));
        }
        (None, None) => ui.status("Done", format!("{region} {arch}: {}", row.state())),
    }
}

fn note(manifest: &mut LayersManifest, rows: &[Row]) {
    let now = DateTime::from_secs(DateTime::from(SystemTime::now()).secs());
    let verified_at = now.fmt(DateTimeFormat::DateTime).unwrap_or_default();
    for row in rows.iter().filter(|row| row.done) {
        if let (Some(arn), Some(version)) = (row.arn.clone(), row.version) {
            let placement =
                Placement { arn, version, grant: GrantName::Public, verified_at: verified_at.clone() };
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

fn cannot_note(error: LayersError, dist: &std::path::Path) -> Failure {
    let file = dist.join(layers::FILE);
    let next = match &error {
        LayersError::Write(_) => format!("make {} writable and run the same again", dist.display()),
        LayersError::OtherAccount { .. } => {
            format!("move {} away first, or publish from a copy of the folder with --dist", file.display())
        }
        _ => format!("move {} away, and run the same again", file.display()),
    };
    Failure::new(error).hint(next)
}

/// This very command, for a shell, and something more.
fn command(more: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    let quote = |word: String| {
        if !word.is_empty() && word.chars().all(plain) {
            word
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    let words: Vec<String> = std::env::args().map(quote).collect();
    words.join(" ") + more
}
