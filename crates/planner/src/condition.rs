//! `where`: a condition in CEL (github.com/google/cel-spec) on what is known of a host and its pool.
//!
//! Known are the host's and its pool's attributes by their names, and `name`, `cpu` (processors), `memory` (bytes),
//! `slots`, `price` (per hour, where the pool has one), and lists: `tags`, `programs`, `libraries`, `erts`. KiB, MiB,
//! GiB and TiB are numbers of bytes.

use cel::{Context, ExecutionError, Program, Value};
use lace_model::host::Host;
use lace_model::pool::{MICRO, Pool};
use std::collections::{BTreeMap, BTreeSet};

/// A condition has at most so many bytes.
pub const CONDITION_BYTES_MAX: usize = 4096;

/// Attributes that are lists, written with commas.
const LISTS: [&str; 5] = ["tags", "programs", "libraries", "erts", "otp"];
/// What is known of every host, whatever it says of itself.
const ALWAYS: [&str; 5] = ["name", "cpu", "memory", "slots", "price"];
const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

/// A condition that was understood.
pub struct Condition(Program);

impl Condition {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > CONDITION_BYTES_MAX {
            return Err(format!("it has {} bytes; {CONDITION_BYTES_MAX} are allowed", text.len()));
        }
        let first = |text: String| text.lines().next().unwrap_or_default().to_owned();
        Program::compile(text).map(Self).map_err(|e| first(e.to_string()))
    }

    /// Names that it asks for and that nothing is known by.
    pub fn unknown(&self, attributes: &BTreeSet<String>) -> Vec<String> {
        let references = self.0.references();
        let known = |name: &&str| {
            attributes.contains(*name)
                || ALWAYS.contains(name)
                || LISTS.contains(name)
                || UNITS.iter().any(|(unit, _)| unit == name)
        };
        let names = references.variables().into_iter().filter(|name| !known(name));
        names.map(str::to_owned).collect()
    }

    /// Does it hold?
    ///
    /// # Errors
    /// Why that cannot be said: the host has no such attribute, or the kinds of values do not go together.
    pub fn holds(&self, host: &Host, pool: Option<&Pool>) -> Result<bool, String> {
        let mut context = Context::default();
        for (name, value) in values(host, pool) {
            context.add_variable_from_value(name, value);
        }
        match self.0.execute(&context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err("it says neither true nor false".to_owned()),
            Err(ExecutionError::UndeclaredReference(name)) => Err(format!("nothing is known of its {name}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Names that a condition may use in place of a mistaken one.
pub fn names(attributes: &BTreeSet<String>) -> impl Iterator<Item = &str> {
    attributes.iter().map(String::as_str).chain(ALWAYS).chain(LISTS)
}

/// The attributes of a host and its pool; the host knows better.
pub fn attributes(host: &Host, pool: Option<&Pool>) -> BTreeMap<String, String> {
    let mut all = pool.map(Pool::known).unwrap_or_default();
    all.extend(host.attributes.clone());
    all
}

fn values(host: &Host, pool: Option<&Pool>) -> BTreeMap<String, Value> {
    let mut values: BTreeMap<String, Value> =
        LISTS.iter().map(|list| ((*list).to_owned(), Vec::<Value>::new().into())).collect();
    for (name, value) in attributes(host, pool) {
        let value = if LISTS.contains(&name.as_str()) { list(&value) } else { scalar(&value) };
        values.insert(name, value);
    }
    let capacity = &host.capacity;
    values.insert("name".into(), host.name.as_str().into());
    values.insert("cpu".into(), Value::Float(f64::from(capacity.cpu.0) / 1000.0));
    values.insert("memory".into(), Value::Int(capacity.memory.0.try_into().unwrap_or(i64::MAX)));
    values.insert("slots".into(), Value::Int(capacity.slots.into()));
    if let Some(price) = pool.and_then(|pool| pool.price.as_ref()) {
        values.insert("price".into(), Value::Float(price.micro_per_hour as f64 / MICRO as f64));
    }
    values.extend(UNITS.map(|(unit, shift)| (unit.to_owned(), Value::Int(1 << shift))));
    values
}

/// Whole numbers and yes or no are what they look like.
fn scalar(text: &str) -> Value {
    match (text.parse::<i64>(), text.parse::<bool>()) {
        (Ok(number), _) => Value::Int(number),
        (_, Ok(flag)) => Value::Bool(flag),
        _ => text.into(),
    }
}

fn list(text: &str) -> Value {
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(Value::from).collect::<Vec<_>>().into()
}
