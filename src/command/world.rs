//! What surrounds a command: its streams, its environment, its directory, its clock. Tests hand in their own.

use lace_model::Millis;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Widest table, in characters: what people can read and paste.
pub const COLUMNS_MAX: u16 = 100;

/// The world around one command.
pub struct World {
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// The working directory.
    pub dir: PathBuf,
    /// Where input comes from.
    pub input: Box<dyn Read + Send>,
    /// Where answers go.
    pub out: Box<dyn Write + Send>,
    /// Where progress, questions and errors go.
    pub err: Box<dyn Write + Send>,
    /// Is there a person at the input?
    pub in_terminal: bool,
    /// Is there a person at the output?
    pub out_terminal: bool,
    /// Is there a person at the error output?
    pub err_terminal: bool,
    /// Columns of the terminal.
    pub columns: u16,
    /// The clock.
    pub now: fn() -> Millis,
}

impl World {
    /// This process's own.
    pub fn real() -> Self {
        let size = rustix::termios::tcgetwinsize(std::io::stdout());
        Self {
            env: std::env::vars().collect(),
            dir: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
            input: Box::new(std::io::stdin()),
            out: Box::new(std::io::stdout()),
            err: Box::new(std::io::stderr()),
            in_terminal: std::io::stdin().is_terminal(),
            out_terminal: std::io::stdout().is_terminal(),
            err_terminal: std::io::stderr().is_terminal(),
            columns: size.map_or(COLUMNS_MAX, |size| size.ws_col.max(40)),
            now,
        }
    }

    /// An environment variable that is set and not empty.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A path as the person means it.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        self.dir.join(path)
    }
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
