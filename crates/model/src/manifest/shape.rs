//! The shapes that values of a manifest may have, and the check of a tree against them.
//!
//! A shape is data: the parser, the schema and the reference are made from the same one.

use super::format::Format;
use super::mistake::{Mistakes, Place, nearest};
use super::tree::{Fields, Key, Node, Value};

/// What a value may be.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Text of some form.
    Text(Format),
    /// Text of some form, or a plain number.
    Amount(Format),
    /// A whole number in a range.
    Whole(i64, i64),
    /// A number that is not negative.
    Number,
    /// True or false.
    Flag,
    /// Text, number or flag.
    Scalar,
    /// One of some words.
    OneOf(&'static [&'static str]),
    /// A command: a list of at least one word.
    Words,
    /// A list of like things; texts in it are all different.
    List(&'static Shape),
    /// Things under names of the person's choosing.
    Map(Format, &'static Shape),
    /// Known keys.
    Table(&'static Form),
    /// One of several shapes that differ in kind.
    Either(&'static [Shape]),
}

/// A table with known keys.
#[derive(Debug)]
pub(crate) struct Form {
    /// Its name in the schema's `$defs`.
    pub name: &'static str,
    /// Its keys.
    pub keys: &'static [Known],
    /// Exactly one of these must be there (none said: no such rule).
    pub one_of: &'static [&'static str],
    /// A stage puts single keys over it, where other tables are replaced as a whole.
    pub layered: bool,
}

/// A key that is known at some place.
#[derive(Debug)]
pub(crate) struct Known {
    pub name: &'static str,
    pub shape: Shape,
    pub help: &'static str,
    /// A value as written in TOML.
    pub example: &'static str,
    /// What holds where the key is left out, for people.
    pub default: &'static str,
    pub required: bool,
    /// Belongs to a feature that is not built yet: parsed strictly, then refused.
    pub later: bool,
}

/// A key that may be left out.
pub(crate) const fn key(
    name: &'static str,
    shape: Shape,
    example: &'static str,
    help: &'static str,
) -> Known {
    Known { name, shape, help, example, default: "", required: false, later: false }
}

impl Known {
    /// Says what holds where it is left out.
    pub(crate) const fn or(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }
    /// Must be there.
    pub(crate) const fn required(mut self) -> Self {
        self.required = true;
        self
    }
    /// Belongs to a feature that is not built yet.
    pub(crate) const fn later(mut self) -> Self {
        self.later = true;
        self
    }
}

/// A table that stages replace as a whole.
pub(crate) const fn form(name: &'static str, keys: &'static [Known]) -> Form {
    Form { name, keys, one_of: &[], layered: false }
}

impl Shape {
    /// What is wanted, for people.
    pub(crate) fn wanted(&self) -> String {
        match self {
            Shape::Text(_) | Shape::OneOf(_) => "text".into(),
            Shape::Amount(_) => "text or a number".into(),
            Shape::Whole(..) => "a whole number".into(),
            Shape::Number => "a number".into(),
            Shape::Flag => "true or false".into(),
            Shape::Scalar => "text, a number or true/false".into(),
            Shape::Words => "a list of words".into(),
            Shape::List(_) => "a list".into(),
            Shape::Map(..) | Shape::Table(_) => "a table".into(),
            Shape::Either(shapes) => shapes.iter().map(Shape::wanted).collect::<Vec<_>>().join(" or "),
        }
    }

    /// Is the value of the right kind? Its content is another question.
    fn fits(&self, node: &Node) -> bool {
        match (self, &node.value) {
            (_, Value::Open) => true,
            (Shape::Whole(..) | Shape::Number | Shape::Flag, Value::Filled(_)) => true,
            (Shape::Text(_) | Shape::OneOf(_), v) => matches!(v, Value::Text(_) | Value::Filled(_)),
            (Shape::Amount(_), v) => {
                matches!(v, Value::Text(_) | Value::Filled(_) | Value::Whole(_) | Value::Number(_))
            }
            (Shape::Whole(..), v) => matches!(v, Value::Whole(_)),
            (Shape::Number, v) => matches!(v, Value::Whole(_) | Value::Number(_)),
            (Shape::Flag, v) => matches!(v, Value::Flag(_)),
            (Shape::Scalar, _) => node.scalar().is_some(),
            (Shape::Words | Shape::List(_), v) => matches!(v, Value::List(_)),
            (Shape::Map(..) | Shape::Table(_), v) => matches!(v, Value::Table(_)),
            (Shape::Either(shapes), _) => shapes.iter().any(|shape| shape.fits(node)),
        }
    }
}

/// Reports everything in which the value differs from the shape.
pub(crate) fn check(node: &Node, shape: &Shape, path: &str, mistakes: &mut Mistakes) {
    if node.is_open() {
        return;
    }
    if !shape.fits(node) {
        let message = format!("{} is wanted, {} found", shape.wanted(), node.kind());
        return match shape {
            Shape::Words => mistakes.hint(node.place, path, message, r#"write ["bin/x", "start"]"#),
            _ => mistakes.add(node.place, path, message),
        };
    }
    match shape {
        Shape::Text(format) | Shape::Amount(format) => check_text(node, *format, path, mistakes),
        Shape::OneOf(words) => check_word(node, words, path, mistakes),
        Shape::Whole(min, max) => check_whole(node, *min, *max, path, mistakes),
        Shape::Number if node.number().is_none_or(|n| !n.is_finite() || n < 0.0) => {
            mistakes.add(node.place, path, "a number from 0 on is wanted");
        }
        Shape::Flag if node.flag().is_none() => {
            mistakes.add(node.place, path, format!("true or false is wanted, {:?} found", node.scalar()));
        }
        Shape::Words => check_words(node, path, mistakes),
        Shape::List(item) => check_list(node, item, path, mistakes),
        Shape::Map(names, value) => {
            for (key, child) in node.fields().into_iter().flatten() {
                check_key(key, *names, path, mistakes);
                check(child, value, &join(path, &key.name), mistakes);
            }
        }
        Shape::Table(form) => {
            if let Some(fields) = node.fields() {
                check_table(node.place, fields, form, path, mistakes);
            }
        }
        Shape::Either(shapes) => {
            if let Some(fitting) = shapes.iter().find(|shape| shape.fits(node)) {
                check(node, fitting, path, mistakes);
            }
        }
        Shape::Number | Shape::Flag | Shape::Scalar => {}
    }
}

/// `service.game` and `count` make `service.game.count`.
pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn check_text(node: &Node, format: Format, path: &str, mistakes: &mut Mistakes) {
    let Some(text) = node.scalar() else { return };
    if let Err(message) = format.check(&text) {
        mistakes.add(node.place, path, message);
    }
}

fn check_word(node: &Node, words: &[&'static str], path: &str, mistakes: &mut Mistakes) {
    let Some(text) = node.text() else { return };
    if !words.contains(&text) {
        let message = format!("{text:?} is not known here");
        mistakes.hint(node.place, path, message, nearest(text, words.iter().copied()));
    }
}

fn check_whole(node: &Node, min: i64, max: i64, path: &str, mistakes: &mut Mistakes) {
    match node.whole() {
        Some(n) if (min..=max).contains(&n) => {}
        Some(n) => mistakes.add(node.place, path, format!("{n} is not between {min} and {max}")),
        None => {
            let text = node.scalar().unwrap_or_default();
            mistakes.add(node.place, path, format!("a whole number is wanted, {text:?} found"));
        }
    }
}

fn check_words(node: &Node, path: &str, mistakes: &mut Mistakes) {
    let words = node.list().unwrap_or_default();
    if words.is_empty() || words[0].text().is_some_and(str::is_empty) {
        mistakes.add(node.place, path, "the command has no first word");
    }
    for word in words {
        check(word, &Shape::Text(Format::Word), path, mistakes);
    }
}

fn check_list(node: &Node, item: &Shape, path: &str, mistakes: &mut Mistakes) {
    let mut seen = std::collections::BTreeSet::new();
    for (i, child) in node.list().unwrap_or_default().iter().enumerate() {
        check(child, item, &format!("{path}[{i}]"), mistakes);
        if let Some(text) = child.text()
            && !seen.insert(text)
        {
            mistakes.add(child.place, path, format!("{text:?} is there twice"));
        }
    }
}

fn check_key(key: &Key, names: Format, path: &str, mistakes: &mut Mistakes) {
    if let Err(message) = names.check(&key.name) {
        mistakes.add(key.place, path, message);
    }
}

fn check_table(place: Place, fields: &Fields, form: &Form, path: &str, mistakes: &mut Mistakes) {
    for (key, child) in fields {
        match form.keys.iter().find(|known| known.name == key.name) {
            Some(known) => check(child, &known.shape, &join(path, &key.name), mistakes),
            None => {
                let hint = nearest(&key.name, form.keys.iter().map(|known| known.name));
                mistakes.hint(key.place, &join(path, &key.name), "the key is not known", hint);
            }
        }
    }
    let has = |name: &str| fields.iter().any(|(key, _)| key.name == name);
    for known in form.keys.iter().filter(|known| known.required && !has(known.name)) {
        let example = format!("write {} = {}", known.name, known.example);
        mistakes.hint(place, &join(path, known.name), "the key is missing", example);
    }
    let said = form.one_of.iter().filter(|name| has(name)).count();
    if !form.one_of.is_empty() && said != 1 {
        let message = format!("exactly one of {} is wanted, {said} found", form.one_of.join(", "));
        mistakes.add(place, path, message);
    }
}
