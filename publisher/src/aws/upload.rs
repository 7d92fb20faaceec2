//! Uploads one zip to many regions with a single copy in memory, which is encoded while it is sent.
//!
//! The SDK would encode the zip and copy the whole request for every region. The body is the same in all regions,
//! because name and region are elsewhere in the request. So its sha256, which the signature needs, is computed once,
//! and each request reads the shared zip in small pieces.

use crate::{
    aws::upload_progress::UploadProgress,
    model::{arch::Arch, digest::Digest as Hex, layer_arch::LayerArch},
};
use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_lambda::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef},
    },
    error::BoxError,
    primitives::SdkBody,
};
use aws_smithy_runtime_api::client::{connection::CaptureSmithyConnection, interceptors::dyn_dispatch_hint};
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use sha2::{Digest, Sha256};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tokio::sync::OwnedSemaphorePermit;

/// The number of zip bytes that are encoded at a time. It is a multiple of three, so that the base64 texts of the
/// pieces can be joined.
const PIECE_BYTES: usize = 48 * 1024;

/// The metadata of a layer version, which Lambda stores beside the zip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// The description, of at most 256 characters.
    pub(crate) description: String,
    /// The license: an SPDX identifier, a URL or its text.
    pub(crate) license: String,
    /// The compatible architectures. `None` leaves them out of the request, because some regions reject the field.
    pub(crate) arch: Option<LayerArch>,
    /// The compatible runtimes. An empty list means all of them.
    pub(crate) runtimes: Vec<String>,
}

/// The body of a `PublishLayerVersion` request.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    /// The metadata of the version.
    pub(crate) label: Label,
    pub(crate) zip: Bytes,
    head: Bytes,
    tail: Bytes,
    sha256: String,
}

impl Upload {
    /// Prepares the body and computes its sha256.
    pub(crate) fn new(zip: Bytes, label: Label) -> Result<Self, serde_json::Error> {
        let text = |value: &str| serde_json::to_string(value);
        let runtimes = if label.runtimes.is_empty() {
            String::new()
        } else {
            format!(r#""CompatibleRuntimes":{},"#, serde_json::to_string(&label.runtimes)?)
        };
        let architectures = match label.arch {
            Some(arch) => {
                let names: Vec<&str> = arch.arches().iter().map(|arch| Arch::name(*arch)).collect();
                format!(r#""CompatibleArchitectures":{},"#, serde_json::to_string(&names)?)
            }
            None => String::new(),
        };
        let head = format!(r#"{{{architectures}{runtimes}"Content":{{"ZipFile":""#);
        let tail = format!(
            r#""}},"Description":{},"LicenseInfo":{}}}"#,
            text(&label.description)?,
            text(&label.license)?
        );
        let mut upload = Self { label, zip, head: head.into(), tail: tail.into(), sha256: String::new() };
        let mut hash = Sha256::new();
        let mut pieces = upload.pieces();
        while let Some(piece) = pieces.next_piece() {
            hash.update(&piece);
        }
        upload.sha256 = Hex::from_bytes(hash.finalize().into()).to_string();
        Ok(upload)
    }

    /// Returns the same request without `CompatibleArchitectures`.
    pub(crate) fn without_architecture(&self) -> Result<Self, serde_json::Error> {
        Self::new(self.zip.clone(), Label { arch: None, ..self.label.clone() })
    }

    /// The length of the request's body in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        let encoded = self.zip.len().div_ceil(3) * 4;
        (self.head.len() + encoded + self.tail.len()) as u64
    }

    fn pieces(&self) -> Pieces {
        let (head, tail) = (Some(self.head.clone()), Some(self.tail.clone()));
        Pieces { head, zip: self.zip.clone(), tail, is_base64: true }
    }

    /// Creates an interceptor that puts the body into one request and records its progress in `progress`. `bytes` is
    /// released as soon as the whole body is handed over.
    pub(crate) fn body_interceptor(
        &self,
        bytes: Option<OwnedSemaphorePermit>,
        progress: UploadProgress,
    ) -> BodyInterceptor {
        BodyInterceptor {
            pieces: self.pieces(),
            length: self.bytes(),
            sha256: self.sha256.clone(),
            bytes: Arc::new(Mutex::new(bytes)),
            progress,
        }
    }
}

#[derive(Clone, Debug)]
struct Pieces {
    head: Option<Bytes>,
    zip: Bytes,
    tail: Option<Bytes>,
    /// Whether the zip is sent as base64 and not as it is.
    is_base64: bool,
}

impl Pieces {
    fn next_piece(&mut self) -> Option<Bytes> {
        if let Some(head) = self.head.take() {
            return Some(head);
        }
        if self.zip.is_empty() {
            return self.tail.take();
        }
        let piece = self.zip.split_to(PIECE_BYTES.min(self.zip.len()));
        Some(if self.is_base64 { STANDARD.encode(piece).into() } else { piece })
    }
}

/// The body of one request while it is sent.
struct StreamedBody {
    pieces: Pieces,
    remaining: u64,
    bytes: Option<OwnedSemaphorePermit>,
    progress: UploadProgress,
}

impl Body for StreamedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.pieces.next_piece();
        let length = piece.as_ref().map_or(0, |piece| piece.len() as u64);
        self.remaining = self.remaining.saturating_sub(length);
        self.progress.add_written(length);
        if self.remaining == 0 {
            self.bytes = None;
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

/// Replaces the SDK's body by the prepared one and gives its hash to the signer.
#[derive(Debug)]
pub(crate) struct BodyInterceptor {
    pieces: Pieces,
    length: u64,
    sha256: String,
    bytes: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
    progress: UploadProgress,
}

impl BodyInterceptor {
    /// Creates an interceptor that sends the zip without encoding it, for S3, and records its progress.
    pub(crate) fn with_zip(zip: &Bytes, sha256: Hex, progress: UploadProgress) -> Self {
        Self {
            pieces: Pieces { head: None, zip: zip.clone(), tail: None, is_base64: false },
            length: zip.len() as u64,
            sha256: sha256.to_string(),
            bytes: Arc::default(),
            progress,
        }
    }
}

#[dyn_dispatch_hint]
impl Intercept for BodyInterceptor {
    fn name(&self) -> &'static str {
        "BodyInterceptor"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let length = self.length;
        let bytes = self.bytes.lock().map_or(None, |mut bytes| bytes.take());
        let progress = self.progress.clone();
        // If the SDK sends the request again, it sends all of it.
        progress.restart();
        let body = StreamedBody { pieces: self.pieces.clone(), remaining: length, bytes, progress };
        let request = context.request_mut();
        *request.body_mut() = SdkBody::from_body_1_x(body);
        request.headers_mut().insert("content-length", length.to_string());
        config.interceptor_state().store_put(PayloadSigningOverride::Precomputed(self.sha256.clone()));
        Ok(())
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(connection) = config.load::<CaptureSmithyConnection>() {
            self.progress.set_connection(connection.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(zip: &[u8], runtimes: &[&str]) -> (Upload, Vec<u8>) {
        let label = Label {
            description: "a \"b\"".to_owned(),
            license: "BSD-3-Clause".to_owned(),
            arch: Some(LayerArch::Arm64),
            runtimes: runtimes.iter().map(|name| (*name).to_owned()).collect(),
        };
        let upload = Upload::new(Bytes::copy_from_slice(zip), label).unwrap();
        let mut pieces = upload.pieces();
        let body = std::iter::from_fn(|| pieces.next_piece()).flatten().collect();
        (upload, body)
    }

    #[test]
    fn the_body_is_the_json_of_the_api() {
        let json: serde_json::Value = serde_json::from_slice(&body(b"zip", &[]).1).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "CompatibleArchitectures": ["arm64"], "Content": {"ZipFile": "emlw"},
                "Description": "a \"b\"", "LicenseInfo": "BSD-3-Clause"
            })
        );
        let without = body(b"zip", &[]).0.without_architecture().unwrap();
        let bytes: Vec<u8> = std::iter::successors(Some(without.pieces()), |_| None)
            .flat_map(|mut pieces| std::iter::from_fn(move || pieces.next_piece()))
            .flatten()
            .collect();
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json.get("CompatibleArchitectures"), None);
        assert_eq!(json["Content"], serde_json::json!({"ZipFile": "emlw"}));
    }

    #[test]
    fn the_pieces_match_the_announced_length_and_the_signed_hash() {
        for length in [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 2] {
            let zip: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
            let (upload, body) = body(&zip, &["python3.14", "nodejs24.x"]);
            assert_eq!(body.len() as u64, upload.bytes());
            assert_eq!(Hex::of(&body).to_string(), upload.sha256);
            let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(json["CompatibleRuntimes"], serde_json::json!(["python3.14", "nodejs24.x"]));
            assert_eq!(STANDARD.decode(json["Content"]["ZipFile"].as_str().unwrap()).unwrap(), zip);
        }
    }
}
