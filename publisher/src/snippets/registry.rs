//! Snippet for Sentry's release registry: one file for each layer under `aws-lambda-layers/`, in the registry's own
//! format.
//!
//! Readers of the registry know one account. They build an ARN from the account, the layer's name and the version in
//! a region, always in the partition `aws`. So layers of other partitions cannot be listed there.

use crate::{
    aws::partition::{Partition, RegionName},
    model::variant::LayerKind,
    snippets::{ArnTable, Snippet, SnippetError},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// The fields and their order are those of the registry.
#[derive(Serialize)]
struct RegistryLayer<'a> {
    name: String,
    repo_url: Option<String>,
    main_docs_url: Option<String>,
    created_at: Option<String>,
    canonical: String,
    sdk_version: &'a str,
    account_number: &'a str,
    layer_name: &'a str,
    regions: Vec<RegistryRegion<'a>>,
    compatible_runtimes: &'a [String],
}

#[derive(Serialize)]
struct RegistryRegion<'a> {
    region: &'a RegionName,
    version: String,
}

pub(crate) fn render(table: &ArnTable) -> Result<Snippet, SnippetError> {
    let release = table.version.as_deref().ok_or(SnippetError::NoRelease)?;
    let mut files: BTreeMap<String, RegistryLayer<'_>> = BTreeMap::new();
    let mut left_out = Vec::new();
    for (region, arch, arn) in table.arns() {
        if arn.partition() != Partition::Aws {
            left_out.push(arn.to_string());
            continue;
        }
        let layer = format!(
            "{}-{arch}",
            if table.kind == LayerKind::Relay { "extension-relay" } else { "extension" }
        );
        let file = files.entry(format!("aws-lambda-layers/{layer}/{release}.json")).or_insert_with(|| {
            RegistryLayer {
                name: format!("AWS Lambda Extension Layer ({arch})"),
                repo_url: None,
                main_docs_url: None,
                created_at: None,
                canonical: format!("aws-layer:{layer}"),
                sdk_version: release,
                account_number: arn.account.as_str(),
                layer_name: arn.name.as_str(),
                regions: Vec::new(),
                compatible_runtimes: table.runtimes.get(&arch).map_or(&[], Vec::as_slice),
            }
        });
        file.regions.push(RegistryRegion { region, version: arn.version.to_string() });
    }
    if files.is_empty() {
        return Err(SnippetError::NoCommercialRegion);
    }
    let mut notes = vec![
        "repo_url, main_docs_url and created_at are null: layers.json does not have them; an empty \
         compatible_runtimes means all of them"
            .to_owned(),
    ];
    if !left_out.is_empty() {
        notes
            .push(format!("left out, since the registry has the partition aws only: {}", left_out.join(" ")));
    }
    Ok(Snippet { text: serde_json::to_string_pretty(&files)?, notes })
}
