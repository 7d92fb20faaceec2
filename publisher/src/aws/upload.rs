//! A zip on its way to many regions: the request's body, made once and shared.
//!
//! The SDK would copy the zip, encode it and copy it again for every region. The body is the same in all of
//! them (name and region are elsewhere in the request), so it is written here once and lent to each request.

use crate::arch::Arch;
use aws_sdk_lambda::{config::http::HttpRequest, primitives::SdkBody};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

/// What Lambda is told about a layer version beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// At most 256 characters.
    pub description: String,
    /// An SPDX identifier.
    pub license: &'static str,
    /// The architecture that it is compatible with.
    pub arch: Arch,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Request<'a> {
    compatible_architectures: [&'a str; 1],
    content: Content,
    description: &'a str,
    license_info: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    zip_file: String,
}

/// The body of a `PublishLayerVersion` request.
#[derive(Debug)]
pub struct Upload {
    body: SdkBody,
    bytes: u64,
}

impl Upload {
    /// Writes the body. No runtimes are named: an extension works with all of them.
    pub fn new(zip: &[u8], label: &Label) -> Result<Self, serde_json::Error> {
        let request = Request {
            compatible_architectures: [label.arch.name()],
            content: Content { zip_file: STANDARD.encode(zip) },
            description: &label.description,
            license_info: label.license,
        };
        let body = serde_json::to_vec(&request)?;
        Ok(Self { bytes: body.len() as u64, body: SdkBody::from(body) })
    }

    /// The body's length.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The body for one request: another handle on the same bytes.
    pub fn share(&self) -> Option<SharedBody> {
        self.body.try_clone().map(|body| SharedBody { body, bytes: self.bytes })
    }
}

/// A handle on the body, for one request.
pub struct SharedBody {
    body: SdkBody,
    bytes: u64,
}

impl SharedBody {
    /// Puts the body into a request, before it is signed.
    pub fn fill(&self, request: &mut HttpRequest) {
        // An in-memory body can always be cloned; should it ever not be, the empty request is refused.
        if let Some(body) = self.body.try_clone() {
            *request.body_mut() = body;
            request.headers_mut().insert("content-length", self.bytes.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_the_apis_and_its_bytes_are_shared() {
        let label = Label { description: "a \"b\"".to_owned(), license: "BSD-3-Clause", arch: Arch::Arm64 };
        let upload = Upload::new(b"zip", &label).unwrap();
        let body = upload.body.bytes().unwrap();
        let json: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "CompatibleArchitectures": ["arm64"], "Content": {"ZipFile": "emlw"},
                "Description": "a \"b\"", "LicenseInfo": "BSD-3-Clause"
            })
        );
        assert_eq!(upload.share().unwrap().body.bytes().unwrap().as_ptr(), body.as_ptr());
    }
}
