//! Tells from the tags of a function which tool deploys it. Such a tool reverts a change at the next deployment.

/// The tags by which people and modules say what manages a resource, in lower case and without separators.
const OWNER_KEYS: [&str; 6] = ["managedby", "createdby", "provisionedby", "provisioner", "deployedby", "iac"];
/// The tools that deploy functions, as they are found in the value of such a tag.
const TOOLS: [(&str, &str); 8] = [
    ("terraform", "Terraform"),
    ("terragrunt", "Terraform"),
    ("opentofu", "OpenTofu"),
    ("pulumi", "Pulumi"),
    ("cloudformation", "CloudFormation"),
    ("cdk", "CDK"),
    ("serverless", "Serverless Framework"),
    ("sam", "SAM"),
];

/// The tool that manages a function with these tags, e.g. `SAM, stack orders`. `None` if no tag tells.
pub(crate) fn managed_by<'a>(tags: impl IntoIterator<Item = (&'a str, &'a str)> + Clone) -> Option<String> {
    let tool = tags.clone().into_iter().find_map(|(key, value)| named_tool(key, value));
    let stack = tags.into_iter().find(|(key, _)| *key == "aws:cloudformation:stack-name");
    match (stack, tool) {
        (Some((_, stack)), tool) => Some(format!("{}, stack {stack}", tool.unwrap_or("CloudFormation"))),
        (None, tool) => tool.map(str::to_owned),
    }
}

fn named_tool(key: &str, value: &str) -> Option<&'static str> {
    let plain = |text: &str| -> String {
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
    };
    let (key, value) = (key.strip_prefix("lambda:").unwrap_or(key), plain(value));
    if key.starts_with("aws-cdk:") || key.starts_with("aws:cdk:") {
        return Some("CDK");
    }
    let key = plain(key);
    if OWNER_KEYS.contains(&key.as_str()) {
        // `sam` is a part of other words, so it has to be the whole value.
        let names_tool = |tool: &str| if tool == "sam" { value == tool } else { value.contains(tool) };
        return TOOLS.iter().find(|(tool, _)| names_tool(tool)).map(|(_, name)| *name);
    }
    let is_negative = ["false", "no", "0"].contains(&value.as_str());
    TOOLS.iter().find(|(tool, _)| *tool == key && !is_negative).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_tell_the_tool() {
        let stack = ("aws:cloudformation:stack-name", "orders");
        for (tags, expected) in [
            (&[stack][..], Some("CloudFormation, stack orders")),
            (&[("lambda:createdBy", "SAM"), stack], Some("SAM, stack orders")),
            (&[("aws-cdk:id", "x"), stack], Some("CDK, stack orders")),
            (&[("ManagedBy", "Terraform Cloud")], Some("Terraform")),
            (&[("managed-by", "opentofu")], Some("OpenTofu")),
            (&[("Terraform", "true")], Some("Terraform")),
            (&[("terraform", "false")], None),
            (&[("created_by", "samuel")], None),
            (&[("team", "terraform"), ("service", "cdk")], None),
            (&[], None),
        ] {
            assert_eq!(managed_by(tags.iter().copied()).as_deref(), expected, "{tags:?}");
        }
    }
}
