//! `publisher attach` on functions that cannot have the layer: the error says what to do instead.

use crate::support::{
    account::Account,
    cli::{Publisher, acting},
    dist::Dist,
    emulator::ministack,
    function::Function,
    proxy::{Proxy, Verdict},
    snippet::run,
};
use serde_json::json;
use std::{fs, io::Write, os::unix::fs::PermissionsExt, process::Command};

const REGION: &str = "eu-west-1";

fn published(owner: &Account, seed: &str) -> (Publisher, Dist) {
    let publisher = Publisher::at(&ministack().url(), &owner.key);
    let dist = Dist::new(seed);
    publisher.run(&dist, &["publish", "--execute", "--regions", REGION]).expect(0);
    (publisher, dist)
}

#[test]
fn a_container_image_is_refused_with_lines_for_its_dockerfile() {
    let owner = Account::new(ministack());
    let (publisher, dist) = published(&owner, "image");
    let image = json!({
        "FunctionName": "image", "PackageType": "Image", "Code": {"ImageUri": "x.example/y:z"},
        "Role": format!("arn:aws:iam::{}:role/function", owner.key), "Architectures": ["arm64"]
    });
    let body = serde_json::to_vec(&image).unwrap();
    let answer = owner.call("lambda", REGION, "POST", "/2015-03-31/functions", "application/json", &body);
    assert_eq!(answer.status(), 201, "{}", answer.json());
    let refused = publisher.run(&dist, &["attach", "image", "--region", REGION]).expect(1);
    let zip = "sentry-lambda-extension-arm64.zip";
    let refused = refused
        .says("is a container image, and those take no layers")
        .says(&format!("RUN --mount=source={zip},target=/layer.zip unzip /layer.zip -d /opt"))
        .says("COPY --from=sentry-lambda-extension /opt/ /opt/");

    // The test runs the commands that the error suggests for a shell, and does what `COPY` would do.
    let says = |start: &str| {
        refused.stderr.lines().find_map(|line| line.trim().strip_prefix(start)).unwrap().to_owned()
    };
    let unzip = says("unzip sentry").split("  ").next().unwrap().to_owned();
    assert_eq!(says("COPY sentry-lambda-extension/ "), "/opt/");
    let (ok, output) =
        run(Command::new("sh").current_dir(dist.path()).arg("-c").arg(format!("unzip sentry{unzip}")));
    assert!(ok, "{output}");
    let (ok, output) =
        run(Command::new("cp").current_dir(dist.path()).args(["-a", "sentry-lambda-extension/.", "opt"]));
    assert!(ok, "{output}");
    let binary = dist.path().join("opt/extensions/sentry-lambda-extension");
    assert_eq!(fs::metadata(&binary).unwrap().permissions().mode() & 0o777, 0o755);
    let wrapper = dist.path().join("opt/sentry-exec-wrapper");
    assert_eq!(fs::canonicalize(wrapper).unwrap(), fs::canonicalize(binary).unwrap());
    publisher
        .run(&dist, &["attach", "image", "--region", REGION, "--relay"])
        .expect(1)
        .says("-relay-arm64.zip");
}

#[test]
fn a_sixth_layer_is_refused_and_a_fifth_is_not() {
    let owner = Account::new(ministack());
    let (publisher, dist) = published(&owner, "five");
    let mut layers: Vec<String> = (1..=5).map(|n| owner.other_layer(REGION, &format!("other-{n}"))).collect();
    let function = Function::new(&owner, REGION, "full", &json!({"Layers": layers}));
    let args = ["attach", "full", "--region", REGION];
    for more in [&[][..], &["--dry-run"]] {
        let refused = publisher.run(&dist, &acting(&[&args, more].concat())).expect(1);
        refused.says("a function can have 5 layers").says(&layers[4]).says("nothing was changed");
    }
    assert_eq!(function.layers(), layers);
    layers.pop();
    function.configure(&json!({"Layers": layers}));
    publisher.run(&dist, &acting(&args)).expect(0);
    assert_eq!(function.layers().len(), 5);
    // A newer version replaces the layer, although the function has no room for another one.
    let (_, newer) = published(&owner, "newer");
    publisher.run(&newer, &acting(&args)).expect(0);
    assert!(function.layers()[4].ends_with("SentryLambdaExtension-x86_64:2"));
}

#[test]
fn more_than_250_mb_are_refused_and_the_sizes_are_listed() {
    let owner = Account::new(ministack());
    let (publisher, dist) = published(&owner, "large");
    let function = Function::new(&owner, REGION, "large", &json!({}));
    let refusal =
        |message: &str| format!(r#"{{"__type":"InvalidParameterValueException","message":"{message}"}}"#);
    // This is the message of AWS.
    let answer = refusal(
        "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. The actual size is \
         262144001 bytes.",
    );
    let proxy = Proxy::start(ministack().address(), move |seen| {
        if seen.line.starts_with("PUT ") { Verdict::Answer(400, answer.clone()) } else { Verdict::Forward }
    });
    let args = ["attach", "large", "--region", REGION, "--execute"];
    let refused = Publisher::at(&proxy.url(), &owner.key).run(&dist, &args).expect(1);
    refused.says("250 MB (262144000 bytes) together, unpacked").says("the function's own code");
    assert!(function.layers().is_empty());
    // The emulator adds the sizes itself: a layer of 250 MB of zeros, and the code.
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("zeros", zip::write::SimpleFileOptions::default()).unwrap();
    let megabyte = vec![0; 1_048_576];
    (0..250).for_each(|_| zip.write_all(&megabyte).unwrap());
    owner.publish(REGION, "huge", "x86_64", &zip.finish().unwrap().into_inner(), "huge");
    let huge = format!("arn:aws:lambda:{REGION}:{}:layer:huge:1", owner.key);
    let refused = publisher.run(&dist, &[&args[..], &["--layer-arn", &huge]].concat()).expect(1);
    refused.says("Unzipped size must be smaller").says("250 MB (262144000 bytes) together, unpacked");
    assert!(function.layers().is_empty());
}

#[test]
fn sentrys_own_extension_and_copies_of_the_layer_cause_warnings() {
    let (owner, stranger) = (Account::new(ministack()), Account::new(ministack()));
    let (publisher, dist) = published(&owner, "warned");
    let sdk = owner.other_layer(REGION, "SentryNodeServerlessSDKv10");
    published(&stranger, "copy");
    let copy = format!("arn:aws:lambda:{REGION}:{}:layer:SentryLambdaExtension-x86_64:1", stranger.key);
    let function = Function::new(&owner, REGION, "warned", &json!({"Layers": [sdk, copy]}));
    let run = publisher.run(&dist, &["attach", "warned", "--region", REGION, "--execute"]).expect(0);
    run.says("leave 9000 out of SENTRY_EXTENSION_PORTS")
        .says("another account's copy")
        .says("set the function's SENTRY_DSN");
    assert_eq!(function.layers().len(), 3);
}
