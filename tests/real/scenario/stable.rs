//! Output with what differs from run to run replaced by what it is.

use crate::lace::{Lace, Ran};
use regex::Regex;
use std::path::Path;

/// The replacements, in order, and what was shown last.
pub struct Stable {
    rules: Vec<(Regex, String)>,
    token: Regex,
    progress: Regex,
    id: Regex,
    last_token: String,
    last_id: String,
    first_id: String,
    url: String,
    host: String,
}

fn rule(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern")
}

const ID: &str = r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b";
const PROGRESS: &str = r"^! \S+: \d+ of \d+ ready at revision \d+: ";
const TOKEN: &str = r"\blace_[A-Za-z0-9_-]{20,}";

impl Stable {
    /// For an installation with a private space below 10.`net`, whose commands run in `place`.
    pub fn of(lace: &Lace, place: &Path, net: u8) -> Self {
        let url = lace.url();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let fixed = |text: &str| regex::escape(text);
        let port = |url: &str| url.rsplit(':').next().unwrap_or_default().to_owned();
        let rules = [
            (fixed(&place.display().to_string()), "[DIR]"),
            (fixed(&lace.files().display().to_string()), "[STATE]"),
            (format!(r"\b{}\b", port(&url)), "[PORT]"),
            (format!(r"\b{}\b", lace.door().port()), "[DOOR]"),
            (ID.to_owned(), "[ID]"),
            (TOKEN.to_owned(), "[TOKEN]"),
            (format!(r"\b10\.{net}\.\d+\.\d+(/\d+)?"), "[ADDRESS]"),
            (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?".to_owned(), "[TIME]"),
            (r"\b0\.0\.0-[0-9a-f]{6,}".to_owned(), "0.0.0-[DIGEST]"),
            (r"\b[0-9a-f]{12,64}\b".to_owned(), "[DIGEST]"),
            (r"\b\d+(\.\d+)? ?(ms|s|m)\b".to_owned(), "[AGE]"),
            (format!(r"\b{}\b", fixed(&host)), "[HOST]"),
            // Columns are as wide as what they hold.
            ("  +".to_owned(), "  "),
        ];
        let rules = rules.map(|(pattern, by)| (rule(&pattern), by.to_owned())).into();
        let (last_token, last_id, first_id) = Default::default();
        Self {
            rules,
            token: rule(TOKEN),
            progress: rule(PROGRESS),
            id: rule(ID),
            last_token,
            last_id,
            first_id,
            url,
            host,
        }
    }

    /// Remembers the last token and the last id.
    pub fn note(&mut self, ran: &Ran) {
        if let Some(found) = self.token.find_iter(&ran.out).last() {
            self.last_token = found.as_str().to_owned();
        }
        if let Some(found) = self.id.find(&ran.out) {
            self.first_id = found.as_str().to_owned();
        }
        if let Some(found) = self.id.find_iter(&ran.out).last() {
            self.last_id = found.as_str().to_owned();
        }
    }

    /// A word with what was remembered.
    pub fn filled(&self, word: &str) -> String {
        let known = [
            ("$TOKEN", &self.last_token),
            ("$FIRST", &self.first_id),
            ("$ID", &self.last_id),
            ("$URL", &self.url),
            ("$HOST", &self.host),
        ];
        known.iter().fold(word.to_owned(), |word, (name, value)| word.replace(name, value))
    }

    /// What is said while something is waited for depends on how long that takes.
    pub fn is_progress(&self, line: &str) -> bool {
        self.progress.is_match(line)
    }

    /// A line made stable.
    pub fn line(&self, line: &str) -> String {
        let replaced = self.rules.iter().fold(line.to_owned(), |line, (pattern, by)| {
            pattern.replace_all(&line, regex::NoExpand(by)).into_owned()
        });
        replaced.trim_end().to_owned()
    }
}
