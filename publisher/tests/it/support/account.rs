//! Looks into an emulated AWS account. It uses neither the publisher's code nor the SDK, so it does not share their
//! mistakes.

use super::{emulator::Emulator, http};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};

/// An AWS account. The emulators take an access key of twelve digits for the account's number.
#[derive(Clone)]
pub struct Account {
    pub key: String,
    address: String,
}

impl Account {
    /// An account that no other test uses.
    pub fn new(emulator: &Emulator) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(200_000_000_001);
        let key = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        Self { key, address: emulator.address().to_owned() }
    }

    /// Sends a request to Lambda in a region. Returns the status and the JSON body.
    pub fn lambda(&self, region: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body).unwrap() };
        let path = format!("/2018-10-31/{path}");
        let answer = self.call("lambda", region, method, &path, "application/json", &body);
        (answer.status(), answer.json())
    }

    /// Sends a request to any AWS service.
    pub fn call(
        &self,
        service: &str,
        region: &str,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> http::Message {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {}\r\n\
             content-type: {content_type}\r\nauthorization: AWS4-HMAC-SHA256 \
             Credential={}/20260101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n",
            self.address,
            body.len(),
            self.key
        );
        http::exchange(&self.address, &head, body).unwrap()
    }

    pub fn get(&self, region: &str, path: &str) -> (u16, Value) {
        self.lambda(region, "GET", path, &Value::Null)
    }

    /// The numbers of all versions of a layer, in ascending order.
    pub fn versions(&self, region: &str, layer: &str) -> Vec<i64> {
        let (status, answer) = self.get(region, &format!("layers/{layer}/versions"));
        assert!(status == 200 || status == 404, "{status}: {answer}");
        let all = answer["LayerVersions"].as_array().cloned().unwrap_or_default();
        let mut numbers: Vec<i64> = all.iter().map(|version| version["Version"].as_i64().unwrap()).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The numbers of the versions of a layer that contain the zip with this `CodeSha256`.
    pub fn copies(&self, region: &str, layer: &str, code_sha256: &str) -> Vec<i64> {
        let mut numbers = self.versions(region, layer);
        numbers.retain(|number| {
            let (_, version) = self.get(region, &format!("layers/{layer}/versions/{number}"));
            version["Content"]["CodeSha256"] == code_sha256
        });
        numbers
    }

    /// Publishes a layer version directly, without the publisher.
    pub fn publish(&self, region: &str, layer: &str, arch: &str, zip: &[u8], description: &str) -> i64 {
        let body = serde_json::json!({
            "Content": {"ZipFile": STANDARD.encode(zip)}, "Description": description,
            "CompatibleArchitectures": [arch], "LicenseInfo": "BSD-3-Clause"
        });
        let (status, answer) = self.lambda(region, "POST", &format!("layers/{layer}/versions"), &body);
        assert_eq!(status, 201, "{answer}");
        answer["Version"].as_i64().unwrap()
    }

    /// Requests a layer version by its ARN, as other accounts do.
    pub fn by_arn(&self, arn: &str) -> (u16, Value) {
        let region = arn.split(':').nth(3).unwrap();
        self.get(region, &format!("layers?find=LayerVersion&Arn={}", arn.replace(':', "%3A")))
    }

    /// Removes the public permission of a layer version.
    pub fn revoke(&self, region: &str, layer: &str, version: i64) {
        let path = format!("layers/{layer}/versions/{version}/policy/public");
        let (status, answer) = self.lambda(region, "DELETE", &path, &Value::Null);
        assert!((200..300).contains(&status), "{status}: {answer}");
    }
}
