//! Snippets for the AWS CDK in TypeScript and Python: a function that returns the layer for the stack's own region.
//!
//! A stack may not know its region, and then CloudFormation has to look it up. `CfnMapping` handles both cases. Its
//! attributes are those of CloudFormation, so they have to be alphanumeric.

use crate::snippets::{ArnTable, Settings, cloudformation::attribute, setting_lines};

pub(crate) fn typescript(table: &ArnTable, settings: &Settings) -> String {
    let head = format!(
        r#"// {}
import {{ CfnMapping, Stack }} from "aws-cdk-lib";
import {{ type Architecture, type ILayerVersion, LayerVersion }} from "aws-cdk-lib/aws-lambda";
import type {{ Construct }} from "constructs";

// x86_64 without its underscore, which CloudFormation does not allow here.
const ARNS: Record<string, Record<string, string>> = {{
"#,
        table.comment("cdk")
    );
    let map = table.map(
        |region| format!("  \"{region}\": {{"),
        |_, arch, arn| format!("    {}: \"{arn}\",", attribute(arch)),
        "  },\n",
    );
    head + &map
        + r#"};

/**
 * The layer with the Sentry Lambda extension, in the stack's region:
 *
 *     fn.addLayers(sentryLambdaExtension(this, "Sentry", fn.architecture));
 */
export function sentryLambdaExtension(scope: Construct, id: string, architecture: Architecture): ILayerVersion {
  const arns = new CfnMapping(scope, `${id}Arns`, { mapping: ARNS, lazy: true });
  const arn = arns.findInMap(Stack.of(scope).region, architecture.name.replace("_", ""));
  return LayerVersion.fromLayerVersionArn(scope, id, arn);
}
"# + &typescript_settings(settings)
}

fn typescript_settings(settings: &Settings) -> String {
    if settings.is_empty() {
        return String::new();
    }
    let lines = setting_lines(settings, "  ", ": ", ",");
    format!(
        r"
/**
 * The settings of the extension, for the function's variables:
 *
 *     environment: {{ ...SENTRY_LAMBDA_EXTENSION_SETTINGS, SENTRY_DSN: dsn }}
 */
export const SENTRY_LAMBDA_EXTENSION_SETTINGS: Record<string, string> = {{
{lines}}};
"
    )
}

pub(crate) fn python(table: &ArnTable, settings: &Settings) -> String {
    let head = format!(
        r"# {}
from aws_cdk import CfnMapping, Stack
from aws_cdk.aws_lambda import Architecture, ILayerVersion, LayerVersion
from constructs import Construct

# x86_64 without its underscore, which CloudFormation does not allow here.
ARNS = {{
",
        table.comment("cdk-python")
    );
    let map = table.map(
        |region| format!("    \"{region}\": {{"),
        |_, arch, arn| format!("        \"{}\": \"{arn}\",", attribute(arch)),
        "    },\n",
    );
    head + &map
        + r#"}


def sentry_lambda_extension(scope: Construct, id: str, architecture: Architecture) -> ILayerVersion:
    """The layer with the Sentry Lambda extension, in the stack's region:

    fn.add_layers(sentry_lambda_extension(self, "Sentry", fn.architecture))
    """
    arns = CfnMapping(scope, f"{id}Arns", mapping=ARNS, lazy=True)
    arn = arns.find_in_map(Stack.of(scope).region, architecture.name.replace("_", ""))
    return LayerVersion.from_layer_version_arn(scope, id, arn)
"# + &python_settings(settings)
}

fn python_settings(settings: &Settings) -> String {
    if settings.is_empty() {
        return String::new();
    }
    let line = |(name, value): (&String, &String)| format!("    \"{name}\": \"{value}\",\n");
    let lines: String = settings.iter().map(line).collect();
    format!(
        r"

# The settings of the extension, for the function's variables:
# environment={{**SENTRY_LAMBDA_EXTENSION_SETTINGS, 'SENTRY_DSN': dsn}}
SENTRY_LAMBDA_EXTENSION_SETTINGS = {{
{lines}}}
"
    )
}
