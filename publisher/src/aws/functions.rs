//! The function calls of one region: read a function's configuration, change its layers and variables.

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

/// A function, as far as its layers are concerned.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    /// Its ARN.
    pub(crate) arn: String,
    /// What an update has to be based on.
    pub(crate) revision: Option<String>,
    /// The architecture that its layers have to share.
    pub(crate) arch: Arch,
    /// A container image, which takes no layers.
    pub(crate) image: bool,
    /// Lambda's identifier, e.g. `python3.13`.
    pub(crate) runtime: String,
    /// Of the zipped code, in bytes.
    pub(crate) code_size: i64,
    /// In the order in which they are unpacked.
    pub(crate) layers: Vec<Attached>,
    /// Its variables.
    pub(crate) environment: Environment,
    /// What became of its last update.
    pub(crate) update: UpdateStatus,
}

/// A layer version that a function has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    /// Its ARN.
    pub(crate) arn: String,
    /// Of the zip, in bytes.
    pub(crate) size: i64,
}

/// A function's environment variables.
#[derive(Clone)]
pub(crate) enum Environment {
    /// All of them.
    Known(BTreeMap<String, String>),
    /// They are encrypted, and these credentials may not decrypt them.
    Unreadable(String),
}

/// Values are nobody's business: names only.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(variables) => f.debug_set().entries(variables.keys()).finish(),
            Self::Unreadable(why) => f.debug_tuple("Unreadable").field(why).finish(),
        }
    }
}

/// What became of a function's last update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UpdateStatus {
    /// It is in effect.
    Done,
    /// Lambda is still at it, and takes no other.
    InProgress,
    /// The function is being deleted: there is nothing to wait for.
    Deleting,
    /// It did not come into effect, for this reason.
    Failed(String),
}

/// What to change.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// All layers, in order.
    pub(crate) layers: Vec<String>,
    /// All variables, where they change.
    pub(crate) environment: Option<BTreeMap<String, String>>,
}

/// One region's functions.
#[derive(Clone, Debug)]
pub(crate) struct RegionFunctions {
    client: Client,
    session: Arc<Session>,
}

impl RegionFunctions {
    /// A client of its own for a region.
    pub(crate) fn new(session: &Arc<Session>, region: &RegionName) -> Self {
        Self { client: session.lambda(region), session: Arc::clone(session) }
    }

    /// Reads a function's configuration.
    pub(crate) async fn read(&self, name: &str) -> Result<Function, CallError> {
        let request = || self.client.get_function_configuration().function_name(name).send();
        let answer = self.session.send(GET, request).await?;
        function(&answer)
    }

    /// Changes a function that is still what it was when it was read.
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

fn function(answer: &GetFunctionConfigurationOutput) -> Result<Function, CallError> {
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
        // A function that is being created has no update yet, and takes none.
        _ if answer.state() == Some(&State::Pending) => UpdateStatus::InProgress,
        _ => UpdateStatus::Done,
    }
}
