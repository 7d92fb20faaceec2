//! What `publisher publish` needs for writing: the uploads, the journal and the handling of signals.

use crate::{
    artifacts::bundle::{Bundle, Zip},
    aws::{
        identity::Identity,
        rate_limit::InFlight,
        upload::{Label, Upload},
    },
    commands::publish::{
        Publish,
        options::{self, PublishPlan},
    },
    failure::Failure,
    publish::{
        interrupt::{Interrupt, Urgency},
        journal::{Journal, JournalError},
        write_context::WriteContext,
    },
    ui::Ui,
};
use std::collections::BTreeMap;

impl Publish {
    /// Opens the journal and prepares the uploads. Only `--execute` needs them.
    pub(super) fn write_context(
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
}

fn upload(bundle: &Bundle, zip: &Zip) -> serde_json::Result<Upload> {
    let label = Label {
        description: bundle.description(zip),
        license: options::license(bundle, zip.variant),
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
