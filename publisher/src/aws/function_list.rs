//! The calls of one region that find functions: all functions page by page, and the aliases of one function.

use crate::aws::{
    error::CallError,
    functions::{Function, RegionFunctions, function},
};
use aws_sdk_lambda::{
    operation::get_function_configuration::GetFunctionConfigurationOutput, types::FunctionConfiguration,
};

const LIST: &str = "ListFunctions";
const ALIASES: &str = "ListAliases";

/// An alias that points to a published version.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Alias {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// One page of the functions of a region.
#[derive(Debug)]
pub(crate) struct Page {
    /// The functions that could be read.
    pub(crate) functions: Vec<Function>,
    /// Where the next page begins. `None` on the last page.
    pub(crate) next: Option<String>,
}

impl RegionFunctions {
    /// Lists the functions that follow `marker`, 50 at most. AWS does not tell here whether one is being updated.
    pub(crate) async fn page(&self, marker: Option<&str>) -> Result<Page, CallError> {
        let request = || self.client.list_functions().set_marker(marker.map(str::to_owned)).send();
        let answer = self.session.send(LIST, request).await?;
        let next = answer.next_marker.filter(|next| !next.is_empty());
        let functions = answer.functions.unwrap_or_default().into_iter();
        let functions = functions.map(|listed| function(&as_read(listed))).collect::<Result<_, _>>()?;
        Ok(Page { functions, next })
    }

    /// The aliases of a function that point to published versions. A page has 50, which is enough to warn.
    pub(crate) async fn aliases(&self, name: &str) -> Result<Vec<Alias>, CallError> {
        let request = || self.client.list_aliases().function_name(name).send();
        let answer = self.session.send(ALIASES, request).await?;
        let alias = |alias: aws_sdk_lambda::types::AliasConfiguration| {
            Some(Alias { name: alias.name?, version: alias.function_version? })
        };
        let all = answer.aliases.unwrap_or_default().into_iter().filter_map(alias);
        Ok(all.filter(|alias| alias.version != "$LATEST").collect())
    }
}

/// The SDK has two types for the same document.
fn as_read(listed: FunctionConfiguration) -> GetFunctionConfigurationOutput {
    GetFunctionConfigurationOutput::builder()
        .set_function_arn(listed.function_arn)
        .set_revision_id(listed.revision_id)
        .set_architectures(listed.architectures)
        .set_package_type(listed.package_type)
        .set_runtime(listed.runtime)
        .code_size(listed.code_size)
        .set_layers(listed.layers)
        .set_environment(listed.environment)
        .set_state(listed.state)
        .set_last_update_status(listed.last_update_status)
        .set_last_update_status_reason(listed.last_update_status_reason)
        .set_last_update_status_reason_code(listed.last_update_status_reason_code)
        .build()
}
