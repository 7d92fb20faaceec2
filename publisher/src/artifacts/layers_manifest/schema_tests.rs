//! Checks that the JSON Schema and the Rust type have the same fields and require the same ones. The integration
//! tests run a validator on a manifest that was really published.

use crate::{
    artifacts::layers_manifest::{LayersManifest, sample},
    aws::audience::{Audience, Grantee},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../layers.schema.json")).unwrap()
}

/// Follows `$ref` to the definition.
fn resolved<'a>(root: &'a Value, at: &'a Value) -> &'a Value {
    let Some(reference) = at["$ref"].as_str() else { return at };
    let found = root.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("no {reference}"));
    resolved(root, found)
}

/// A manifest in which every field is set.
fn full() -> Value {
    let mut manifest = sample::full();
    // No file has both, but the test needs each field once.
    manifest.other_layer = sample::other().other_layer;
    let account = Grantee::Account("123456789012".parse().unwrap());
    let organization = Grantee::Organization("o-a1b2c3d4e5".parse().unwrap());
    for layer in manifest.layers.values_mut() {
        layer.regions.values_mut().next().unwrap().grant =
            Audience::of([account.clone(), organization.clone()]);
        layer.runtimes = Some(vec!["python3.14".to_owned()]);
    }
    manifest.mark_yanked("2026-11-26T03:00:00Z".to_owned(), Some("it crashes".parse().unwrap()));
    let regions: Vec<_> = manifest
        .all()
        .flat_map(|(variant, layer)| layer.regions.keys().map(move |region| (variant, region.clone())))
        .collect();
    for (variant, region) in regions {
        manifest.placement_mut(variant, &region).unwrap().withdraw("2026-11-26T03:00:00Z".to_owned());
    }
    serde_json::to_value(manifest).unwrap()
}

/// Collects every object in the sample with its path and its part of the schema.
fn collect_objects(root: &Value, at: &Value, value: &Value, path: &str, all: &mut Vec<(String, Value)>) {
    let at = resolved(root, at);
    let Some(fields) = value.as_object() else { return };
    let at = at["anyOf"]
        .as_array()
        .map_or(at, |choices| choices.iter().find(|choice| choice["type"] == "object").unwrap());
    all.push((path.to_owned(), at.clone()));
    for (key, value) in fields {
        let field_schema = match &at["properties"][key] {
            Value::Null => &at["additionalProperties"],
            field_schema => field_schema,
        };
        assert!(field_schema.is_object(), "the schema does not know {path}/{key}");
        collect_objects(root, field_schema, value, &format!("{path}/{key}"), all);
    }
}

fn field_names(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(fields) => fields.keys().cloned().collect(),
        Value::Array(names) => names.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn the_schema_and_the_type_have_and_require_the_same_fields() {
    let (schema, full) = (schema(), full());
    let is_read = |value: &Value| serde_json::from_value::<LayersManifest>(value.clone()).is_ok();
    assert!(is_read(&full));
    let mut all = Vec::new();
    collect_objects(&schema, &schema, &full, "", &mut all);
    assert!(all.len() > 20, "{all:?}");
    for (path, at) in all {
        let at_path = full.pointer(&path).unwrap();
        let properties = field_names(&at["properties"]);
        if properties.is_empty() {
            continue;
        }
        assert_eq!(field_names(at_path), properties, "{path}: the sample has every field of the schema");
        assert_eq!(at["additionalProperties"], json!(false), "{path}");
        let mut more = full.clone();
        more.pointer_mut(&path).unwrap()["unheard_of"] = json!(1);
        assert!(!is_read(&more), "{path}: an unknown field is accepted");
        let required = field_names(&at["required"]);
        for field in properties {
            let mut less = full.clone();
            less.pointer_mut(&path).unwrap().as_object_mut().unwrap().remove(&field);
            // The schema requires these fields, though they may be null. Serde also accepts them absent.
            let needed =
                required.contains(&field) && !["relay", "runtimes", "glibc"].contains(&field.as_str());
            assert_eq!(is_read(&less), !needed, "{path}/{field}");
        }
    }
}

#[test]
fn every_field_is_described() {
    fn check(root: &Value, at: &Value, path: &str) {
        for (name, field) in at["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}/{name}");
            let text = [&field["description"], &resolved(root, field)["description"]];
            assert!(text.iter().any(|text| text.is_string()), "{path} is not described");
            check(root, field, &path);
        }
    }
    let schema = schema();
    check(&schema, &schema, "");
    for (name, at) in schema["$defs"].as_object().unwrap() {
        assert!(at["description"].is_string(), "{name} is not described");
        check(&schema, at, name);
    }
}
