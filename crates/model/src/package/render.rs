//! Templates of packages: minijinja over the node's one document, `/run/lace/context.json`.

use super::{Package, Value};
use crate::Name;
use crate::manifest::nearest;
use crate::manifest::template::fault_beside;
use crate::rendering::rendered;
use minijinja::Environment;
use std::collections::BTreeSet;

/// Words of the document beside those that every node has.
const WORDS: [&str; 7] = ["app", "count", "package", "ports", "provides", "role", "roles"];

/// Renders one text over the document. `what` is named in errors.
///
/// # Errors
/// A text that is no template; a word that the document lacks; more steps or bytes than are allowed.
pub fn render(what: &str, template: &str, document: &Value) -> Result<String, String> {
    rendered(template, of_json(document)).map_err(|error| said(what, &error))
}

/// The engine's own value for a JSON one.
fn of_json(value: &Value) -> minijinja::Value {
    match value {
        Value::Null => ().into(),
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(whole), _) => whole.into(),
            (_, Some(whole)) => whole.into(),
            _ => number.as_f64().unwrap_or_default().into(),
        },
        Value::String(text) => text.into(),
        Value::Array(items) => items.iter().map(of_json).collect(),
        Value::Object(fields) => {
            minijinja::Value::from_pairs(fields.iter().map(|(name, value)| (name, of_json(value))))
        }
    }
}

fn said(what: &str, error: &minijinja::Error) -> String {
    let line = error.line().map_or(String::new(), |line| format!(", line {line}"));
    match error.detail() {
        Some(detail) => format!("{what}{line}: {}: {detail}", error.kind()),
        None => format!("{what}{line}: {}", error.kind()),
    }
}

/// What is wrong with a template of a package, and how to mend it, before anything is rendered: words that no node has,
/// settings, roles and ports that the package has not.
pub fn template_fault(text: &str, package: &Package) -> Option<(String, String)> {
    let more: Vec<&str> = WORDS.into_iter().chain(["service", "settings"]).collect();
    if let Some(fault) = fault_beside(text, &more) {
        return Some(fault);
    }
    let engine = Environment::new();
    let template = engine.template_from_str(text).ok()?;
    let used: BTreeSet<String> = template.undeclared_variables(true).into_iter().collect();
    used.iter().find_map(|word| {
        let (kind, name) = word.split_once('.')?;
        let name = name.split('.').next()?;
        let known: Vec<&str> = match kind {
            "settings" => package.settings.keys().map(String::as_str).collect(),
            "roles" => package.roles.keys().map(Name::as_str).collect(),
            "ports" => package.ports.keys().map(Name::as_str).collect(),
            _ => return None,
        };
        let what = kind.trim_end_matches('s');
        (!known.contains(&name)).then(|| (format!("there is no {what} {name:?}"), nearest(name, known)))
    })
}
