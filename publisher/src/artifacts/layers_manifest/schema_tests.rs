//! The JSON Schema and the type that is read and written know the same fields, and need the same ones. Whether a
//! validator agrees is tested from outside, on what was really published.

use crate::{
    artifacts::layers_manifest::{LayersManifest, sample},
    aws::audience::{Audience, Reader},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../layers.schema.json")).unwrap()
}

/// Follows references.
fn resolved<'a>(root: &'a Value, at: &'a Value) -> &'a Value {
    let Some(reference) = at["$ref"].as_str() else { return at };
    let found = root.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("no {reference}"));
    resolved(root, found)
}

/// A manifest with every field that there is.
fn full() -> Value {
    let mut manifest = sample::full();
    let account = Reader::Account("123456789012".parse().unwrap());
    let organization = Reader::Organization("o-a1b2c3d4e5".parse().unwrap());
    for layer in manifest.layers.values_mut() {
        layer.regions.values_mut().next().unwrap().grant =
            Audience::of([account.clone(), organization.clone()]);
    }
    serde_json::to_value(manifest).unwrap()
}

/// Every object in the sample with its part of the schema, by its path.
fn objects(root: &Value, at: &Value, value: &Value, path: &str, all: &mut Vec<(String, Value)>) {
    let at = resolved(root, at);
    let Some(fields) = value.as_object() else { return };
    let at = at["anyOf"]
        .as_array()
        .map_or(at, |choices| choices.iter().find(|choice| choice["type"] == "object").unwrap());
    all.push((path.to_owned(), at.clone()));
    for (key, value) in fields {
        let of_field = match &at["properties"][key] {
            Value::Null => &at["additionalProperties"],
            of_field => of_field,
        };
        assert!(of_field.is_object(), "the schema does not know {path}/{key}");
        objects(root, of_field, value, &format!("{path}/{key}"), all);
    }
}

fn names(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(fields) => fields.keys().cloned().collect(),
        Value::Array(names) => names.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn the_schema_and_the_type_know_the_same_fields_and_need_the_same() {
    let (schema, full) = (schema(), full());
    let reads = |value: &Value| serde_json::from_value::<LayersManifest>(value.clone()).is_ok();
    assert!(reads(&full));
    let mut all = Vec::new();
    objects(&schema, &schema, &full, "", &mut all);
    assert!(all.len() > 20, "{all:?}");
    for (path, at) in all {
        let at_path = full.pointer(&path).unwrap();
        let properties = names(&at["properties"]);
        if properties.is_empty() {
            continue;
        }
        assert_eq!(names(at_path), properties, "{path}: the sample has every field of the schema");
        assert_eq!(at["additionalProperties"], json!(false), "{path}");
        let mut more = full.clone();
        more.pointer_mut(&path).unwrap()["unheard_of"] = json!(1);
        assert!(!reads(&more), "{path}: an unknown field is read");
        let required = names(&at["required"]);
        for field in properties {
            let mut less = full.clone();
            less.pointer_mut(&path).unwrap().as_object_mut().unwrap().remove(&field);
            // Serde takes an optional value for absent where the schema wants a null.
            let needed =
                required.contains(&field) && !["relay", "runtimes", "glibc"].contains(&field.as_str());
            assert_eq!(reads(&less), !needed, "{path}/{field}");
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
