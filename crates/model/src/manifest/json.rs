//! JSON with places. `serde_json` decides whether a text is JSON; this room only finds where each value stands.

use super::mistake::{Mistakes, Place};
use super::text::Lines;
use super::tree::{Fields, Key, Node, Value};

/// Reads JSON. The grammar and the depth (128) are checked by `serde_json` first, so the walk below may trust the text.
/// (`IgnoredAny` would be cheaper, and has no limit of depth.)
pub(crate) fn read(text: &str, lines: &Lines<'_>, mistakes: &mut Mistakes) -> Option<Node> {
    if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
        let place = Place { line: error.line() as u32, column: error.column() as u32 };
        mistakes.add(place, "", format!("not JSON: {error}"));
        return None;
    }
    Walk { text, at: 0, lines, mistakes }.node()
}

struct Walk<'a, 'm> {
    text: &'a str,
    at: usize,
    lines: &'a Lines<'a>,
    mistakes: &'m mut Mistakes,
}

impl Walk<'_, '_> {
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn eat(&mut self, sign: u8) -> bool {
        let found = self.peek() == Some(sign);
        self.at += usize::from(found);
        found
    }

    fn node(&mut self) -> Option<Node> {
        let sign = self.peek()?;
        let place = self.lines.place(self.at);
        let value = match sign {
            b'{' => Value::Table(self.table()?),
            b'[' => Value::List(self.list()?),
            b'"' => Value::Text(self.string()?),
            _ => scalar(self.word()),
        };
        Some(Node { place, value })
    }

    fn table(&mut self) -> Option<Fields> {
        let mut fields: Fields = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        self.at += 1;
        while !self.eat(b'}') {
            self.eat(b',');
            self.peek()?;
            let place = self.lines.place(self.at);
            let name = self.string()?;
            self.eat(b':');
            let node = self.node()?;
            if !seen.insert(name.clone()) {
                self.mistakes.add(place, &name, "the key is there twice");
            }
            fields.push((Key { name, place }, node));
        }
        Some(fields)
    }

    fn list(&mut self) -> Option<Vec<Node>> {
        let mut items = Vec::new();
        self.at += 1;
        while !self.eat(b']') {
            self.eat(b',');
            items.push(self.node()?);
        }
        Some(items)
    }

    fn string(&mut self) -> Option<String> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        while *bytes.get(self.at)? != b'"' {
            self.at += if bytes[self.at] == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        serde_json::from_str(self.text.get(start..self.at)?).ok()
    }

    fn word(&mut self) -> &str {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        self.at +=
            rest.iter().position(|b| b",]}".contains(b) || b.is_ascii_whitespace()).unwrap_or(rest.len());
        &self.text[start..self.at]
    }
}

fn scalar(word: &str) -> Value {
    match word {
        "true" => Value::Flag(true),
        "false" => Value::Flag(false),
        "null" => Value::Other("null"),
        number => match number.parse() {
            Ok(whole) => Value::Whole(whole),
            Err(_) => Value::Number(number.parse().unwrap_or(f64::NAN)),
        },
    }
}
