//! Answers like Lambda in many regions, but keeps no zips. An emulator could not bear the load of these tests.

use super::{
    dist::Dist,
    proxy::{SeenRequest, Verdict},
};
use serde_json::{Value, json};
use std::collections::HashMap;

/// The published layers. `published` says, by region and layer, whether the layer has been granted.
pub struct StandIn {
    regions: usize,
    bytes: HashMap<String, (String, u64)>,
    published: HashMap<(String, String), bool>,
}

impl StandIn {
    /// A Lambda with `regions` regions, which knows the zips of a `dist/`.
    pub fn new(regions: usize, dist: &Dist) -> Self {
        let of = |arch: &str| {
            let size = std::fs::metadata(dist.zip(arch)).unwrap().len();
            (format!("SentryLambdaExtension-{arch}"), (dist.code_sha256(arch), size))
        };
        Self { regions, bytes: ["arm64", "x86_64"].map(of).into(), published: HashMap::new() }
    }

    /// Answers every request except those to STS.
    pub fn answer(&mut self, seen: &SeenRequest) -> Verdict {
        if seen.service == "account" {
            let region = |n| json!({"RegionName": format!("xx-test-{n}"), "RegionOptStatus": "ENABLED"});
            let regions: Vec<Value> = (1..=self.regions).map(region).collect();
            return Verdict::Answer(200, json!({"Regions": regions}).to_string());
        }
        let path: Vec<&str> = seen.line.split([' ', '/', '?']).collect();
        let Some(at) = path.iter().position(|part| *part == "layers") else {
            return if seen.service == "sts" {
                Verdict::Forward
            } else {
                Verdict::error(404, "ResourceNotFoundException")
            };
        };
        let layer = path[at + 1].to_owned();
        let key = (seen.region.clone(), layer.clone());
        let granted = self.published.get(&key).copied();
        let (sha256, size) = self.bytes[&layer].clone();
        let arch = layer.rsplit('-').next().unwrap();
        let digest = Dist::hex_of_base64(&sha256);
        let version = json!({
            "Version": 1, "Description": format!("sha256 {}", &digest[..16]), "LicenseInfo": "BSD-3-Clause",
            "LayerVersionArn": format!("arn:aws:lambda:{}:{}:layer:{layer}:1", seen.region, seen.key),
            "CompatibleArchitectures": [arch], "Content": {"CodeSha256": sha256, "CodeSize": size}
        });
        let missing = || Verdict::error(404, "ResourceNotFoundException");
        let statement =
            json!({"Sid": "public", "Effect": "Allow", "Principal": "*", "Action": "lambda:GetLayerVersion"});
        match (path[0], path.last() == Some(&"policy"), granted) {
            ("POST", false, _) => {
                assert!(self.published.insert(key, false).is_none(), "published twice: {}", seen.region);
                Verdict::DiscardAndAnswer(201, version.to_string())
            }
            ("POST", true, _) => {
                self.published.insert(key, true);
                Verdict::Answer(201, json!({"Statement": statement.to_string()}).to_string())
            }
            ("GET", true, Some(true)) => {
                let policy = json!({"Statement": [statement]});
                Verdict::Answer(200, json!({"Policy": policy.to_string()}).to_string())
            }
            ("GET", false, Some(_)) if path.last() == Some(&"1") => Verdict::Answer(200, version.to_string()),
            ("GET", false, granted) if !path.contains(&"1") => {
                let all: Vec<Value> = granted.iter().map(|_| version.clone()).collect();
                Verdict::Answer(200, json!({"LayerVersions": all}).to_string())
            }
            _ => missing(),
        }
    }
}
