//! Finds the functions of one region, and decides what to do with each. Functions that nobody means are not kept.

use crate::{
    attach::{function_state::FunctionState, layer_list::ListChange, managed_by::managed_by},
    aws::{
        error::{CallError, CallErrorKind},
        functions::{Environment, Function, RegionFunctions, UpdateStatus},
        layer_arn::LayerArn,
        partition::RegionName,
        tags::RegionTags,
    },
    commands::attach::{
        bulk::{
            context::Context,
            row::{Job, Outcome, RegionPlan, Row, name_of},
        },
        explain,
        name::FunctionName,
        plan::{self, Goal},
    },
    failure::Failure,
    model::arch::Arch,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The functions of one region.
pub(crate) struct Found {
    pub(crate) plan: RegionPlan,
    /// For each name or pattern of the command line, whether it matched a function.
    pub(crate) matched: Vec<bool>,
    /// How many functions were looked at.
    pub(crate) seen: usize,
}

struct Finder {
    context: Arc<Context>,
    found: Found,
    /// The layer for each architecture, or why there is none.
    layers: BTreeMap<Arch, Result<LayerArn, String>>,
}

/// Reads the functions of `region`, and plans the change of each.
pub(crate) async fn find(context: Arc<Context>, region: RegionName) -> Result<Found, Failure> {
    let options = &context.options;
    let family = options.family(context.manifest.as_ref(), &region)?;
    let functions = RegionFunctions::new(&context.session, &region);
    let tags = RegionTags::new(&context.session, &region);
    let plan = RegionPlan { region, functions, family, rows: Vec::new(), jobs: Vec::new() };
    let matched = vec![false; options.functions.len() + options.patterns.len()];
    let found = Found { plan, matched, seen: 0 };
    let mut finder = Finder { context, found, layers: BTreeMap::new() };
    if finder.context.options.functions.is_empty() {
        finder.list(&tags).await?;
    } else {
        finder.read_named().await?;
    }
    finder.note_managers(&tags).await;
    finder.note_aliases().await;
    Ok(finder.found)
}

impl Finder {
    async fn read_named(&mut self) -> Result<(), Failure> {
        let context = Arc::clone(&self.context);
        let mut seen = BTreeSet::new();
        for (n, name) in context.options.functions.iter().enumerate() {
            if name.region.as_ref().is_some_and(|region| *region != self.found.plan.region) {
                continue;
            }
            match self.found.plan.functions.read(name.as_str()).await {
                Ok(function) => {
                    self.mark_matched(n);
                    if seen.insert(function.arn.clone()) {
                        self.add(function).await;
                    }
                }
                Err(error) if error.kind == CallErrorKind::NotFound => {}
                Err(error) => {
                    let region = &self.found.plan.region;
                    return Err(explain::cannot_read(error, name, region, &context.identity.account));
                }
            }
        }
        Ok(())
    }

    async fn list(&mut self, tags: &RegionTags) -> Result<(), Failure> {
        let context = Arc::clone(&self.context);
        let filters = &context.options.tags;
        let tagged = if filters.is_empty() {
            None
        } else {
            let wanted = filters.iter().map(|tag| (tag.key.as_str(), tag.value.as_deref()));
            let found = tags.functions_with(wanted).await;
            Some(found.map_err(|error| self.cannot_list(error, "tag:GetResources"))?)
        };
        let mut marker = None;
        loop {
            let page = self.found.plan.functions.page(marker.as_deref()).await;
            let page = page.map_err(|error| self.cannot_list(error, "lambda:ListFunctions"))?;
            for function in page.functions {
                self.found.seen += 1;
                if tagged.as_ref().is_none_or(|tagged| tagged.contains(&function.arn))
                    && self.matches(name_of(&function.arn))
                {
                    self.add(function).await;
                }
            }
            // A marker that does not move would never end.
            if page.next.is_none() || page.next == marker {
                return Ok(());
            }
            marker = page.next;
        }
    }

    /// Whether the name matches a pattern. Without patterns, every name does.
    fn matches(&mut self, name: &str) -> bool {
        let context = Arc::clone(&self.context);
        let mut is_matched = context.options.patterns.is_empty();
        for (n, pattern) in context.options.patterns.iter().enumerate() {
            if pattern.matches(name) {
                is_matched = true;
                self.mark_matched(n);
            }
        }
        is_matched
    }

    fn mark_matched(&mut self, n: usize) {
        if let Some(matched) = self.found.matched.get_mut(n) {
            *matched = true;
        }
    }

    fn cannot_list(&self, error: CallError, right: &str) -> Failure {
        let is_denied = error.kind == CallErrorKind::Denied;
        let failure = Failure::new(self.context.session.in_region(&self.found.plan.region, error));
        failure.hint(if is_denied {
            format!("finding functions needs {right}; name them instead, or allow it; nothing was changed")
        } else {
            "nothing was changed; run it again, or name other regions with --regions".to_owned()
        })
    }

    /// Decides what to do with a function that the user means.
    async fn add(&mut self, function: Function) {
        let before = FunctionState::of(&function);
        let lacks_dsn = matches!(&function.environment,
            Environment::Known(variables) if !variables.contains_key("SENTRY_DSN"));
        let mut row = Row {
            function: function.arn.clone(),
            region: self.found.plan.region.clone(),
            arch: Some(function.arch),
            runtime: function.runtime.clone(),
            outcome: Outcome::Skipped,
            why: None,
            action: ListChange::None,
            after: before.clone(),
            before,
            managed_by: None,
            aliases: Vec::new(),
            lacks_dsn,
        };
        if function.image {
            row.why = Some("a container image takes no layers: build the files into the image".to_owned());
        } else if function.update == UpdateStatus::Deleting {
            row.why = Some("it is being deleted".to_owned());
        } else {
            match self.decide(&function).await {
                Ok((goal, name, result)) => {
                    (row.action, row.after) = (result.action, result.after);
                    row.outcome = if result.changed { Outcome::Planned } else { Outcome::Unchanged };
                    if result.changed {
                        let (row, arn) = (self.found.plan.rows.len(), function.arn.clone());
                        self.found.plan.jobs.push(Job { row, name, arn, goal });
                    }
                }
                Err(why) => (row.outcome, row.why) = (Outcome::Refused, Some(why)),
            }
        }
        self.found.plan.rows.push(row);
    }

    async fn decide(
        &mut self,
        function: &Function,
    ) -> Result<(Goal, FunctionName, plan::UpdateResult), String> {
        let options = &self.context.options;
        let goal = if options.detach {
            Goal::Detached
        } else {
            let layer = self.layer(function).await?;
            let options = &self.context.options;
            Goal::Attached { layer, wrapper: options.exec_wrapper, settings: options.settings() }
        };
        let name: FunctionName = function.arn.parse().map_err(|error| format!("{error}"))?;
        let result = plan::preview(function, &goal, &self.found.plan.family);
        let result = result.map_err(|failure| failure.text().to_owned())?;
        Ok((goal, name, result))
    }

    /// The layer for the function's architecture, which is looked up once.
    async fn layer(&mut self, function: &Function) -> Result<LayerArn, String> {
        if let Some(known) = self.layers.get(&function.arch) {
            return known.clone();
        }
        let Context { options, manifest, session, identity, ui, .. } = &*self.context;
        let region = &self.found.plan.region;
        let layer = options.layer(ui, manifest.as_ref(), region, function, session, identity).await;
        let layer = layer.map_err(|failure| failure.text().to_owned());
        self.layers.insert(function.arch, layer.clone());
        layer
    }

    /// Notes which tools deploy the functions that will change. It only warns, so a failure is no reason to stop.
    async fn note_managers(&mut self, tags: &RegionTags) {
        let plan = &mut self.found.plan;
        let arns: Vec<String> = plan.jobs.iter().map(|job| job.arn.clone()).collect();
        let rows: BTreeMap<&str, usize> = plan.jobs.iter().map(|job| (job.arn.as_str(), job.row)).collect();
        match tags.of(&arns).await {
            Ok(tagged) => {
                for function in tagged {
                    let tags = function.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
                    let row = rows.get(function.arn.as_str()).and_then(|row| plan.rows.get_mut(*row));
                    if let Some(row) = row {
                        row.managed_by = managed_by(tags);
                    }
                }
            }
            Err(error) => self.context.ui.warning(format!(
                "{}: whether a stack or Terraform deploys the functions is not known ({error})",
                plan.region
            )),
        }
    }

    /// Notes which aliases of the functions that will change point to published versions.
    async fn note_aliases(&mut self) {
        let plan = &mut self.found.plan;
        for job in &plan.jobs {
            match plan.functions.aliases(job.name.as_str()).await {
                Ok(aliases) => {
                    if let Some(row) = plan.rows.get_mut(job.row) {
                        row.aliases = aliases;
                    }
                }
                // The function was deleted in between. The run finds that out itself.
                Err(error) if error.kind == CallErrorKind::NotFound => {}
                Err(error) => {
                    self.context.ui.warning(format!(
                        "{}: not all aliases are known, and those on published versions keep their layers ({error})",
                        plan.region
                    ));
                    return;
                }
            }
        }
    }
}
