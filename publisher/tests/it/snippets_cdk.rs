//! Tests the CDK snippets in small apps: compiles them, runs them, and compares the templates that they make.

use crate::support::snippet::{
    CUTS, INSIGHTS, arn, assert_insights, node_folder, published, run, snippet, tool, version,
};
use serde_json::Value;
use std::{fs, path::Path, process::Command};

/// Compiles TypeScript in strict mode. The output goes into the same folder.
pub fn tsc(folder: &Path, files: &[String]) -> (bool, String) {
    let settings = serde_json::json!({
        "compilerOptions": {
            "strict": true, "noUnusedLocals": true, "module": "nodenext", "moduleResolution": "nodenext",
            "target": "es2022", "types": [], "skipLibCheck": true
        },
        "files": files
    });
    fs::write(folder.join("tsconfig.json"), settings.to_string()).unwrap();
    run(Command::new(tool("ci/snippets/node_modules/.bin/tsc")).arg("-p").arg(folder))
}

const TYPESCRIPT: &str = r#"
import { App, Stack } from "aws-cdk-lib";
import { Architecture, Code, Function, Runtime } from "aws-cdk-lib/aws-lambda";
import { SENTRY_LAMBDA_EXTENSION_SETTINGS, sentryLambdaExtension } from "./snippet.js";

const app = new App({ outdir: "out" });
for (const env of [undefined, { account: "123456789012", region: "eu-west-1" }]) {
  const stack = new Stack(app, env ? "somewhere" : "anywhere", { env });
  const fn = new Function(stack, "Function", {
    runtime: Runtime.PYTHON_3_13,
    handler: "index.handler",
    architecture: Architecture.X86_64,
    code: Code.fromInline("def handler(event, context): pass"),
    environment: { ...SENTRY_LAMBDA_EXTENSION_SETTINGS, SENTRY_DSN: "x" },
  });
  fn.addLayers(sentryLambdaExtension(stack, "Sentry", fn.architecture));
}
app.synth();
"#;

const PYTHON: &str = r#"
from aws_cdk import App, Environment, Stack
from aws_cdk.aws_lambda import Architecture, Code, Function, Runtime
from snippet import SENTRY_LAMBDA_EXTENSION_SETTINGS, sentry_lambda_extension

app = App(outdir="out")
for env in (None, Environment(account="123456789012", region="eu-west-1")):
    stack = Stack(app, "somewhere" if env else "anywhere", env=env)
    function = Function(
        stack,
        "Function",
        runtime=Runtime.PYTHON_3_13,
        handler="index.handler",
        architecture=Architecture.X86_64,
        code=Code.from_inline("def handler(event, context): pass"),
        environment={**SENTRY_LAMBDA_EXTENSION_SETTINGS, "SENTRY_DSN": "x"},
    )
    function.add_layers(sentry_lambda_extension(stack, "Sentry", function.architecture))
app.synth()
"#;

fn template(folder: &Path, stack: &str) -> Value {
    let path = folder.join(format!("out/{stack}.template.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The properties of the function in a template.
fn function(template: &Value) -> &Value {
    let resources = template["Resources"].as_object().unwrap();
    let function = resources.values().find(|resource| resource["Type"] == "AWS::Lambda::Function").unwrap();
    &function["Properties"]
}

/// The ARN of the function's layer in a stack's template. It is looked up in the template's mapping if there is one.
fn layer_arn(folder: &Path, stack: &str, region: &str) -> String {
    let template = template(folder, stack);
    let layer = &function(&template)["Layers"][0];
    let Some(find) = layer["Fn::FindInMap"].as_array() else { return layer.as_str().unwrap().to_owned() };
    assert_eq!(find[1]["Ref"], "AWS::Region");
    let (map, attribute) = (find[0].as_str().unwrap(), find[2].as_str().unwrap());
    template["Mappings"][map][region][attribute].as_str().unwrap().to_owned()
}

fn assert_layers(folder: &Path) {
    assert_eq!(layer_arn(folder, "anywhere", "us-east-1"), arn("us-east-1", "x86_64"));
    assert_eq!(layer_arn(folder, "anywhere", "eu-west-1"), arn("eu-west-1", "x86_64"));
    assert_eq!(layer_arn(folder, "somewhere", ""), arn("eu-west-1", "x86_64"));
    assert_insights(&function(&template(folder, "somewhere"))["Environment"]["Variables"]);
}

#[test]
fn the_typescript_snippet_compiles_and_makes_the_right_templates() {
    let dist = published();
    let folder = node_folder();
    let folder = folder.path();
    // All files are compiled in one run, because most of the time goes into the CDK's own types.
    let mut files = vec!["app.ts".to_owned(), "snippet.ts".to_owned()];
    fs::write(folder.join("app.ts"), TYPESCRIPT).unwrap();
    fs::write(folder.join("snippet.ts"), snippet(&dist, "cdk", &INSIGHTS)).unwrap();
    for (number, (_, options)) in CUTS.into_iter().enumerate() {
        let file = format!("cut-{number}.ts");
        fs::write(folder.join(&file), snippet(&dist, "cdk", options)).unwrap();
        files.push(file);
    }
    let (ok, errors) = tsc(folder, &files);
    assert!(ok, "{errors}");
    let (ok, says) = run(Command::new("node").arg("app.js").current_dir(folder));
    assert!(ok, "{says}");
    assert_layers(folder);
    fs::write(folder.join("app.ts"), TYPESCRIPT.replace("fn.architecture", "\"arm64\"")).unwrap();
    assert!(!tsc(folder, &["app.ts".to_owned()]).0, "the compiler accepts a wrong type");
    println!(
        "cdk: tsc {} with aws-cdk-lib, and synthesised",
        version(&tool("ci/snippets/node_modules/.bin/tsc"))
    );
}

#[test]
fn the_python_snippet_runs_and_makes_the_right_templates() {
    let dist = published();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("snippet.py"), snippet(&dist, "cdk-python", &INSIGHTS)).unwrap();
    fs::write(folder.join("app.py"), PYTHON).unwrap();
    let mut command = Command::new(tool(".tools/snippets/bin/python"));
    command
        .arg("app.py")
        .current_dir(folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION", "1")
        .env("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "1")
        // jsii unpacks 200 MB, which do not belong into the user's home folder.
        .env("JSII_RUNTIME_PACKAGE_CACHE_ROOT", concat!(env!("CARGO_TARGET_TMPDIR"), "/jsii"));
    let (ok, says) = run(&mut command);
    assert!(ok, "{says}");
    assert_layers(folder);
    println!("cdk-python: run and synthesised with aws-cdk-lib from PyPI");
}
