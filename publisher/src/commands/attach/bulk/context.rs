//! What the plans of all regions share.

use crate::{
    artifacts::layers_manifest::LayersManifest,
    aws::{identity::Identity, partition::RegionName, session::Session},
    commands::attach::Attach,
    ui::Ui,
};
use std::sync::Arc;

pub(crate) struct Context {
    pub(crate) options: Attach,
    pub(crate) manifest: Option<LayersManifest>,
    pub(crate) session: Arc<Session>,
    pub(crate) identity: Identity,
    pub(crate) ui: Ui,
    pub(crate) regions: Vec<RegionName>,
}
