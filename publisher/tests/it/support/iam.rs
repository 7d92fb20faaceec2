//! Does what AWS does before it answers: finds a request's IAM action and resource, and whether a policy allows it.

use super::proxy::SeenRequest;
use serde_json::Value;
use std::collections::BTreeSet;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestedAction {
    pub action: &'static str,
    pub resource: String,
}

/// The calls that need no permission.
pub const CALLS_WITHOUT_PERMISSION: [&str; 1] = ["get_caller_identity"];

/// The SDK's other calls, and the IAM action that each one needs.
const CALLS: [(&str, &str); 22] = [
    ("list_regions", "account:ListRegions"),
    ("get_account_settings", "lambda:GetAccountSettings"),
    ("list_layers", "lambda:ListLayers"),
    ("list_layer_versions", "lambda:ListLayerVersions"),
    ("publish_layer_version", "lambda:PublishLayerVersion"),
    ("get_layer_version", "lambda:GetLayerVersion"),
    ("get_layer_version_by_arn", "lambda:GetLayerVersion"),
    ("get_layer_version_policy", "lambda:GetLayerVersionPolicy"),
    ("add_layer_version_permission", "lambda:AddLayerVersionPermission"),
    ("remove_layer_version_permission", "lambda:RemoveLayerVersionPermission"),
    ("delete_layer_version", "lambda:DeleteLayerVersion"),
    ("head_bucket", "s3:ListBucket"),
    ("head_object", "s3:GetObject"),
    ("put_object", "s3:PutObject"),
    ("delete_object", "s3:DeleteObject"),
    ("get_function_configuration", "lambda:GetFunctionConfiguration"),
    ("update_function_configuration", "lambda:UpdateFunctionConfiguration"),
    ("list_functions", "lambda:ListFunctions"),
    ("list_aliases", "lambda:ListAliases"),
    ("get_resources", "tag:GetResources"),
    ("get_role", "iam:GetRole"),
    ("simulate_principal_policy", "iam:SimulatePrincipalPolicy"),
];

/// The IAM action that a call of the SDK needs, or none if this file does not know the call.
pub fn required_action(call: &str) -> Option<&'static str> {
    CALLS.iter().find(|(name, _)| *name == call).map(|(_, action)| *action)
}

/// The actions that `account` requested. A request that this file does not know fails the test.
pub fn requested_actions(seen: &[SeenRequest], account: &str) -> BTreeSet<RequestedAction> {
    // A download link carries its own signature and needs no permission. Other accounts have their own policies.
    seen.iter().filter(|seen| seen.key == account).filter_map(|seen| read(seen, account)).collect()
}

fn read(seen: &SeenRequest, account: &str) -> Option<RequestedAction> {
    let (method, rest) = seen.line.split_once(' ').unwrap();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let arn = |resource: String| format!("arn:aws:lambda:{}:{account}:{resource}", seen.region);
    let (action, resource) = match (seen.service.as_str(), method, parts.as_slice()) {
        ("sts", ..) => return None,
        ("account", "POST", ["listRegions"]) => ("account:ListRegions", "*".to_owned()),
        ("lambda", "GET", [_, "account-settings"]) => ("lambda:GetAccountSettings", "*".to_owned()),
        ("lambda", "GET", [_, "layers"]) if query.contains("find=LayerVersion") => {
            let of = query.split('&').find_map(|pair| pair.strip_prefix("Arn=")).unwrap();
            ("lambda:GetLayerVersion", of.replace("%3A", ":"))
        }
        ("lambda", "GET", [_, "layers"]) => ("lambda:ListLayers", "*".to_owned()),
        ("lambda", _, [_, "layers", layer, "versions"]) => {
            let action =
                if method == "GET" { "lambda:ListLayerVersions" } else { "lambda:PublishLayerVersion" };
            (action, arn(format!("layer:{layer}")))
        }
        ("lambda", _, [_, "layers", layer, "versions", number]) => {
            let action = if method == "GET" { "lambda:GetLayerVersion" } else { "lambda:DeleteLayerVersion" };
            (action, arn(format!("layer:{layer}:{number}")))
        }
        ("lambda", _, [_, "layers", layer, "versions", number, "policy", ..]) => {
            let action = match method {
                "GET" => "lambda:GetLayerVersionPolicy",
                "POST" => "lambda:AddLayerVersionPermission",
                _ => "lambda:RemoveLayerVersionPermission",
            };
            (action, arn(format!("layer:{layer}:{number}")))
        }
        ("tagging", ..) => ("tag:GetResources", "*".to_owned()),
        ("lambda", "GET", [_, "functions"]) => ("lambda:ListFunctions", "*".to_owned()),
        ("lambda", "POST", [_, "functions"]) => {
            // The name is in the body, which the proxy does not keep. Only ci/smoke creates functions, with this name.
            ("lambda:CreateFunction", arn("function:sentry-lambda-extension-smoke-x".to_owned()))
        }
        ("lambda", _, [_, "functions", function, tail @ ..]) => {
            let action = match (method, tail) {
                ("GET", ["configuration"]) => "lambda:GetFunctionConfiguration",
                ("GET", ["aliases"]) => "lambda:ListAliases",
                ("PUT", ["configuration"]) => "lambda:UpdateFunctionConfiguration",
                ("POST", ["invocations"]) => "lambda:InvokeFunction",
                ("DELETE", []) => "lambda:DeleteFunction",
                _ => panic!("support/iam.rs does not know which action this request needs: {seen:?}"),
            };
            // A function is named by its name or by its ARN.
            let name = function.rsplit("%3A").next().unwrap();
            (action, arn(format!("function:{name}")))
        }
        ("s3", "HEAD", [bucket]) => ("s3:ListBucket", format!("arn:aws:s3:::{bucket}")),
        ("s3", _, [bucket, key @ ..]) if !key.is_empty() => {
            let action = match method {
                "HEAD" | "GET" => "s3:GetObject",
                "PUT" => "s3:PutObject",
                "DELETE" => "s3:DeleteObject",
                _ => panic!("support/iam.rs does not know which action this request needs: {seen:?}"),
            };
            (action, format!("arn:aws:s3:::{bucket}/{}", key.join("/")))
        }
        _ => panic!("support/iam.rs does not know which action this request needs: {seen:?}"),
    };
    Some(RequestedAction { action, resource })
}

pub fn actions(policy: &Value) -> BTreeSet<String> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    let actions = statements.flat_map(|statement| statement["Action"].as_array().unwrap());
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

/// Whether one statement of the policy contains both the action and a pattern that matches the resource.
pub fn allows(policy: &Value, asked: &RequestedAction) -> bool {
    policy["Statement"].as_array().unwrap().iter().any(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        let has = |key: &str, fits: &dyn Fn(&str) -> bool| {
            statement[key].as_array().unwrap().iter().any(|item| fits(item.as_str().unwrap()))
        };
        has("Action", &|action| action == asked.action)
            && has("Resource", &|pattern| wildmatch::WildMatch::new(pattern).matches(&asked.resource))
    })
}
