//! Lines of a plan: which fields differ, in words for people.

use lace_model::revision::RevisionSpec;
use lace_model::{Digest, Name};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// One field that differs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    /// `env.PHX_HOST`, `memory`, `release`.
    pub field: String,
    /// The field of the manifest that it belongs to: `env`, `memory`, `release`.
    pub root: String,
    pub from: Option<String>,
    pub to: Option<String>,
}

/// The fields in which two revisions differ. Walks their JSON forms, so that a new field is never forgotten.
pub(super) fn revisions(from: &RevisionSpec, to: &RevisionSpec) -> Vec<Difference> {
    let (from, to) = (object(from), object(to));
    let mut differences = Vec::new();
    for field in to.keys().chain(from.keys().filter(|k| !to.contains_key(*k))) {
        let (before, after) = (from.get(field), to.get(field));
        if before == after || is_derived(field, &from, &to) {
            continue;
        }
        match (before, after) {
            (before, after) if field == "package" => package(&mut differences, before, after),
            (Some(Value::Object(before)), Some(Value::Object(after))) if is_walked(field) => {
                maps(&mut differences, field, before, after);
            }
            (before, after) if field == "family_limits" => own_limits(&mut differences, before, after),
            _ => differences.push(Difference {
                field: field.clone(),
                root: field.clone(),
                from: before.and_then(|v| shown(field, v)),
                to: after.and_then(|v| shown(field, v)),
            }),
        }
    }
    differences
}

fn object<T: Serialize>(value: &T) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// Tree, kind and so on change with the release, which is shown.
fn is_derived(field: &str, from: &Map<String, Value>, to: &Map<String, Value>) -> bool {
    matches!(field, "tree" | "kind" | "templates" | "stop_command")
        && from.get("release") != to.get("release")
}

fn is_walked(field: &str) -> bool {
    matches!(field, "env" | "links" | "secrets" | "files" | "limits" | "stop" | "restart" | "beam")
}

fn maps(out: &mut Vec<Difference>, field: &str, from: &Map<String, Value>, to: &Map<String, Value>) {
    for key in to.keys().chain(from.keys().filter(|k| !to.contains_key(*k))) {
        let (before, after) = (from.get(key), to.get(key));
        if before == after {
            continue;
        }
        let (name, root) = if field == "limits" {
            (key.clone(), key.clone())
        } else {
            (format!("{field}.{key}"), field.into())
        };
        let (from, to) = (before.and_then(|v| shown(field, v)), after.and_then(|v| shown(field, v)));
        out.push(Difference { field: name, root, from, to });
    }
}

/// Another package or version of it, and settings one by one; all else of it follows from these.
fn package(out: &mut Vec<Difference>, from: Option<&Value>, to: Option<&Value>) {
    let of = |package: Option<&Value>, field: &str| package.and_then(|package| package.get(field)).cloned();
    let text = |package: Option<&Value>, field: &str| {
        of(package, field).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    };
    let key = |package: Option<&Value>, with_tree: bool| {
        package?;
        let tree = if with_tree { format!(" ({:.12})", text(package, "tree")) } else { String::new() };
        Some(format!("{}@{}{tree}", text(package, "name"), text(package, "version")))
    };
    let (before, after) = (key(from, false), key(to, false));
    if before != after || of(from, "tree") != of(to, "tree") {
        let with_tree = before == after;
        let (from, to) = (key(from, with_tree), key(to, with_tree));
        out.push(Difference { field: "package".into(), root: "package".into(), from, to });
    }
    let settings = |package| match of(package, "settings") {
        Some(Value::Object(settings)) => settings,
        _ => Map::new(),
    };
    maps(out, "settings", &settings(from), &settings(to));
}

/// Limits that a family has of its own, each under its name: `family.small.memory`.
fn own_limits(out: &mut Vec<Difference>, from: Option<&Value>, to: Option<&Value>) {
    let of = |all: Option<&Value>, family: &str, field: &str| {
        let limits = all.and_then(|all| all.get(family))?;
        limits.get(field).and_then(|value| shown("limits", value))
    };
    let families = [from, to].into_iter().flatten().filter_map(Value::as_object).flat_map(Map::keys);
    for family in families.collect::<BTreeSet<_>>() {
        for field in ["cpu", "memory", "disk", "pids"] {
            let (from, to) = (of(from, family, field), of(to, family, field));
            if from != to {
                out.push(Difference {
                    field: format!("family.{family}.{field}"),
                    root: field.into(),
                    from,
                    to,
                });
            }
        }
    }
}

/// A value as a plan shows it: secrets by version, files by size and digest, text as it is.
fn shown(field: &str, value: &Value) -> Option<String> {
    const CHARS_MAX: usize = 120;
    let text = match (field, value) {
        (_, Value::Null) => return None,
        ("links", link) => {
            let of = |field: &str| link.get(field).map(ToString::to_string).unwrap_or_default();
            let port = of("port");
            format!(
                "{} of {}, port {port}",
                of("interface").trim_matches('"'),
                of("service").trim_matches('"')
            )
        }
        ("secrets", version) => format!("version {version}"),
        ("files", file) => {
            let content = file.get("content").and_then(Value::as_str).unwrap_or_default();
            format!("{} bytes, {}", content.len(), Digest::of_value(file).short())
        }
        (_, Value::String(text)) => text.clone(),
        (_, Value::Array(words)) if !words.is_empty() && words.iter().all(Value::is_string) => {
            words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        (_, other) => other.to_string(),
    };
    let short: String = text.chars().take(CHARS_MAX).collect();
    Some(if short.len() < text.len() { format!("{short}…") } else { short })
}

/// A field of a family, if it differs.
pub(super) fn family_field<T: PartialEq + Serialize>(
    family: &Name,
    field: &str,
    from: &T,
    to: &T,
) -> Option<Difference> {
    let show = |v: &T| serde_json::to_value(v).ok().and_then(|v| shown(field, &v));
    (from != to).then(|| Difference {
        field: format!("family.{family}.{field}"),
        root: field.into(),
        from: show(from),
        to: show(to),
    })
}
