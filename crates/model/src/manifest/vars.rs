//! Variables and stages: from the file as written to the file as meant.

use super::Options;
use super::mistake::{Mistakes, Place, nearest};
use super::shape::{Shape, join};
use super::tree::{Fields, Node, Value};
use super::{keys, shape::Form};
use std::collections::{BTreeMap, BTreeSet};

/// What the variables are worth. A declared one without a value is `None`.
pub(crate) type Vars = BTreeMap<String, Option<String>>;

/// Gives every declared variable its value: `--var` over stage over default.
pub(crate) fn values(tree: &Node, options: &Options, mistakes: &mut Mistakes) -> Vars {
    let mut vars: Vars = tree
        .each("vars")
        .map(|(key, node)| (key.name.clone(), node.get("default").and_then(Node::scalar)))
        .collect();
    for (stage, node) in tree.each("stage") {
        let chosen = options.stage.as_ref() == Some(&stage.name);
        for (key, value) in node.each("vars") {
            if !vars.contains_key(&key.name) {
                let path = format!("stage.{}.vars.{}", stage.name, key.name);
                undeclared(key.place, &path, &key.name, &vars, mistakes);
            } else if chosen {
                vars.insert(key.name.clone(), value.scalar());
            }
        }
    }
    for (name, value) in &options.vars {
        if vars.contains_key(name) {
            vars.insert(name.clone(), Some(value.clone()));
        } else {
            undeclared(Place::default(), &format!("--var {name}"), name, &vars, mistakes);
        }
    }
    vars
}

fn undeclared(place: Place, path: &str, name: &str, vars: &Vars, mistakes: &mut Mistakes) {
    let hint = match vars.is_empty() {
        true => format!("declare it: [vars] {name} = {{ default = ... }}"),
        false => nearest(name, vars.keys().map(String::as_str)),
    };
    mistakes.hint(place, path, format!("there is no variable {name:?}"), hint);
}

/// Puts the chosen stage's services over the others.
pub(crate) fn choose_stage(tree: &mut Node, stage: Option<&str>, mistakes: &mut Mistakes) {
    services_of_stages(tree, mistakes);
    let Some(stage) = stage else { return };
    let over = tree.each("stage").find(|(key, _)| key.name == stage).map(|(_, node)| node.clone());
    let Some(over) = over else {
        let hint = nearest(stage, tree.each("stage").map(|(key, _)| key.name.as_str()));
        return mistakes.hint(Place::default(), "--stage", format!("there is no stage {stage:?}"), hint);
    };
    if let (Value::Table(base), Value::Table(over)) = (&mut tree.value, over.value) {
        let services = over.into_iter().filter(|(key, _)| key.name == "service").collect();
        if let Shape::Table(root) = &keys::ROOT {
            lay_over(base, services, root);
        }
    }
}

/// A stage may change services, not make them: a new name there is a slip more often than a wish.
fn services_of_stages(tree: &Node, mistakes: &mut Mistakes) {
    let services: BTreeSet<&str> = tree.each("service").map(|(key, _)| key.name.as_str()).collect();
    for (key, node) in tree.each("stage") {
        for (service, _) in node.each("service").filter(|(k, _)| !services.contains(k.name.as_str())) {
            let path = format!("stage.{}.service.{}", key.name, service.name);
            let hint = nearest(&service.name, services.iter().copied());
            mistakes.hint(service.place, &path, "there is no such service outside the stage", hint);
        }
    }
}

fn lay_over(base: &mut Fields, over: Fields, form: &Form) {
    for (key, node) in over {
        let shape = form.keys.iter().find(|known| known.name == key.name).map(|known| &known.shape);
        match base.iter_mut().find(|(k, _)| k.name == key.name) {
            Some((_, below)) => merge(below, node, shape),
            None => base.push((key, node)),
        }
    }
}

/// Tables of names merge by name, layered tables by key; everything else is replaced.
fn merge(below: &mut Node, over: Node, shape: Option<&Shape>) {
    match (&mut below.value, over.value, shape) {
        (Value::Table(base), Value::Table(over), Some(Shape::Map(_, inner))) => {
            for (key, node) in over {
                match base.iter_mut().find(|(k, _)| k.name == key.name) {
                    Some((_, below)) => merge(below, node, Some(inner)),
                    None => base.push((key, node)),
                }
            }
        }
        (Value::Table(base), Value::Table(over), Some(Shape::Table(form))) if form.layered => {
            lay_over(base, over, form);
        }
        (_, value, _) => *below = Node { place: over.place, value },
    }
}

/// Puts values in the place of `{{vars.NAME}}` everywhere but in `vars`. In stages nothing has to have a value: the one
/// that is chosen was laid over the services before.
pub(crate) fn fill(tree: &mut Node, vars: &Vars, mistakes: &mut Mistakes) {
    let Value::Table(fields) = &mut tree.value else {
        return;
    };
    for (key, node) in fields.iter_mut().filter(|(key, _)| key.name != "vars") {
        let strict = key.name != "stage";
        Fill { vars, strict, mistakes }.node(node, &key.name);
    }
}

struct Fill<'a> {
    vars: &'a Vars,
    strict: bool,
    mistakes: &'a mut Mistakes,
}

impl Fill<'_> {
    fn node(&mut self, node: &mut Node, path: &str) {
        match &mut node.value {
            Value::Text(text) if text.contains("{{") => {
                let place = node.place;
                if let Some(value) = self.text(text, place, path) {
                    node.value = value;
                }
            }
            Value::List(items) => {
                for (i, item) in items.iter_mut().enumerate() {
                    self.node(item, &format!("{path}[{i}]"));
                }
            }
            Value::Table(fields) => {
                for (key, child) in fields {
                    self.node(child, &join(path, &key.name));
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str, place: Place, path: &str) -> Option<Value> {
        let (mut whole, mut found) = (true, false);
        let filled = substitute(text, |name| {
            found = true;
            let value = self.vars.get(name);
            if value.is_none() {
                undeclared(place, path, name, self.vars, self.mistakes);
            } else if self.strict && value == Some(&None) {
                let hint = format!("give it one: --var {name}=..., in a stage, or as its default");
                self.mistakes.hint(place, path, format!("the variable {name:?} has no value"), hint);
            }
            let value = value.cloned().flatten();
            whole &= value.is_some() && self.strict;
            value
        });
        match (found, whole) {
            (false, _) => None,
            (true, false) => Some(Value::Open),
            (true, true) => Some(Value::Filled(filled)),
        }
    }
}

/// Replaces each `{{vars.NAME}}` (blanks allowed inside) by what `value` says; other expressions stay as they are.
pub(crate) fn substitute(text: &str, mut value: impl FnMut(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let end = from.find("}}").map(|end| end + 2);
        match end.map(|end| (end, from[2..end - 2].trim())) {
            Some((end, inner)) if inner.strip_prefix("vars.").is_some_and(is_plain) => {
                out.push_str(&value(&inner[5..]).unwrap_or_default());
                rest = &from[end..];
            }
            _ => {
                out.push_str("{{");
                rest = &from[2..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}
