//! Checks each snippet with the tool that it is for. `--nocapture` prints the tools and their versions.

use crate::support::{
    cli::Publisher,
    snippet::{CUTS, INSIGHTS, arn, assert_insights, node_folder, published, run, snippet, tool, version},
};
use serde_json::{Value, json};
use std::{fs, process::Command};

/// The findings of cfn-lint, hints included, on templates with names. It checks all in one run, since each run takes
/// seconds.
fn cfn_lint(templates: &[(String, String)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(tool(".tools/snippets/bin/cfn-lint"));
    command.current_dir(folder.path()).args(["--format", "parseable", "--include-checks", "I", "--"]);
    for (name, template) in templates {
        fs::write(folder.path().join(name), template).unwrap();
        command.arg(name);
    }
    run(&mut command).1
}

#[test]
fn cloudformation_and_sam_templates_pass_cfn_lint() {
    let dist = published();
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for format in ["cloudformation", "sam"] {
        for (cut, options) in CUTS {
            right.push((format!("{format} of {cut}.yaml"), snippet(&dist, format, options)));
        }
        let template = snippet(&dist, format, &[]);
        for (good, bad) in [("x8664: arn", "x86_64: arn"), ("Runtime:", "Runtme:"), ("IsArm64\n", "IsArm\n")]
        {
            let broken = template.replacen(good, bad, 9);
            assert_ne!(broken, template);
            wrong.push((format!("{format} with {}.yaml", wrong.len()), broken));
        }
    }
    let findings = cfn_lint(&right);
    assert!(findings.trim().is_empty(), "{findings}");
    let findings = cfn_lint(&wrong);
    for (name, template) in &wrong {
        assert!(findings.contains(name), "what is wrong with {name} went unnoticed: {findings}\n{template}");
    }
    println!("cloudformation, sam: {}, no finding", version(&tool(".tools/snippets/bin/cfn-lint")));
}

/// Runs a Python script that reads the snippet from the file `argv[1]`. The script can use the packages of the tests.
fn python(script: &str, snippet: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snippet");
    fs::write(&path, snippet).unwrap();
    let mut command = Command::new(tool(".tools/snippets/bin/python"));
    let (ok, text) = run(command.env("PYTHONDONTWRITEBYTECODE", "1").arg("-c").arg(script).arg(path));
    assert!(ok, "{text}\n{snippet}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Reads a template of CloudFormation, in which `!Ref` and others are tags of their own.
const READ_TEMPLATE: &str = "
import json, sys, yaml
class Loader(yaml.SafeLoader): pass
def plain(loader, _, node):
    if isinstance(node, yaml.ScalarNode): return loader.construct_scalar(node)
    return loader.construct_sequence(node, deep=True)
Loader.add_multi_constructor('!', plain)
print(json.dumps(yaml.load(open(sys.argv[1]), Loader)))
";

#[test]
fn settings_are_variables_of_the_function_in_every_template() {
    let dist = published();
    for format in ["cloudformation", "sam"] {
        let template = python(READ_TEMPLATE, &snippet(&dist, format, &INSIGHTS));
        assert_insights(&template["Resources"]["Function"]["Properties"]["Environment"]["Variables"]);
    }
    let read = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let serverless = python(read, &snippet(&dist, "serverless", &INSIGHTS));
    assert_insights(&serverless["provider"]["environment"]);
    let read = "import hcl2, json, sys; \
        print(json.dumps(hcl2.load(open(sys.argv[1]))['resource'][0]))";
    let text = python(read, &snippet(&dist, "terraform", &INSIGHTS)).to_string();
    for value in ["warn", "timeout,oom", "0.25", "nightly|cron(0/10 8 ? * MON-FRI *)"] {
        assert!(text.contains(value), "{value}: {text}");
    }
    let dockerfile = snippet(&dist, "dockerfile", &INSIGHTS);
    let env = dockerfile.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('='));
    let env: serde_json::Map<String, Value> =
        env.map(|(name, value)| (name.to_owned(), serde_json::from_str(value).unwrap())).collect();
    assert_insights(&env.into());
    for format in ["text", "json", "markdown", "registry"] {
        let args = [&["arn", "--format", format][..], &INSIGHTS].concat();
        let run = Publisher::new().run(&dist, &args).expect(0).says("SENTRY_EXTENSION_FAULTS=timeout,oom");
        assert_eq!(run.stdout, snippet(&dist, format, &[]), "{format}");
    }
    let bad = ["arn", "--format", "sam", "--insights", "logs=loud"];
    Publisher::new().run(&dist, &bad).expect(2).says("`loud` is no value of logs");
}

#[test]
fn the_terraform_snippet_is_valid_hcl() {
    let dist = published();
    let script = "import hcl2, json, sys; print(json.dumps(hcl2.load(open(sys.argv[1]))))";
    for (cut, options) in CUTS {
        let parsed = python(script, &snippet(&dist, "terraform", options)).to_string();
        assert!(parsed.contains("aws_lambda_function"), "{cut}: {parsed}");
        assert!(
            parsed.contains(&arn("eu-west-1", "x86_64")) != options.contains(&"us-east-1"),
            "{cut}: {parsed}"
        );
    }
    println!("terraform: parsed by python-hcl2");
}

/// The Terraform or `OpenTofu` on this machine, if there is one. No registry that the set-up uses has them.
fn terraform() -> Option<&'static str> {
    ["terraform", "tofu"].into_iter().find(|tool| Command::new(tool).arg("version").output().is_ok())
}

#[test]
fn terraform_accepts_the_snippet_and_finds_the_arns() {
    let Some(tool) = terraform() else {
        println!("terraform: NOT RUN: neither terraform nor tofu is on PATH");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let terraform = |args: &[&str], stdin: &str| {
        let input = folder.path().join("input");
        fs::write(&input, stdin).unwrap();
        let mut command = Command::new(tool);
        command
            .args(args)
            .current_dir(folder.path())
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_CLI_CONFIG_FILE", "/dev/null");
        run(command.stdin(fs::File::open(input).unwrap()))
    };
    let dist = published();
    for (cut, options) in CUTS {
        let text = snippet(&dist, "terraform", options);
        let path = folder.path().join("main.tf");
        fs::write(&path, &text).unwrap();
        let (ok, diff) = terraform(&["fmt", "-check", "-diff"], "");
        assert!(ok, "{cut}: {diff}");
        // Only this part is checked. The rest needs providers, which only Terraform's own registry has.
        let locals = text.split("\n\n").next().unwrap();
        fs::write(&path, locals).unwrap();
        for args in [["init", "-no-color"], ["validate", "-no-color"]] {
            let (ok, says) = terraform(&args, "");
            assert!(ok, "{cut}: {args:?}: {says}");
        }
        if cut == "everything" {
            let expression = "local.sentry_lambda_extension[\"eu-west-1\"][\"x86_64\"]";
            let (ok, says) = terraform(&["console"], expression);
            assert!(ok && says.contains(&arn("eu-west-1", "x86_64")), "{says}");
        }
    }
    println!(
        "terraform: {}: fmt; init, validate and console for the locals",
        version(std::path::Path::new(tool))
    );
    println!("terraform: NOT RUN: validate for the resource, which needs the provider");
}

#[test]
fn the_serverless_frameworks_types_accept_the_snippet() {
    let dist = published();
    let to_json = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let check = |config: &Value| {
        let folder = node_folder();
        let text = format!(
            "import type {{ AWS }} from \"@serverless/typescript\";\nexport const config: AWS = {config};\n"
        );
        fs::write(folder.path().join("serverless.ts"), text).unwrap();
        crate::snippets_cdk::tsc(folder.path(), &["serverless.ts".to_owned()])
    };
    for (cut, options) in CUTS {
        let config = python(to_json, &snippet(&dist, "serverless", options));
        // The Serverless Framework resolves this variable before it checks the schema.
        let region = config["provider"]["region"].as_str().unwrap().split('\'').nth(1).unwrap();
        let mut resolved = config.clone();
        resolved["provider"]["region"] = json!(region);
        let (ok, errors) = check(&resolved);
        assert!(ok, "{cut}: {errors}\n{config}");
        let layer = "${self:custom.sentryLambdaExtension.${aws:region}.${self:provider.architecture}}";
        assert_eq!(config["functions"]["example"]["layers"], json!([layer]));
        let arch = config["provider"]["architecture"].as_str().unwrap();
        assert_eq!(config["custom"]["sentryLambdaExtension"][region][arch], arn(region, arch));
        let mut wrong = resolved.clone();
        wrong["functions"]["example"]["layers"] = json!("one");
        assert!(!check(&wrong).0, "{cut}: the types take anything");
    }
    println!(
        "serverless: tsc {} with @serverless/typescript",
        version(&tool("ci/snippets/node_modules/.bin/tsc"))
    );
}

#[test]
fn the_registry_gets_a_file_for_each_layer_of_the_aws_partition() {
    let run = Publisher::new().run(&published(), &["arn", "--format", "registry"]).expect(0);
    let files = run.json();
    let paths: Vec<&String> = files.as_object().unwrap().keys().collect();
    let names = ["1.2.3", "1.2", "1", "latest"];
    let expected: Vec<String> = ["arm64", "x86_64"]
        .iter()
        .flat_map(|arch| names.map(|name| format!("aws-lambda-layers/extension-{arch}/{name}.json")))
        .collect();
    assert_eq!(paths, expected.iter().collect::<Vec<_>>());
    for link in ["latest", "1", "1.2"] {
        assert_eq!(files[format!("aws-lambda-layers/extension-x86_64/{link}.json")], "1.2.3.json");
    }
    // The registry's tools fill in fields that are missing, but they would keep a null as the value.
    assert!(!files.to_string().contains("null"), "{files}");
    let expected = json!({
        "name": "AWS Lambda Extension Layer (arm64)",
        "canonical": "aws-layer:extension-arm64", "sdk_version": "1.2.3", "account_number": "123456789012",
        "layer_name": "X-arm64",
        "regions": [{"region": "eu-west-1", "version": "7"}, {"region": "us-east-1", "version": "7"}]
    });
    assert_eq!(files["aws-lambda-layers/extension-arm64/1.2.3.json"], expected);
    run.says("created_at are left out")
        .says("a symbolic link to that file: latest, 1, 1.2")
        .says("left out")
        .says(&arn("cn-north-1", "arm64"));
    let china = ["arn", "--format", "registry", "--region", "cn-north-1"];
    Publisher::new().run(&published(), &china).expect(1).says("the partition aws only");
    let relay =
        Publisher::new().run(&published(), &["arn", "--format", "registry", "--relay"]).expect(0).json();
    let relay = &relay["aws-lambda-layers/extension-relay-arm64/1.2.3.json"];
    assert_eq!(relay["canonical"], "aws-layer:extension-relay-arm64");
    assert_eq!(relay["compatible_runtimes"], json!(["python3.13"]));
    println!("registry: compared with the shape of the registry's own files");
}

#[test]
fn markdown_is_a_table() {
    let row = |region, cells: [String; 2]| format!("| `{region}` | {} |", cells.join(" | "));
    let cell = |region, arch| format!("`{}`", arn(region, arch));
    let expected = [
        "| Region | arm64 | x86_64 |".to_owned(),
        "| --- | --- | --- |".to_owned(),
        row("cn-north-1", [cell("cn-north-1", "arm64"), "–".to_owned()]),
        row("eu-west-1", [cell("eu-west-1", "arm64"), cell("eu-west-1", "x86_64")]),
        row("us-east-1", [cell("us-east-1", "arm64"), cell("us-east-1", "x86_64")]),
    ];
    assert_eq!(snippet(&published(), "markdown", &[]).lines().collect::<Vec<_>>(), expected);
}
