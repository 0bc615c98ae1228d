//! The one room that prints: answers on the output; progress, messages and errors on the error output.

mod progress;
mod table;
mod time;

pub use progress::Progress;
pub use table::{Cell, Table};
pub use time::{ago, between, clock, instant};

use super::line::Global;
use super::world::{COLUMNS_MAX, World};
use lace_model::Problem;
use serde::Serialize;
use std::io::Write;

/// How answers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON document on each line.
    Jsonl,
}

/// Prints.
pub struct Output {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    format: Format,
    quiet: bool,
    color: bool,
    columns: u16,
    live: bool,
}

impl Output {
    /// Takes over the world's streams.
    pub fn new(global: &Global, world: &mut World) -> Self {
        let plain = world.var("NO_COLOR").is_some() || world.var("TERM") == Some("dumb");
        Self {
            color: world.out_terminal && !plain,
            columns: if world.out_terminal { world.columns } else { COLUMNS_MAX },
            live: world.err_terminal,
            format: global.format,
            quiet: global.quiet,
            out: std::mem::replace(&mut world.out, Box::new(std::io::sink())),
            err: std::mem::replace(&mut world.err, Box::new(std::io::sink())),
        }
    }

    /// How answers are written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Is the answer for people?
    pub fn for_people(&self) -> bool {
        self.format == Format::Table
    }

    /// Is there a person at the error output?
    pub fn live(&self) -> bool {
        self.live && !self.quiet
    }

    /// The output as a whole, for a stream of bytes; nothing is written to it any other way from then on.
    pub fn take(&mut self) -> Box<dyn Write + Send> {
        std::mem::replace(&mut self.out, Box::new(std::io::sink()))
    }

    /// Raw bytes to the output.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let _ = self.out.write_all(bytes).and_then(|()| self.out.flush());
    }

    /// Raw bytes to the error output.
    pub fn error_bytes(&mut self, bytes: &[u8]) {
        let _ = self.err.write_all(bytes).and_then(|()| self.err.flush());
    }

    /// A line of an answer for people.
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.bytes(format!("{}\n", text.as_ref()).as_bytes());
    }

    /// A message beside the answer; not with `-q`, and never between JSON.
    pub fn say(&mut self, text: impl AsRef<str>) {
        if self.quiet {
            return;
        }
        if self.for_people() { self.line(text) } else { self.note(text) }
    }

    /// A message on the error output; not with `-q`.
    pub fn note(&mut self, text: impl AsRef<str>) {
        if !self.quiet {
            self.warn(text);
        }
    }

    /// A message on the error output, also with `-q`.
    pub fn warn(&mut self, text: impl AsRef<str>) {
        self.error_bytes(format!("{}\n", text.as_ref()).as_bytes());
    }

    /// A list: a table with a row for each, or JSON.
    pub fn list<T: Serialize>(&mut self, items: &[T], head: &[&str], row: impl Fn(&T) -> Vec<Cell>) {
        match self.format {
            Format::Table if items.is_empty() => self.note("there is none"),
            Format::Table => {
                let mut table = Table::new(head);
                items.iter().for_each(|item| table.row(row(item)));
                self.table(table);
            }
            Format::Json => self.json(&items),
            Format::Jsonl => items.iter().for_each(|item| self.json_line(item)),
        }
    }

    /// One thing: lines for people, or JSON.
    pub fn item<T: Serialize>(&mut self, item: &T, people: impl FnOnce(&T) -> String) {
        match self.format {
            Format::Table => self.line(people(item).trim_end()),
            Format::Json => self.json(item),
            Format::Jsonl => self.json_line(item),
        }
    }

    /// One of many that come one after the other: a line for people, a line of JSON otherwise.
    pub fn each<T: Serialize>(&mut self, item: &T, people: impl FnOnce(&T) -> String) {
        if self.for_people() { self.line(people(item)) } else { self.json_line(item) }
    }

    /// A table.
    pub fn table(&mut self, table: Table) {
        let columns = if table.ends_in_sentences() { self.columns } else { self.columns.min(COLUMNS_MAX) };
        let text = table.render(columns, self.color);
        self.bytes(text.as_bytes());
    }

    /// Makes the terminal empty before the next picture.
    pub fn clear(&mut self) {
        self.bytes(b"\x1b[H\x1b[2J\x1b[3J");
    }

    fn json<T: Serialize>(&mut self, value: &T) {
        let text = serde_json::to_string_pretty(value).unwrap_or_default();
        self.line(text);
    }

    fn json_line<T: Serialize>(&mut self, value: &T) {
        let text = serde_json::to_string(value).unwrap_or_default();
        self.line(text);
    }

    /// A failure.
    pub fn problem(&mut self, problem: &Problem) {
        let _ = self.out.flush();
        if self.for_people() {
            let text = problem_text(problem, self.color && self.live);
            self.error_bytes(text.as_bytes());
        } else {
            let text = serde_json::to_string(&serde_json::json!({ "error": problem }));
            self.error_bytes(format!("{}\n", text.unwrap_or_default()).as_bytes());
        }
    }
}

/// A failure as people read it.
pub fn problem_text(problem: &Problem, color: bool) -> String {
    use std::fmt::Write;
    let mut text = format!("{} {}\n", Cell::bad("error:").paint(color), problem.message);
    for line in &problem.details {
        let _ = writeln!(text, "  {line}");
    }
    if let Some(hint) = &problem.hint {
        let _ = writeln!(text, "  {} {hint}", Cell::good("hint:").paint(color));
    }
    text
}
