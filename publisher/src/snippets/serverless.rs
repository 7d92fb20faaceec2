//! The Serverless Framework: a whole serverless.yml, whose `custom` is what matters.

use crate::snippets::ArnTable;

pub(crate) fn render(table: &ArnTable) -> String {
    let arch = table.example_arch();
    let usual = "us-east-1";
    let first = table.rows.keys().next().map_or(usual, |region| region.as_str());
    let region = if table.rows.keys().any(|region| region.as_str() == usual) { usual } else { first };
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

custom:
  sentryLambdaExtension:
",
        table.comment("serverless")
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
