//! From text, TOML or JSON, to the tree.

use super::mistake::{Mistakes, Place};
use super::tree::{Fields, Key, Node, Value};
use super::{MANIFEST_BYTES_MAX, json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Finds lines and columns of byte offsets.
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect();
        Self { text, starts }
    }

    pub(crate) fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts[line - 1];
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count()) + 1;
        Place { line: line as u32, column: column as u32 }
    }
}

/// Reads a manifest: JSON where the first sign is a brace, else TOML.
pub(crate) fn read(text: &str, mistakes: &mut Mistakes) -> Option<Node> {
    if text.len() > MANIFEST_BYTES_MAX {
        let message = format!("the file has {} bytes; at most {MANIFEST_BYTES_MAX} are read", text.len());
        mistakes.hint(
            Place::default(),
            "",
            message,
            "put large contents into files and name them in `files`",
        );
        return None;
    }
    tree(text, mistakes)
}

/// The tree of a text that is short enough.
pub(crate) fn tree(text: &str, mistakes: &mut Mistakes) -> Option<Node> {
    let lines = Lines::new(text);
    if text.trim_start().starts_with('{') {
        return json::read(text, &lines, mistakes);
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let place = error.span().map_or_else(Place::default, |span| lines.place(span.start));
        mistakes.add(place, "", format!("not TOML: {}", error.message().replace('\n', ", ")));
    }
    errors.is_empty().then(|| table_node(&table, &lines))
}

fn table_node(table: &Spanned<DeTable<'_>>, lines: &Lines<'_>) -> Node {
    Node { place: lines.place(table.span().start), value: Value::Table(fields(table.get_ref(), lines)) }
}

fn fields(table: &DeTable<'_>, lines: &Lines<'_>) -> Fields {
    let key = |k: &Spanned<std::borrow::Cow<'_, str>>| Key {
        name: k.get_ref().to_string(),
        place: lines.place(k.span().start),
    };
    table.iter().map(|(k, v)| (key(k), node(v, lines))).collect()
}

fn node(spanned: &Spanned<DeValue<'_>>, lines: &Lines<'_>) -> Node {
    let value = match spanned.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(n) => match i64::from_str_radix(n.as_str(), n.radix()) {
            Ok(n) => Value::Whole(n),
            Err(_) => Value::Other("a number that is too large"),
        },
        DeValue::Float(n) => Value::Number(n.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(item, lines)).collect()),
        DeValue::Table(table) => Value::Table(fields(table, lines)),
    };
    Node { place: lines.place(spanned.span().start), value }
}
