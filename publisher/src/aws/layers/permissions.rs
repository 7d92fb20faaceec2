//! The calls that change the policy of a layer version.

use crate::aws::{
    audience::Grantee,
    calls::none_if_error,
    error::{CallError, CallErrorKind},
    layers::RegionLayers,
    policy,
};

const ADD_PERMISSION: &str = "AddLayerVersionPermission";
const REMOVE_PERMISSION: &str = "RemoveLayerVersionPermission";

impl RegionLayers {
    /// Grants `grantee` the use of a version. A statement with this id that exists already is not an error here. The
    /// caller has to read the policy back to see what it grants.
    pub(crate) async fn add_permission(
        &self,
        layer: &str,
        number: i64,
        id: &str,
        grantee: &Grantee,
    ) -> Result<(), CallError> {
        let request = || {
            let request = self
                .client
                .add_layer_version_permission()
                .layer_name(layer)
                .version_number(number)
                .statement_id(id)
                .action(policy::ACTION);
            let request = match grantee {
                Grantee::Everybody => request.principal("*"),
                Grantee::Account(account) => request.principal(account.as_str()),
                Grantee::Organization(organization) => {
                    request.principal("*").organization_id(organization.as_str())
                }
            };
            request.send()
        };
        let added = self.session.while_busy(|| self.session.send(ADD_PERMISSION, request)).await;
        none_if_error(CallErrorKind::Conflict, added).map(drop)
    }

    /// Removes a statement from the policy. A statement that does not exist any more is not an error.
    pub(crate) async fn remove_permission(
        &self,
        layer: &str,
        number: i64,
        id: &str,
    ) -> Result<(), CallError> {
        let request = || {
            let request = self.client.remove_layer_version_permission();
            request.layer_name(layer).version_number(number).statement_id(id).send()
        };
        let removed = self.session.while_busy(|| self.session.send(REMOVE_PERMISSION, request)).await;
        none_if_error(CallErrorKind::NotFound, removed).map(drop)
    }
}
