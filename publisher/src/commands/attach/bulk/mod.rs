//! `publisher attach` for many functions: finds them, prints the plan, and carries it out.

mod context;
mod find;
mod report;
mod rollout;
mod row;
mod undo;

use crate::{
    artifacts::layers_manifest::LayersManifest,
    attach::state_file::{StateFile, StateFileError},
    aws::{
        partition::RegionName,
        regions::{RegionChoice, RegionPattern},
    },
    commands::{
        attach::{Attach, name::FunctionName},
        common::account::{self, select},
    },
    failure::{Code, Failure},
    model::digest::Digest,
    ui::Ui,
};
use context::Context;
use row::RegionPlan;
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};
use tokio::task::JoinSet;

impl Attach {
    pub(super) async fn attach_many(&self, ui: &Ui, manifest: Option<LayersManifest>) -> Result<(), Failure> {
        let context = Arc::new(self.context(ui, manifest).await?);
        let mut tasks = JoinSet::new();
        for region in context.regions.clone() {
            tasks.spawn(find::find(Arc::clone(&context), region));
        }
        let mut found = Vec::new();
        while let Some(one) = tasks.join_next().await {
            found.push(one.map_err(Failure::new)??);
        }
        self.expect_all_matched(&found, &context.regions)?;
        let mut plans: Vec<RegionPlan> = found.into_iter().map(|found| found.plan).collect();
        plans.sort_by(|a, b| a.region.cmp(&b.region));
        for plan in &plans {
            report::advise(ui, plan, self.detach);
        }
        if !self.act.execute {
            return report::planned(ui, &plans, &context.identity.account);
        }
        let path = self.state.clone().unwrap_or_else(|| self.default_state_file(&context));
        let state = StateFile::open(&path, &context.identity.account, &account::same_command());
        let state = Arc::new(state.map_err(state_file_failure)?);
        rollout::carry_out(ui, &context, plans, state, false).await
    }

    async fn context(&self, ui: &Ui, manifest: Option<LayersManifest>) -> Result<Context, Failure> {
        let mut exact: BTreeSet<RegionName> =
            self.functions.iter().filter_map(|name| name.region.clone()).collect();
        let is_without_region = self.functions.iter().any(|name| name.region.is_none());
        let mut patterns = self.regions.clone();
        if patterns.is_empty() && (is_without_region || self.functions.is_empty()) {
            patterns.push(RegionPattern::Exact(self.configured_region().await?));
        }
        let hint = patterns.first().map(RegionPattern::region_in_partition).or(exact.first().cloned());
        let (session, identity) = account::open_session(ui, &self.account_options, hint.as_ref()).await?;
        if patterns.iter().all(|pattern| matches!(pattern, RegionPattern::Exact(_))) {
            exact.extend(patterns.iter().map(RegionPattern::region_in_partition));
        } else {
            let choice = RegionChoice { regions: patterns, ..RegionChoice::default() };
            let chosen = select(ui, &session, &identity, &choice).await?;
            exact.extend(chosen.targets.into_iter().map(|target| target.region));
        }
        let (options, regions, ui) = (self.clone(), exact.into_iter().collect(), ui.clone());
        Ok(Context { options, manifest, session, identity, ui, regions })
    }

    /// Fails if a name or a pattern matches no function anywhere: most likely it is misspelt.
    fn expect_all_matched(&self, found: &[find::Found], regions: &[RegionName]) -> Result<(), Failure> {
        let regions: Vec<&str> = regions.iter().map(RegionName::as_str).collect();
        let regions = regions.join(", ");
        let is_matched = |n: usize| found.iter().any(|found| found.matched.get(n) == Some(&true));
        let names = self.functions.iter().map(|name| name.as_str().to_owned());
        let wanted: Vec<String> = names.chain(self.patterns.iter().map(ToString::to_string)).collect();
        let missing: Vec<&str> = wanted
            .iter()
            .enumerate()
            .filter(|(n, _)| !is_matched(*n))
            .map(|(_, text)| text.as_str())
            .collect();
        let seen: usize = found.iter().map(|found| found.seen).sum();
        let tags: Vec<String> = self.tags.iter().map(ToString::to_string).collect();
        let text = if !self.functions.is_empty() && !missing.is_empty() {
            format!("there is no function {} in {regions}", missing.join(", "))
        } else if !missing.is_empty() {
            let with = if tags.is_empty() { String::new() } else { format!(" with {}", tags.join(", ")) };
            format!("no function{with} matches {} in {regions}, of {seen} there", missing.join(", "))
        } else if found.iter().all(|found| found.plan.rows.is_empty()) {
            format!("no function has {} in {regions}, of {seen} there", tags.join(", "))
        } else {
            return Ok(());
        };
        Err(Failure::message(Code::Failed, text)
            .hint("nothing was changed; correct it, or name other regions with --regions"))
    }

    /// The same command has the same file, so that a second run continues the first, and one `--undo` takes both back.
    fn default_state_file(&self, context: &Context) -> PathBuf {
        let names: Vec<&str> = self.functions.iter().map(FunctionName::as_str).collect();
        let tags: Vec<String> = self.tags.iter().map(ToString::to_string).collect();
        let patterns: Vec<String> = self.patterns.iter().map(ToString::to_string).collect();
        let layer = match (&self.layer_arn, &context.manifest) {
            (Some(arn), _) => arn.to_string(),
            (None, Some(manifest)) => manifest.version.clone(),
            (None, None) => String::new(),
        };
        let goal = (&layer, self.relay, self.latest, self.detach, self.exec_wrapper, self.settings());
        let command = format!("{names:?} {tags:?} {patterns:?} {:?} {goal:?}", context.regions);
        let account = &context.identity.account;
        self.source
            .folder()
            .join(format!("attach-{account}-{}.jsonl", Digest::of(command.as_bytes()).short()))
    }
}

fn state_file_failure(error: StateFileError) -> Failure {
    let next = match &error {
        StateFileError::InUse(_) => "wait for the end of the other run; nothing was changed",
        StateFileError::Account { .. } => {
            "use the credentials of that account, e.g. with --profile, or name another file; nothing was changed"
        }
        StateFileError::Newer(_) => "use the publisher that wrote it; nothing was changed",
        StateFileError::Format(_) | StateFileError::Io { .. } => {
            "name the file that the run has printed; nothing was changed"
        }
    };
    Failure::new(error).hint(next)
}
