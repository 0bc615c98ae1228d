//! What is wrong with a manifest: all of it at once, each with its place and how to mend it.

use crate::{Code, Problem};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most mistakes that are reported of one file; a person mends no more at a time.
pub const MISTAKES_MAX: usize = 100;

/// Where something stands in the text. Both count from 1; 0 means that the place is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// The key in question, with dots: `service.game.check.http`; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.line > 0 {
            write!(f, "line {}, column {}: ", self.place.line, self.place.column)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// All mistakes of a file as one problem for people.
pub fn problem(mistakes: &[Mistake]) -> Problem {
    let message = match mistakes.len() {
        1 => "the manifest has a mistake".to_owned(),
        n => format!("the manifest has {n} mistakes"),
    };
    Problem::new(Code::InvalidManifest, message)
        .hint("nothing was changed; mend the file and try again (`lace schema` lists every key)")
        .details(mistakes.iter().map(Mistake::to_string))
}

/// Collects mistakes while a manifest is read.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<Mistake>);

impl Mistakes {
    pub(crate) fn add(&mut self, place: Place, key: &str, message: impl Into<String>) {
        self.push(place, key, message.into(), None);
    }

    pub(crate) fn hint(
        &mut self,
        place: Place,
        key: &str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(place, key, message.into(), Some(hint.into()));
    }

    fn push(&mut self, place: Place, key: &str, message: String, hint: Option<String>) {
        self.0.push(Mistake { place, key: key.into(), message, hint });
    }

    /// In the order of the file, without repetitions.
    pub(crate) fn into_sorted(self) -> Vec<Mistake> {
        let mut all = self.0;
        all.sort();
        all.dedup();
        all.truncate(MISTAKES_MAX);
        all
    }
}

fn likeness(word: &str, known: &str) -> f64 {
    let part = known.len() > 2 && word.to_ascii_lowercase().contains(&known.to_ascii_lowercase());
    if part { 0.9 } else { strsim::jaro_winkler(word, known) }
}

/// `did you mean "x"?` where one of the known words is near (Jaro-Winkler, 0.8), else the list of the known.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let best = known
        .iter()
        .map(|k| (likeness(word, k), *k))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match best {
        Some((_, near)) => format!("did you mean {near:?}?"),
        None if known.is_empty() => "none is known here".into(),
        None => format!("known here: {}", known.join(", ")),
    }
}
