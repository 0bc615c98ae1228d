//! A typed value of a package as a field of a form: a setting, or a parameter of an action.

use lace_model::package::{Setting, SettingKind};

/// Texts that may be longer than this have the width of the form.
const SHORT_CHARS: u64 = 80;

/// One field; `templates/field.html` shows it.
pub struct Field {
    /// What people call it.
    pub name: String,
    /// Its key in the form.
    pub key: String,
    /// Its id in the page.
    pub id: String,
    pub help: String,
    /// What may be said, in words.
    pub wanted: String,
    /// What was said.
    pub value: Option<String>,
    /// What holds where nothing is said.
    pub default: Option<String>,
    /// Words to choose from.
    pub choices: Vec<String>,
    /// `number`, `text` or `password`, as HTML has it.
    pub sort: &'static str,
    /// `1`, or `any`.
    pub step: &'static str,
    pub min: Option<String>,
    pub max: Option<String>,
    pub is_wide: bool,
}

impl Field {
    /// The field of a setting; `part` stands before its name in the form, `place` before its id in the page.
    pub fn of(part: &str, place: &str, name: &str, setting: &Setting, value: Option<String>) -> Self {
        let is_number = matches!(setting.kind, SettingKind::Whole | SettingKind::Number);
        let bound = |bound: &Option<String>| bound.clone().filter(|_| is_number);
        let chars = setting.max.as_ref().and_then(|max| max.parse::<u64>().ok());
        Self {
            name: name.to_owned(),
            key: format!("{part}{name}"),
            id: format!("{place}-{name}"),
            help: setting.help.clone(),
            wanted: setting.wanted(),
            value,
            default: setting.default.clone(),
            choices: choices(setting),
            sort: match setting.secret {
                true => "password",
                false if is_number => "number",
                false => "text",
            },
            step: if setting.kind == SettingKind::Whole { "1" } else { "any" },
            min: bound(&setting.min),
            max: bound(&setting.max),
            is_wide: setting.kind == SettingKind::Text && chars.is_some_and(|chars| chars > SHORT_CHARS),
        }
    }

    /// What was said, as an attribute.
    pub fn said(&self) -> &str {
        self.value.as_deref().unwrap_or_default()
    }

    pub fn is_said(&self, choice: &str) -> bool {
        self.value.as_deref() == Some(choice)
    }

    /// What stands in the field as long as nothing is written there.
    pub fn hint(&self) -> &str {
        self.default.as_deref().unwrap_or_default()
    }
}

fn choices(setting: &Setting) -> Vec<String> {
    match setting.kind {
        SettingKind::Flag => vec!["true".into(), "false".into()],
        _ => setting.choices.clone(),
    }
}

/// The values of a form's fields whose keys begin like that, those that are empty left out: they have their defaults.
pub fn said(fields: &[(String, String)], part: &str) -> impl Iterator<Item = (String, String)> {
    let of = |(key, value): &(String, String)| {
        Some((key.strip_prefix(part)?.to_owned(), value.clone())).filter(|_| !value.is_empty())
    };
    fields.iter().filter_map(of).collect::<Vec<_>>().into_iter()
}

/// The value of one field of a form; empty where it is missing.
pub fn one<'a>(fields: &'a [(String, String)], key: &str) -> &'a str {
    fields.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
}
