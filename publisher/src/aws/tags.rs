//! The tags of functions, from the Resource Groups Tagging API: one request tells those of a hundred functions.

use crate::aws::{error::CallError, partition::RegionName, rate_limit, session::Session};
use aws_sdk_resourcegroupstagging::{
    Client,
    config::{Builder, Region},
    types::{ResourceTagMapping, TagFilter},
};
use std::{collections::BTreeSet, sync::Arc};

const GET: &str = "tag:GetResources";
/// The most ARNs that one request may name, and the most functions that one answer has.
const PAGE: usize = 100;

/// The tags of one function.
#[derive(Clone, Debug)]
pub(crate) struct TaggedFunction {
    pub(crate) arn: String,
    pub(crate) tags: Vec<(String, String)>,
}

/// The calls of one region that concern tags.
#[derive(Clone, Debug)]
pub(crate) struct RegionTags {
    client: Client,
    session: Arc<Session>,
}

impl RegionTags {
    pub(crate) fn new(session: &Arc<Session>, region: &RegionName) -> Self {
        let config = Builder::from(&session.config)
            .region(Region::new(region.to_string()))
            .http_client(rate_limit::paced(session.http.clone()))
            .build();
        Self { client: Client::from_conf(config), session: Arc::clone(session) }
    }

    /// The ARNs of all functions that have every one of these tags. Without a value, any value is right.
    pub(crate) async fn functions_with(
        &self,
        tags: impl IntoIterator<Item = (&str, Option<&str>)>,
    ) -> Result<BTreeSet<String>, CallError> {
        let filter = |(key, value): (&str, Option<&str>)| {
            TagFilter::builder().key(key).set_values(value.map(|value| vec![value.to_owned()])).build()
        };
        let filters: Vec<TagFilter> = tags.into_iter().map(filter).collect();
        let mut found = BTreeSet::new();
        let mut token: Option<String> = None;
        loop {
            let request = || {
                self.client
                    .get_resources()
                    .resource_type_filters("lambda:function")
                    .set_tag_filters(Some(filters.clone()))
                    .set_pagination_token(token.clone())
                    .send()
            };
            let answer = self.session.send(GET, request).await?;
            let arns = answer.resource_tag_mapping_list().iter().filter_map(ResourceTagMapping::resource_arn);
            found.extend(arns.map(str::to_owned));
            token = answer.pagination_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    /// The tags of these functions. Functions without tags may be missing.
    pub(crate) async fn of(&self, arns: &[String]) -> Result<Vec<TaggedFunction>, CallError> {
        let mut found = Vec::new();
        for chunk in arns.chunks(PAGE) {
            let request = || self.client.get_resources().set_resource_arn_list(Some(chunk.to_vec())).send();
            let answer = self.session.send(GET, request).await?;
            for mapping in answer.resource_tag_mapping_list.unwrap_or_default() {
                let tags = mapping.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value));
                found.extend(mapping.resource_arn.map(|arn| TaggedFunction { arn, tags: tags.collect() }));
            }
        }
        Ok(found)
    }
}
