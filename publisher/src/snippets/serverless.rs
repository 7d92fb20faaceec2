//! Snippet for the Serverless Framework: a complete serverless.yml, whose `custom` section contains the ARNs.

use crate::snippets::{ArnTable, Settings, setting_lines};

pub(crate) fn render(table: &ArnTable, settings: &Settings) -> String {
    let arch = table.example_arch();
    let preferred = "us-east-1";
    let first = table.rows.keys().next().map_or(preferred, |region| region.as_str());
    let region = if table.rows.keys().any(|region| region.as_str() == preferred) { preferred } else { first };
    let head = format!(
        r"# {}
service: example

provider:
  name: aws
  runtime: python3.11
  architecture: {arch}
  region: ${{opt:region, '{region}'}}
  environment:
    SENTRY_DSN: ${{env:SENTRY_DSN}}
    AWS_LAMBDA_EXEC_WRAPPER: /opt/sentry-exec-wrapper
{}
custom:
  sentryLambdaExtension:
",
        table.comment("serverless"),
        setting_lines(settings, "    ", ": ", "")
    );
    let map = table.map(|region| format!("    {region}:"), |_, arch, arn| format!("      {arch}: {arn}"), "");
    head + &map
        + r"
functions:
  example:
    handler: index.handler
    layers:
      - ${self:custom.sentryLambdaExtension.${aws:region}.${self:provider.architecture}}
"
}
