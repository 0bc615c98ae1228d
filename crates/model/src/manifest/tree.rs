//! A manifest as a tree in which every value knows its place in the text, whether the text was TOML or JSON.

use super::mistake::Place;

/// A key as written.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub name: String,
    pub place: Place,
}

/// Keys and values in the order of the file (TOML: in the order of the keys).
pub(crate) type Fields = Vec<(Key, Node)>;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub place: Place,
    pub value: Value,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    /// A text that a variable was put into: it may stand where a number is wanted.
    Filled(String),
    /// A text with a variable that has no value here: nothing can be said about it.
    Open,
    Whole(i64),
    Number(f64),
    Flag(bool),
    List(Vec<Node>),
    Table(Fields),
    /// A TOML date, or a JSON null: never wanted.
    Other(&'static str),
}

impl Node {
    /// The kind of value, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Text(_) | Value::Filled(_) | Value::Open => "text",
            Value::Whole(_) => "a whole number",
            Value::Number(_) => "a number",
            Value::Flag(_) => "true or false",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
            Value::Other(name) => name,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.value, Value::Open)
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) | Value::Filled(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn whole(&self) -> Option<i64> {
        match &self.value {
            Value::Whole(n) => Some(*n),
            Value::Filled(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match &self.value {
            Value::Whole(n) => Some(*n as f64),
            Value::Number(n) => Some(*n),
            Value::Filled(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        match &self.value {
            Value::Flag(flag) => Some(*flag),
            Value::Filled(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    /// Text, or a number or a flag in its text form: environment, settings, variables.
    pub(crate) fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) | Value::Filled(text) => Some(text.clone()),
            Value::Whole(n) => Some(n.to_string()),
            Value::Number(n) => Some(n.to_string()),
            Value::Flag(flag) => Some(flag.to_string()),
            _ => None,
        }
    }

    pub(crate) fn list(&self) -> Option<&[Node]> {
        if let Value::List(items) = &self.value { Some(items) } else { None }
    }

    pub(crate) fn fields(&self) -> Option<&Fields> {
        if let Value::Table(fields) = &self.value { Some(fields) } else { None }
    }

    /// The value under a key, where this is a table that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.fields()?.iter().find(|(k, _)| k.name == key).map(|(_, node)| node)
    }

    /// Keys and values under a key that holds a table.
    pub(crate) fn each(&self, key: &str) -> impl Iterator<Item = &(Key, Node)> {
        self.get(key).and_then(Node::fields).into_iter().flatten()
    }

    // The following answer `None` for what is absent and for what `check` has refused already.

    pub(crate) fn text_of(&self, key: &str) -> Option<String> {
        self.get(key)?.text().map(str::to_owned)
    }

    pub(crate) fn flag_of(&self, key: &str) -> Option<bool> {
        self.get(key)?.flag()
    }

    pub(crate) fn u32_of(&self, key: &str) -> Option<u32> {
        self.get(key)?.whole().and_then(|n| n.try_into().ok())
    }

    /// A quantity or a word that has a text form.
    pub(crate) fn parsed_of<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.get(key)?.scalar()?.parse().ok()
    }

    /// A word of a closed set, by the names that the type has in JSON.
    pub(crate) fn word_of<T: serde::de::DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_value(serde_json::Value::String(self.text_of(key)?)).ok()
    }

    pub(crate) fn words_of(&self, key: &str) -> Option<Vec<String>> {
        self.get(key)?.words()
    }

    pub(crate) fn words(&self) -> Option<Vec<String>> {
        self.list()?.iter().map(|word| word.text().map(str::to_owned)).collect()
    }
}
