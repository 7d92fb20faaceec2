//! Stages zips in an S3 bucket, from which Lambda copies them. This is for zips that are too large for the request.

use crate::{
    aws::{
        audience::AccountId,
        error::{CallError, CallErrorKind},
        partition::RegionName,
        session::Session,
        upload::BodyInterceptor,
        upload_progress::UploadProgress,
    },
    model::digest::Digest,
};
use aws_sdk_s3::{
    Client,
    config::{Region, StalledStreamProtectionConfig},
    primitives::ByteStream,
    types::ChecksumMode,
};
use bytes::Bytes;

const HEAD_BUCKET: &str = "s3:HeadBucket";
const PUT: &str = "s3:PutObject";
const DELETE: &str = "s3:DeleteObject";

/// A zip that was uploaded to a bucket.
#[derive(Clone, Debug)]
pub(crate) struct StagedZip {
    /// The name of the bucket, which is in the region of the layer.
    pub(crate) bucket: String,
    /// The key of the object, which contains the hash of the zip.
    pub(crate) key: String,
}

/// Why a bucket cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BucketError {
    /// The bucket does not exist.
    #[error("there is no bucket `{bucket}` in {region}")]
    Missing {
        /// The name of the bucket.
        bucket: String,
        /// The region that the bucket should be in.
        region: RegionName,
    },
    /// The bucket is in another region. Lambda reads objects of its own region only.
    #[error("the bucket `{bucket}` is in {found}, not in {region}")]
    WrongRegion {
        /// The name of the bucket.
        bucket: String,
        /// The region of the bucket.
        found: String,
        /// The region that the bucket should be in.
        region: RegionName,
    },
    /// AWS refused to say whether the bucket exists, or the call failed.
    #[error("the bucket `{bucket}` cannot be used: {source}")]
    Refused {
        /// The name of the bucket.
        bucket: String,
        /// The failed call.
        source: CallError,
    },
}

/// The bucket for one region. Every request names the expected owner. Otherwise a bucket of the same name in another
/// account could receive the zip, or serve a different one.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    client: Client,
    region: RegionName,
    name: String,
    owner: AccountId,
    session: std::sync::Arc<Session>,
}

impl Bucket {
    /// Creates a client for the bucket that a template like `layers-{region}` names. `owner` is the account that the
    /// bucket must belong to.
    pub(crate) fn new(
        session: &std::sync::Arc<Session>,
        region: &RegionName,
        template: &str,
        owner: &AccountId,
    ) -> Self {
        let config = aws_sdk_s3::config::Builder::from(&session.config)
            .region(Region::new(region.to_string()))
            .force_path_style(session.config.endpoint_url().is_some())
            .build();
        let name = template.replace("{region}", region.as_str());
        let session = std::sync::Arc::clone(session);
        let owner = owner.clone();
        Self { client: Client::from_conf(config), region: region.clone(), name, owner, session }
    }

    /// Checks that the bucket exists, is in the right region, and can be used.
    pub(crate) async fn check(&self) -> Result<(), BucketError> {
        let bucket = self.name.clone();
        let request = self.client.head_bucket().bucket(&bucket);
        let answer = request.expected_bucket_owner(self.owner.as_str()).send().await;
        let found = match &answer {
            Ok(answer) => answer.bucket_region().map(str::to_owned),
            Err(error) => error
                .raw_response()
                .and_then(|raw| raw.headers().get("x-amz-bucket-region"))
                .map(str::to_owned),
        };
        if let Some(found) = found.filter(|found| found != self.region.as_str()) {
            return Err(BucketError::WrongRegion { bucket, found, region: self.region.clone() });
        }
        match answer.map_err(|error| CallError::new(HEAD_BUCKET, &error)) {
            Ok(_) => Ok(()),
            Err(error) if error.kind == CallErrorKind::NotFound => {
                Err(BucketError::Missing { bucket, region: self.region.clone() })
            }
            Err(source) => Err(BucketError::Refused { bucket, source }),
        }
    }

    /// Uploads the zip, unless the bucket contains it already. The upload is aborted when it makes no more progress,
    /// and not after a fixed time.
    pub(crate) async fn put(&self, key: String, zip: &Bytes) -> Result<StagedZip, CallError> {
        let head = self
            .client
            .head_object()
            .bucket(&self.name)
            .key(&key)
            .expected_bucket_owner(self.owner.as_str())
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        // The key alone proves nothing, because anybody who may write to the bucket can have stored other bytes under
        // it. So the checksums are compared.
        let digest = Digest::of(zip);
        let sha256 = digest.base64();
        let is_uploaded = head.is_ok_and(|head| head.checksum_sha256() == Some(&sha256));
        if !is_uploaded {
            let timeouts = self.session.timeouts;
            let progress = UploadProgress::new(zip.len() as u64);
            let config = aws_sdk_s3::Config::builder()
                .timeout_config(timeouts.watched_upload())
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
            let request = self
                .client
                .put_object()
                .bucket(&self.name)
                .key(&key)
                .expected_bucket_owner(self.owner.as_str())
                .checksum_sha256(sha256)
                .body(ByteStream::from(zip.clone()))
                .customize()
                .interceptor(BodyInterceptor::with_zip(zip, digest, progress.clone()))
                .config_override(config);
            tokio::select! {
                answer = request.send() => answer.map_err(|error| CallError::new(PUT, &error))?,
                () = progress.wait_until_stalled(timeouts) => {
                    return Err(CallError::aborted_upload(PUT, progress.is_incomplete()));
                }
            };
        }
        Ok(StagedZip { bucket: self.name.clone(), key })
    }

    /// Deletes a staged zip from the bucket.
    pub(crate) async fn remove(&self, staged: &StagedZip) -> Result<(), CallError> {
        let request = self.client.delete_object().bucket(&staged.bucket).key(&staged.key);
        let request = request.expected_bucket_owner(self.owner.as_str());
        request.send().await.map(drop).map_err(|error| CallError::new(DELETE, &error))
    }
}
