//! JSON Schema (draft 2020-12) and the reference text of the manifest, both from [`super::keys`].

use super::format::Format;
use super::keys::ROOT;
use super::shape::{Form, Known, Shape};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// The JSON Schema of a manifest, for editors and for `lace schema`.
pub fn schema() -> Value {
    schema_of(&ROOT, "lace.toml")
}

/// The JSON Schema of a file.
pub(crate) fn schema_of(shape: &Shape, title: &str) -> Value {
    let mut defs = Map::new();
    let root = of(shape, &mut defs);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "$ref": root["$ref"],
        "$defs": defs,
    })
}

/// Every key with its help, example and default, as Markdown for the manual.
pub fn reference() -> String {
    reference_of(&ROOT)
}

/// The reference of a file.
pub(crate) fn reference_of(shape: &Shape) -> String {
    let mut out = String::new();
    let mut seen = Vec::new();
    describe(shape, &mut out, &mut seen);
    out
}

fn of(shape: &Shape, defs: &mut Map<String, Value>) -> Value {
    match shape {
        Shape::Text(format) => text(*format),
        Shape::Amount(format) => {
            json!({ "anyOf": [{ "type": "number", "minimum": 0 }, text(*format)] })
        }
        Shape::Whole(min, max) => or_variable(json!({ "type": "integer", "minimum": min, "maximum": max })),
        Shape::Number => or_variable(json!({ "type": "number", "minimum": 0 })),
        Shape::Flag => or_variable(json!({ "type": "boolean" })),
        Shape::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Shape::OneOf(words) => or_variable(json!({ "enum": words })),
        Shape::Words => json!({ "type": "array", "minItems": 1, "items": { "type": "string" } }),
        Shape::List(item) => json!({ "type": "array", "items": of(item, defs) }),
        Shape::Map(names, value) => {
            json!({ "type": "object", "propertyNames": name(*names), "additionalProperties": of(value, defs) })
        }
        Shape::Table(form) => table(form, defs),
        Shape::Either(shapes) => {
            json!({ "anyOf": shapes.iter().map(|shape| of(shape, defs)).collect::<Vec<_>>() })
        }
    }
}

fn name(format: Format) -> Value {
    format.pattern().map_or(json!({ "type": "string" }), |pattern| json!({ "pattern": pattern }))
}

fn text(format: Format) -> Value {
    match format.pattern() {
        Some(pattern) => {
            or_variable(json!({ "type": "string", "pattern": pattern, "description": format.what() }))
        }
        None => json!({ "type": "string", "description": format.what() }),
    }
}

fn or_variable(schema: Value) -> Value {
    json!({ "anyOf": [schema, { "type": "string", "pattern": r"\{\{" }] })
}

fn table(form: &Form, defs: &mut Map<String, Value>) -> Value {
    let reference = json!({ "$ref": format!("#/$defs/{}", form.name) });
    if defs.contains_key(form.name) {
        return reference;
    }
    defs.insert(form.name.into(), Value::Null);
    let mut properties = Map::new();
    for known in form.keys {
        let mut schema = of(&known.shape, defs);
        schema["description"] = json!(help(known));
        properties.insert(known.name.into(), schema);
    }
    let required: Vec<&str> =
        form.keys.iter().filter(|known| known.required).map(|known| known.name).collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    if !form.one_of.is_empty() {
        schema["oneOf"] = form.one_of.iter().map(|key| json!({ "required": [key] })).collect();
    }
    defs.insert(form.name.into(), schema);
    reference
}

fn help(known: &Known) -> String {
    let later = if known.later { " (not yet supported)" } else { "" };
    match known.default {
        "" => format!("{}{later}", known.help),
        default => format!("{}; default: {default}{later}", known.help),
    }
}

fn describe(shape: &Shape, out: &mut String, seen: &mut Vec<&'static str>) {
    match shape {
        Shape::Table(form) if !seen.contains(&form.name) => {
            seen.push(form.name);
            let _ = writeln!(out, "## {}\n", form.name);
            for known in form.keys {
                let _ = writeln!(out, "- `{} = {}`: {}", known.name, known.example, help(known));
            }
            out.push('\n');
            for known in form.keys {
                describe(&known.shape, out, seen);
            }
        }
        Shape::Map(_, inner) | Shape::List(inner) => describe(inner, out, seen),
        Shape::Either(shapes) => shapes.iter().for_each(|shape| describe(shape, out, seen)),
        _ => {}
    }
}
