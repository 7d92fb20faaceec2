//! The Serverless Framework: a whole serverless.yml, whose `custom` is what matters.

use super::Table;

pub fn render(table: &Table) -> String {
    let arch = table.example_arch();
    let region = table.rows.keys().next().map_or("us-east-1", |region| region.as_str());
    let head = format!(
        r"# {}
service: example

provider:
  name: aws
  runtime: python3.13
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
