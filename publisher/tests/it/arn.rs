//! `publisher arn` prints the ARNs that a user attaches.

use crate::support::{cli::Publisher, dist::Dist};
use serde_json::json;

fn dist_with_layers() -> Dist {
    let dist = Dist::new("arn");
    let layer = |arch: &str| {
        let place = |region: &str| {
            let arn = format!("arn:aws:lambda:{region}:123456789012:layer:X-{arch}:7");
            json!({"arn": arn, "version": 7, "grant": "public", "verified_at": "2026-01-01T00:00:00Z"})
        };
        json!({
            "layer_name": format!("X-{arch}"), "sha256": "0".repeat(64), "code_sha256": "", "size": 1,
            "regions": {"us-east-1": place("us-east-1"), "eu-west-1": place("eu-west-1")}
        })
    };
    let layers = json!({
        "schema": 1, "version": "1.2.3", "commit": "unknown",
        "toolchain": {"rustc": "rustc", "cargo_lambda": "cl", "zig": "z", "std": "prebuilt"},
        "accounts": {"aws": "123456789012"},
        "layers": {"arm64": layer("arm64"), "x86_64": layer("x86_64")}
    });
    std::fs::write(dist.path().join("layers.json"), layers.to_string()).unwrap();
    dist
}

#[test]
fn arns_are_printed_one_a_line_without_credentials() {
    let run = Publisher::new().run(&dist_with_layers(), &["arn"]).expect(0);
    let arn = |region, arch| format!("arn:aws:lambda:{region}:123456789012:layer:X-{arch}:7");
    let expected = [
        arn("eu-west-1", "arm64"),
        arn("eu-west-1", "x86_64"),
        arn("us-east-1", "arm64"),
        arn("us-east-1", "x86_64"),
    ];
    assert_eq!(run.stdout.lines().collect::<Vec<_>>(), expected);
    let one = Publisher::new()
        .run(&dist_with_layers(), &["arn", "--region", "us-east-1", "--arch", "arm64"])
        .expect(0);
    assert_eq!(one.stdout, arn("us-east-1", "arm64") + "\n");
    assert_eq!(one.stderr, "");
}

#[test]
fn json_by_flag_or_format() {
    let args = ["arn", "--region", "us-east-1", "--arch", "x86_64"];
    let expected = json!([{
        "region": "us-east-1", "arch": "x86_64", "version": 7,
        "arn": "arn:aws:lambda:us-east-1:123456789012:layer:X-x86_64:7"
    }]);
    for more in [["--format", "json"].as_slice(), &["--json"]] {
        let run = Publisher::new().run(&dist_with_layers(), &[args.as_slice(), more].concat()).expect(0);
        assert_eq!(run.json(), expected);
    }
}

#[test]
fn a_region_without_the_layer_is_refused_and_the_regions_with_it_are_named() {
    let run = Publisher::new().run(&dist_with_layers(), &["arn", "--region", "ap-south-1"]).expect(1);
    let run = run.says("1.2.3 is not in ap-south-1").says("eu-west-1 us-east-1");
    assert_eq!(run.stdout, "");
}

#[test]
fn a_missing_or_broken_file_says_where_it_comes_from() {
    let empty = Dist::new("none");
    Publisher::new().run(&empty, &["arn"]).expect(1).says("layers.json").says("publisher publish --execute");
    std::fs::write(empty.path().join("layers.json"), "{\"schema\": 1").unwrap();
    Publisher::new().run(&empty, &["arn"]).expect(1).says("not a manifest of published layers");
    std::fs::write(empty.path().join("layers.json"), json!({"schema": 3}).to_string()).unwrap();
    Publisher::new().run(&empty, &["arn"]).expect(1);
    Publisher::new().run(&dist_with_layers(), &["arn", "--format", "yaml"]).expect(2);
}
