//! Settings and parameters: typed values with bounds.

use crate::manifest::nearest;
use crate::{ByteSize, Span};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeMap;

pub use serde_json::Value;

/// Longest text of a setting where it says no bound of its own, in characters.
pub(super) const CHARS_USUAL: u64 = 1024;

/// What a value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SettingKind {
    /// Text; `max` bounds its characters.
    #[default]
    Text,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// True or false.
    Flag,
    /// A size: bytes, as a whole number, for templates and scripts.
    Size,
    /// A length of time: seconds, as a number, for templates and scripts.
    Time,
    /// One of some words.
    Choice,
}

impl SettingKind {
    /// The words in `package.toml`.
    pub(super) const WORDS: &'static [&'static str] =
        &["text", "whole", "number", "flag", "size", "time", "choice"];

    fn what(self) -> &'static str {
        match self {
            Self::Text | Self::Choice => "text",
            Self::Whole => "a whole number",
            Self::Number => "a number",
            Self::Flag => "true or false",
            Self::Size => "a size such as 64MiB",
            Self::Time => "a length of time such as 30s",
        }
    }

    /// May values of it have a least and a largest?
    pub(super) fn is_ordered(self) -> bool {
        matches!(self, Self::Whole | Self::Number | Self::Size | Self::Time)
    }

    /// The value that a text means, bounds aside.
    pub(super) fn value(self, text: &str) -> Result<Value, String> {
        let wrong = || format!("{text:?} is not {}", self.what());
        match self {
            Self::Text | Self::Choice if text.contains('\0') => Err("the text has a NUL sign in it".into()),
            Self::Text | Self::Choice => Ok(text.into()),
            Self::Whole => text.trim().parse::<i64>().map(Value::from).map_err(|_| wrong()),
            Self::Number => {
                let number = text.trim().parse::<f64>().ok().and_then(serde_json::Number::from_f64);
                number.map(Value::Number).ok_or_else(wrong)
            }
            Self::Flag => text.trim().parse::<bool>().map(Value::from).map_err(|_| wrong()),
            Self::Size => {
                let size = text.parse::<ByteSize>().ok().filter(|size| size.0 <= i64::MAX as u64);
                size.map(|size| size.0.into()).ok_or_else(wrong)
            }
            Self::Time => text.parse::<Span>().map(seconds).map_err(|_| wrong()),
        }
    }
}

fn seconds(span: Span) -> Value {
    if span.0.is_multiple_of(1000) { (span.0 / 1000).into() } else { (span.0 as f64 / 1000.0).into() }
}

fn order(one: &Value, other: &Value) -> Ordering {
    match (one.as_i64(), other.as_i64()) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => one.as_f64().unwrap_or_default().total_cmp(&other.as_f64().unwrap_or_default()),
    }
}

/// One setting of a package, or one parameter of an action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// What its value is.
    pub kind: SettingKind,
    /// Its value where nobody says one, as people write it. None: somebody has to say one.
    pub default: Option<String>,
    /// What it is for.
    pub help: String,
    /// Least value, as people write it.
    pub min: Option<String>,
    /// Largest value, or most characters of a text.
    pub max: Option<String>,
    /// The words of a choice.
    pub choices: Vec<String>,
    /// Its value is nobody's to see: it is kept sealed, and only as long as the action runs (parameters only).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

impl Setting {
    /// The value that a text means here.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn value(&self, text: &str) -> Result<Value, String> {
        let value = self.kind.value(text)?;
        match self.kind {
            SettingKind::Text => {
                let said = self.max.as_ref().and_then(|max| max.parse().ok());
                let max: u64 = said.unwrap_or(CHARS_USUAL);
                let chars = text.chars().count() as u64;
                if chars > max {
                    return Err(format!("the text has {chars} characters; at most {max} are allowed"));
                }
            }
            SettingKind::Choice if !self.choices.iter().any(|choice| choice == text) => {
                let hint = nearest(text, self.choices.iter().map(String::as_str));
                return Err(format!("{text:?} is no choice ({hint})"));
            }
            kind if kind.is_ordered() => self.within(&value, text)?,
            _ => {}
        }
        Ok(value)
    }

    fn within(&self, value: &Value, text: &str) -> Result<(), String> {
        let bound = |bound: &Option<String>| bound.as_ref().and_then(|bound| self.kind.value(bound).ok());
        if bound(&self.min).is_some_and(|min| order(value, &min) == Ordering::Less) {
            return Err(format!("{text} is less than {}", self.min.as_deref().unwrap_or_default()));
        }
        if bound(&self.max).is_some_and(|max| order(value, &max) == Ordering::Greater) {
            return Err(format!("{text} is more than {}", self.max.as_deref().unwrap_or_default()));
        }
        Ok(())
    }

    /// Is no value between its bounds?
    pub(super) fn is_empty(&self) -> bool {
        let bound = |bound: &Option<String>| bound.as_ref().and_then(|bound| self.kind.value(bound).ok());
        let (min, max) = (bound(&self.min), bound(&self.max));
        min.zip(max).is_some_and(|(min, max)| order(&min, &max) == Ordering::Greater)
    }

    /// What may be said, for people: `size, 1MiB to 64GiB`.
    pub fn wanted(&self) -> String {
        let secret = if self.secret { ", secret" } else { "" };
        format!("{}{secret}", self.bounds())
    }

    fn bounds(&self) -> String {
        let word = SettingKind::WORDS[self.kind as usize];
        match (&self.min, &self.max) {
            _ if self.kind == SettingKind::Choice => self.choices.join(" | "),
            (None, None) => word.to_owned(),
            (min, max) => {
                let of = |bound: &Option<String>| bound.clone().unwrap_or_default();
                format!("{word}, {}..{}", of(min), of(max))
            }
        }
    }
}

/// The values of all settings, those that were said and the defaults.
///
/// # Errors
/// All that is wrong, a line each: names that are not known, values that do not fit, values that are missing.
pub fn resolve(
    settings: &BTreeMap<String, Setting>,
    said: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>, Vec<String>> {
    resolve_as("setting", settings, said)
}

/// The same for parameters of an action.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_parameters(
    parameters: &BTreeMap<String, Setting>,
    said: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>, Vec<String>> {
    resolve_as("parameter", parameters, said)
}

fn resolve_as(
    word: &str,
    settings: &BTreeMap<String, Setting>,
    said: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>, Vec<String>> {
    let unknown = said.keys().filter(|name| !settings.contains_key(*name)).map(|name| {
        let hint = nearest(name, settings.keys().map(String::as_str));
        format!("there is no {word} {name:?} ({hint})")
    });
    let mut wrong: Vec<String> = unknown.collect();
    let mut values = BTreeMap::new();
    for (name, setting) in settings {
        let Some(text) = said.get(name).or(setting.default.as_ref()) else {
            wrong.push(format!("the {word} {name:?} has no value ({})", setting.wanted()));
            continue;
        };
        match setting.value(text) {
            Ok(value) => drop(values.insert(name.clone(), value)),
            // What is wrong with it would show it.
            Err(_) if setting.secret => wrong.push(format!("{word} {name}: it is not {}", setting.wanted())),
            Err(message) => wrong.push(format!("{word} {name}: {message}")),
        }
    }
    if wrong.is_empty() { Ok(values) } else { Err(wrong) }
}
