//! Going back to a revision: what that would change is shown first, field by field.

use crate::page;
use crate::visit::Visit;
use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use lace_model::Problem;
use lace_model::revision::Revision;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One field that differs.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    field: String,
    from: Option<String>,
    to: Option<String>,
}

#[derive(Template)]
#[template(path = "rollback.html")]
struct Back {
    service: String,
    from: u64,
    to: u64,
    differences: Vec<Difference>,
}

/// `GET /apps/{app}/{service}/{family}/rollback/{number}`.
pub async fn back(visit: Visit, Path(parts): Path<(String, String, String, u64)>) -> Response {
    let (app, service, _, number) = parts;
    match load(&visit, format!("{app}/{service}"), number).await.map(|b| b.render()) {
        Ok(text) => page::html(StatusCode::OK, text.unwrap_or_default()),
        Err(problem) => page::did(Err(problem)),
    }
}

async fn load(visit: &Visit, service: String, number: u64) -> Result<Back, Problem> {
    let wanted: Revision = visit.about("/v1/revision", &service).await?;
    let path = format!("/v1/revision?target={}&number={number}", crate::api::encoded(&service));
    let former: Revision = visit.get(&path).await?;
    let differences = differences(&flat_of(&wanted), &flat_of(&former));
    Ok(Back { service, from: wanted.number, to: number, differences })
}

type Flat = BTreeMap<String, String>;

fn flat_of(revision: &Revision) -> Flat {
    let mut flat = Flat::new();
    flatten(&serde_json::to_value(&revision.spec).unwrap_or_default(), String::new(), &mut flat);
    flat
}

/// Objects become fields with dots; lists and values stay whole.
fn flatten(value: &Value, field: String, into: &mut Flat) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let field = if field.is_empty() { key.clone() } else { format!("{field}.{key}") };
                flatten(value, field, into);
            }
        }
        Value::Null => {}
        Value::String(text) => drop(into.insert(field, text.clone())),
        other => drop(into.insert(field, other.to_string())),
    }
}

fn differences(from: &Flat, to: &Flat) -> Vec<Difference> {
    let fields: BTreeSet<&String> = from.keys().chain(to.keys()).collect();
    let differing = fields.into_iter().filter(|field| from.get(*field) != to.get(*field));
    let difference = |field: &String| Difference {
        field: field.clone(),
        from: from.get(field).cloned(),
        to: to.get(field).cloned(),
    };
    differing.map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_shown() {
        let flat = |value: Value| {
            let mut flat = Flat::new();
            flatten(&value, String::new(), &mut flat);
            flat
        };
        let from =
            flat(json!({"release": "a@2", "env": {"X": "1", "Y": "2"}, "start": ["run"], "beam": null}));
        let to = flat(json!({"release": "a@1", "env": {"X": "1"}, "start": ["run"], "beam": null}));
        let found = differences(&from, &to);
        let fields: Vec<_> = found.iter().map(|d| d.field.as_str()).collect();
        assert_eq!(fields, ["env.Y", "release"]);
        assert_eq!((found[0].to.as_deref(), found[1].to.as_deref()), (None, Some("a@1")));
    }
}
