//! The function calls of one region: read a function's configuration, change its layers and variables.

use super::{
    error::{CallError, Kind},
    partition::RegionName,
    session::Session,
};
use crate::arch::Arch;
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
use tokio::time::Instant;

const GET: &str = "GetFunctionConfiguration";
const UPDATE: &str = "UpdateFunctionConfiguration";

/// A function, as far as its layers are concerned.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its ARN.
    pub arn: String,
    /// What an update has to be based on.
    pub revision: Option<String>,
    /// The architecture that its layers have to share.
    pub arch: Arch,
    /// A container image, which takes no layers.
    pub image: bool,
    /// Lambda's identifier, e.g. `python3.13`.
    pub runtime: String,
    /// Of the zipped code, in bytes.
    pub code_size: i64,
    /// In the order in which they are unpacked.
    pub layers: Vec<Attached>,
    /// Its variables.
    pub environment: Environment,
    /// What became of its last update.
    pub update: Update,
}

/// A layer version that a function has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Its ARN.
    pub arn: String,
    /// Of the zip, in bytes.
    pub size: i64,
}

/// A function's environment variables.
#[derive(Clone)]
pub enum Environment {
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
pub enum Update {
    /// It is in effect.
    Done,
    /// Lambda is still at it, and takes no other.
    InProgress,
    /// It did not come into effect, for this reason.
    Failed(String),
}

/// What to change.
#[derive(Clone, Debug)]
pub struct Change {
    /// All layers, in order.
    pub layers: Vec<String>,
    /// All variables, where they change.
    pub environment: Option<BTreeMap<String, String>>,
}

/// One region's functions.
#[derive(Clone, Debug)]
pub struct RegionFunctions {
    client: Client,
    session: Arc<Session>,
}

impl RegionFunctions {
    /// A client of its own for a region.
    pub fn new(session: &Arc<Session>, region: &RegionName) -> Self {
        Self { client: session.lambda(region), session: Arc::clone(session) }
    }

    /// Reads a function's configuration.
    pub async fn read(&self, name: &str) -> Result<Function, CallError> {
        let begun = Instant::now();
        let request = || self.client.get_function_configuration().function_name(name).send();
        let answer = match request().await.map_err(|error| CallError::new(GET, &error)) {
            Err(error) if error.kind == Kind::Expired => {
                self.session.credentials.expired(begun).await;
                request().await.map_err(|error| CallError::new(GET, &error))
            }
            answer => answer,
        }?;
        function(&answer)
    }

    /// Changes a function that is still what it was when it was read.
    pub async fn update(&self, name: &str, revision: Option<&str>, change: &Change) -> Result<(), CallError> {
        let mut request = self
            .client
            .update_function_configuration()
            .function_name(name)
            .set_layers(Some(change.layers.clone()))
            .set_revision_id(revision.map(str::to_owned));
        if let Some(variables) = &change.environment {
            let variables: HashMap<_, _> = variables.clone().into_iter().collect();
            request =
                request.environment(types::Environment::builder().set_variables(Some(variables)).build());
        }
        request.send().await.map(drop).map_err(|error| CallError::new(UPDATE, &error))
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

fn update(answer: &GetFunctionConfigurationOutput) -> Update {
    match answer.last_update_status() {
        Some(LastUpdateStatus::InProgress) => Update::InProgress,
        Some(LastUpdateStatus::Failed) => {
            let code = answer.last_update_status_reason_code().map(types::LastUpdateStatusReasonCode::as_str);
            let reason = [code, answer.last_update_status_reason()];
            Update::Failed(reason.into_iter().flatten().collect::<Vec<_>>().join(": "))
        }
        // A function that is being created has no update yet, and takes none.
        _ if answer.state() == Some(&State::Pending) => Update::InProgress,
        _ => Update::Done,
    }
}
