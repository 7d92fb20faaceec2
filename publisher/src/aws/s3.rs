//! A bucket on the way to Lambda, for zips that are too large to come with the request.

use crate::{
    aws::{
        audience::AccountId,
        error::{CallError, CallErrorKind},
        partition::RegionName,
        session::Session,
    },
    model::digest::Digest,
};
use aws_sdk_s3::{Client, config::Region, primitives::ByteStream, types::ChecksumMode};
use bytes::Bytes;

const HEAD_BUCKET: &str = "s3:HeadBucket";
const PUT: &str = "s3:PutObject";
const DELETE: &str = "s3:DeleteObject";

/// A zip in a bucket.
#[derive(Clone, Debug)]
pub(crate) struct Staged {
    /// In the region of the layer.
    pub(crate) bucket: String,
    /// Named by the zip's hash.
    pub(crate) key: String,
}

/// Why a bucket is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BucketError {
    /// There is none.
    #[error("there is no bucket `{bucket}` in {region}")]
    Missing {
        /// Its name.
        bucket: String,
        /// Where it should be.
        region: RegionName,
    },
    /// Lambda takes objects of its own region only.
    #[error("the bucket `{bucket}` is in {found}, not in {region}")]
    Elsewhere {
        /// Its name.
        bucket: String,
        /// Where it is.
        found: String,
        /// Where it should be.
        region: RegionName,
    },
    /// It is there, or not, and nobody tells us.
    #[error("the bucket `{bucket}` cannot be used: {source}")]
    Refused {
        /// Its name.
        bucket: String,
        /// Why.
        source: CallError,
    },
}

/// One region's bucket. Every request says whose it has to be: a bucket of that name in another account would get
/// the zip, or hand out another one.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    client: Client,
    region: RegionName,
    name: String,
    owner: AccountId,
    session: std::sync::Arc<Session>,
}

impl Bucket {
    /// The bucket of an account that a template like `layers-{region}` names.
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

    /// Whether it is there, and in the region.
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
            return Err(BucketError::Elsewhere { bucket, found, region: self.region.clone() });
        }
        match answer.map_err(|error| CallError::new(HEAD_BUCKET, &error)) {
            Ok(_) => Ok(()),
            Err(error) if error.kind == CallErrorKind::NotFound => {
                Err(BucketError::Missing { bucket, region: self.region.clone() })
            }
            Err(source) => Err(BucketError::Refused { bucket, source }),
        }
    }

    /// Brings a zip there, unless it is there already.
    pub(crate) async fn put(&self, key: String, zip: &Bytes) -> Result<Staged, CallError> {
        let head = self
            .client
            .head_object()
            .bucket(&self.name)
            .key(&key)
            .expected_bucket_owner(self.owner.as_str())
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        // The name alone proves nothing: anybody who may write to the bucket can have put other bytes there.
        let sha256 = Digest::of(zip).base64();
        let there = head.is_ok_and(|head| head.checksum_sha256() == Some(&sha256));
        if !there {
            let config =
                aws_sdk_s3::Config::builder().timeout_config(self.session.timeouts.upload(zip.len() as u64));
            self.client
                .put_object()
                .bucket(&self.name)
                .key(&key)
                .expected_bucket_owner(self.owner.as_str())
                .checksum_sha256(sha256)
                .body(ByteStream::from(zip.clone()))
                .customize()
                .config_override(config)
                .send()
                .await
                .map_err(|error| CallError::new(PUT, &error))?;
        }
        Ok(Staged { bucket: self.name.clone(), key })
    }

    /// Removes it again.
    pub(crate) async fn remove(&self, staged: &Staged) -> Result<(), CallError> {
        let request = self.client.delete_object().bucket(&staged.bucket).key(&staged.key);
        let request = request.expected_bucket_owner(self.owner.as_str());
        request.send().await.map(drop).map_err(|error| CallError::new(DELETE, &error))
    }
}
