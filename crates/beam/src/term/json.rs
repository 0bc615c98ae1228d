//! Terms as JSON, for programs: what has an obvious form there has it, the rest is its Erlang text.
//!
//! Atoms and texts become strings (`true`, `false`, `undefined`, `nil` and `null` their JSON selves), tuples and lists
//! arrays, maps objects where all keys are atoms, texts or integers. The way back is the text form, not this one.

use super::print::print;
use super::{Home, Term};
use serde_json::{Map, Value};

/// The term as JSON.
pub fn json(term: &Term, home: Option<&Home>) -> Value {
    match term {
        Term::Atom(atom) => match atom.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "undefined" | "nil" | "null" => Value::Null,
            text => text.into(),
        },
        Term::Int(value) => (*value).into(),
        Term::Float(value) => (*value).into(),
        Term::Big(value) => value.to_string().into(),
        Term::Binary(bytes) => text_or_term(bytes, term, home),
        Term::List(elements) if super::print::is_text(elements) => term.as_text().unwrap_or_default().into(),
        Term::List(elements) | Term::Tuple(elements) => elements.iter().map(|e| json(e, home)).collect(),
        Term::Map(pairs) => object(pairs, home),
        _ => print(term, home).into(),
    }
}

fn text_or_term(bytes: &[u8], term: &Term, home: Option<&Home>) -> Value {
    str::from_utf8(bytes).map_or_else(|_| print(term, home).into(), Value::from)
}

/// An object, or pairs where keys are no names or would fall together.
fn object(pairs: &[(Term, Term)], home: Option<&Home>) -> Value {
    let mut object = Map::new();
    for (key, value) in pairs {
        let name = key_text(key).filter(|name| !object.contains_key(name));
        let Some(name) = name else {
            return pairs.iter().map(|(k, v)| Value::from(vec![json(k, home), json(v, home)])).collect();
        };
        object.insert(name, json(value, home));
    }
    object.into()
}

fn key_text(key: &Term) -> Option<String> {
    match key {
        Term::Atom(atom) => Some(atom.0.clone()),
        Term::Int(value) => Some(value.to_string()),
        Term::Binary(bytes) => String::from_utf8(bytes.clone()).ok(),
        Term::List(elements) if super::print::is_text(elements) => key.as_text(),
        _ => None,
    }
}
