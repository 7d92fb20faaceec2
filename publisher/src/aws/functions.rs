//! The calls of one region that concern functions: read a function's configuration, and change its layers and
//! variables.

use crate::{
    aws::{error::CallError, partition::RegionName, session::Session},
    model::arch::Arch,
};
use aws_sdk_lambda::{
    Client,
    operation::get_function_configuration::GetFunctionConfigurationOutput,
    types::{self, LastUpdateStatus, PackageType, State},
};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

const GET: &str = "GetFunctionConfiguration";
const UPDATE: &str = "UpdateFunctionConfiguration";

/// The configuration of a function, as far as it matters for layers.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) arn: String,
    /// The revision id. An update that names it fails if the function has changed since it was read.
    pub(crate) revision: Option<String>,
    /// The architecture, which every layer of the function must support.
    pub(crate) arch: Arch,
    /// Whether the function is a container image. Such a function takes no layers.
    pub(crate) image: bool,
    /// Lambda's identifier of the runtime, e.g. `python3.13`. It is empty for container images.
    pub(crate) runtime: String,
    /// The size of the zipped code in bytes.
    pub(crate) code_size: i64,
    /// The attached layers, in the order in which Lambda unpacks them.
    pub(crate) layers: Vec<Attached>,
    pub(crate) environment: Environment,
    /// The state of the last update.
    pub(crate) update: UpdateStatus,
}

/// A layer version that is attached to a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) arn: String,
    /// The size of the layer's zip in bytes.
    pub(crate) size: i64,
}

/// A function's environment variables.
#[derive(Clone)]
pub(crate) enum Environment {
    Known(BTreeMap<String, String>),
    /// The variables are encrypted and the credentials may not decrypt them. The text is the reason that AWS gives.
    Unreadable(String),
}

/// Prints the names of the variables only, because the values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(variables) => f.debug_set().entries(variables.keys()).finish(),
            Self::Unreadable(why) => f.debug_tuple("Unreadable").field(why).finish(),
        }
    }
}

/// The state of a function's last update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UpdateStatus {
    /// The update has taken effect.
    Done,
    /// Lambda is still applying the update and accepts no other one until then.
    InProgress,
    /// The function is being deleted: there is nothing to wait for.
    Deleting,
    /// The update failed for this reason.
    Failed(String),
}

/// A change of a function's configuration.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// The ARNs of all layers after the change, in order. They replace the present ones.
    pub(crate) layers: Vec<String>,
    /// All variables after the change. `None` leaves the present ones as they are.
    pub(crate) environment: Option<BTreeMap<String, String>>,
}

/// The function calls of one region.
#[derive(Clone, Debug)]
pub(crate) struct RegionFunctions {
    pub(super) client: Client,
    pub(super) session: Arc<Session>,
}

impl RegionFunctions {
    /// Creates a client for this region. It has its own limit of requests per second.
    pub(crate) fn new(session: &Arc<Session>, region: &RegionName) -> Self {
        Self { client: session.lambda(region), session: Arc::clone(session) }
    }

    pub(crate) async fn read(&self, name: &str) -> Result<Function, CallError> {
        let request = || self.client.get_function_configuration().function_name(name).send();
        let answer = self.session.send(GET, request).await?;
        function(&answer)
    }

    /// Changes the configuration of a function. If `revision` is given, Lambda refuses the change unless the function
    /// still has this revision.
    pub(crate) async fn update(
        &self,
        name: &str,
        revision: Option<&str>,
        change: &Change,
    ) -> Result<(), CallError> {
        let environment = change.environment.as_ref().map(|variables| {
            let variables: HashMap<_, _> = variables.clone().into_iter().collect();
            types::Environment::builder().set_variables(Some(variables)).build()
        });
        let request = || {
            self.client
                .update_function_configuration()
                .function_name(name)
                .set_layers(Some(change.layers.clone()))
                .set_revision_id(revision.map(str::to_owned))
                .set_environment(environment.clone())
                .send()
        };
        self.session.send(UPDATE, request).await.map(drop)
    }
}

pub(super) fn function(answer: &GetFunctionConfigurationOutput) -> Result<Function, CallError> {
    let arn = answer.function_arn().ok_or_else(|| CallError::incomplete(GET, "FunctionArn"))?.to_owned();
    let arch = match answer.architectures() {
        [types::Architecture::Arm64, ..] => Arch::Arm64,
        [types::Architecture::X8664, ..] | [] => Arch::X86_64,
        _ => return Err(CallError::incomplete(GET, "an architecture that this version knows")),
    };
    let environment = match answer.environment() {
        None => Environment::Known(BTreeMap::new()),
        Some(environment) => match environment.error() {
            Some(error) => Environment::Unreadable(
                error.message().or(error.error_code()).unwrap_or("AWS does not say why").to_owned(),
            ),
            None => Environment::Known(
                environment.variables().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect(),
            ),
        },
    };
    let layer = |layer: &types::Layer| Attached {
        arn: layer.arn().unwrap_or_default().to_owned(),
        size: layer.code_size(),
    };
    Ok(Function {
        arn,
        revision: answer.revision_id().map(str::to_owned),
        arch,
        image: answer.package_type() == Some(&PackageType::Image),
        runtime: answer.runtime().map(|runtime| runtime.as_str().to_owned()).unwrap_or_default(),
        code_size: answer.code_size(),
        layers: answer.layers().iter().map(layer).collect(),
        environment,
        update: update(answer),
    })
}

fn update(answer: &GetFunctionConfigurationOutput) -> UpdateStatus {
    match answer.last_update_status() {
        _ if answer.state() == Some(&State::Deleting) => UpdateStatus::Deleting,
        Some(LastUpdateStatus::InProgress) => UpdateStatus::InProgress,
        Some(LastUpdateStatus::Failed) => {
            let code = answer.last_update_status_reason_code().map(types::LastUpdateStatusReasonCode::as_str);
            let reason = [code, answer.last_update_status_reason()];
            UpdateStatus::Failed(reason.into_iter().flatten().collect::<Vec<_>>().join(": "))
        }
        // A function that is still being created has no last update, but it accepts no update yet.
        _ if answer.state() == Some(&State::Pending) => UpdateStatus::InProgress,
        _ => UpdateStatus::Done,
    }
}
