//! Snippet for Terraform and `OpenTofu`: `locals` by region and architecture, and a function that uses them.

use crate::snippets::{ArnTable, Settings};

pub(crate) fn render(table: &ArnTable, settings: &Settings) -> String {
    let arch = table.example_arch();
    let variables = variables(settings);
    let head = format!("# {}\nlocals {{\n  sentry_lambda_extension = {{\n", table.comment("terraform"));
    let map = table.map(
        |region| format!("    \"{region}\" = {{"),
        |row, arch, arn| {
            // `terraform fmt` aligns the equals signs.
            let width = row.keys().map(|arch| arch.name().len()).max().unwrap_or(0);
            format!("      {arch:width$} = \"{arn}\"")
        },
        "    }\n",
    );
    head + &map
        + &format!(
            r#"  }}
}}

# The provider's version 5 has `name` where version 6 has `region`.
data "aws_region" "current" {{}}

variable "role_arn" {{
  type = string
}}

variable "sentry_dsn" {{
  type = string
}}

resource "aws_lambda_function" "example" {{
  function_name = "example"
  role          = var.role_arn
  filename      = "function.zip"
  runtime       = "python3.13"
  handler       = "index.handler"
  architectures = ["{arch}"]
  layers        = [local.sentry_lambda_extension[data.aws_region.current.region]["{arch}"]]

  environment {{
    variables = {{
{variables}    }}
  }}
}}
"#
        )
}

/// The function's variables. `terraform fmt` aligns the equals signs.
fn variables(settings: &Settings) -> String {
    let quoted = settings.iter().map(|(name, value)| (name.as_str(), format!("\"{value}\"")));
    let always = [
        ("SENTRY_DSN", "var.sentry_dsn".to_owned()),
        ("AWS_LAMBDA_EXEC_WRAPPER", "\"/opt/sentry-exec-wrapper\"".to_owned()),
    ];
    let all: Vec<(&str, String)> = always.into_iter().chain(quoted).collect();
    let width = all.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, value): &(&str, String)| format!("      {name:width$} = {value}\n");
    all.iter().map(line).collect()
}
