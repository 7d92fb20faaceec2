//! Snippets for CloudFormation and SAM: a complete template, whose `Mappings` contain the ARNs.
//!
//! An attribute of a mapping has to be alphanumeric, so it cannot be `x86_64`, and a parameter with that value cannot
//! select it. A condition selects it instead.

use crate::{
    model::arch::Arch,
    snippets::{ArnTable, Settings, setting_lines},
};

/// The attribute of an architecture in the mapping: its name without the underscore.
pub(crate) fn attribute(arch: Arch) -> String {
    arch.name().replace('_', "")
}

pub(crate) fn plain(table: &ArnTable, settings: &Settings) -> String {
    let head = head(table, "cloudformation", "");
    let architecture = architecture(table);
    let layer = layer(table);
    let environment = environment(settings);
    format!(
        r#"{head}Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal:
              Service: lambda.amazonaws.com
            Action: sts:AssumeRole
      ManagedPolicyArns:
        - !Sub arn:${{AWS::Partition}}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole
  Function:
    Type: AWS::Lambda::Function
    Properties:
      Runtime: python3.13
      Handler: index.handler
      Code:
        ZipFile: |
          def handler(event, context):
              return "ok"
      Role: !GetAtt Role.Arn
      Architectures:
        - {architecture}
      Layers:
{layer}
{environment}"#
    )
}

pub(crate) fn sam(table: &ArnTable, settings: &Settings) -> String {
    let head = head(table, "sam", "Transform: AWS::Serverless-2016-10-31\n");
    let architecture = architecture(table);
    let layer = layer(table);
    let environment = environment(settings);
    format!(
        r#"{head}Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: index.handler
      InlineCode: |
        def handler(event, context):
            return "ok"
      Architectures:
        - {architecture}
      Layers:
{layer}
{environment}"#
    )
}

fn environment(settings: &Settings) -> String {
    let always = "      Environment:
        Variables:
          SENTRY_DSN: !Ref SentryDsn
          AWS_LAMBDA_EXEC_WRAPPER: /opt/sentry-exec-wrapper
";
    always.to_owned() + &setting_lines(settings, "          ", ": ", "")
}

fn head(table: &ArnTable, format: &str, transform: &str) -> String {
    let comment = table.comment(format);
    let choice = if table.arches().len() > 1 {
        "  Architecture:
    Type: String
    Default: arm64
    AllowedValues:
      - arm64
      - x86_64
    Description: The function's architecture, which its layer has to share
"
    } else {
        ""
    };
    let mut text = format!(
        r#"# {comment}
AWSTemplateFormatVersion: "2010-09-09"
{transform}Description: A function with the Sentry Lambda extension
Parameters:
{choice}  SentryDsn:
    Type: String
    Description: The DSN of the Sentry project, e.g. https://KEY@o1.ingest.sentry.io/42
Mappings:
  SentryLambdaExtension:
"#
    );
    text += &table.map(
        |region| format!("    {region}:"),
        |_, arch, arn| format!("      {}: {arn}", attribute(arch)),
        "",
    );
    if table.arches().len() > 1 {
        text += "Conditions:\n  IsArm64: !Equals [!Ref Architecture, arm64]\n";
    }
    text
}

fn architecture(table: &ArnTable) -> String {
    if table.arches().len() > 1 { "!Ref Architecture".to_owned() } else { table.example_arch().to_string() }
}

fn layer(table: &ArnTable) -> String {
    let find = |arch| format!("!FindInMap [SentryLambdaExtension, !Ref AWS::Region, {}]", attribute(arch));
    if table.arches().len() > 1 {
        let arm64 = find(Arch::Arm64);
        let x86_64 = find(Arch::X86_64);
        format!("        - !If\n          - IsArm64\n          - {arm64}\n          - {x86_64}")
    } else {
        format!("        - {}", find(table.example_arch()))
    }
}
