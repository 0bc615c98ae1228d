//! The cluster that was deployed last, by context: `execute` and `destroy` need not name it.

use super::super::Session;
use super::super::context::beside;
use super::super::session::{cannot_read, cannot_write, write_private};
use lace_model::{AppName, Code, Problem};
use std::collections::BTreeMap;

const FILE: &str = "ccl.toml";

type Known = BTreeMap<String, AppName>;

fn load(s: &Session) -> Result<Known, Problem> {
    let path = beside(&s.world, FILE)?;
    match std::fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text).map_err(|e| {
            Problem::new(Code::Error, format!("{}: {}", path.display(), e.message())).hint("delete the file")
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Known::new()),
        Err(e) => Err(cannot_read(&path, &e)),
    }
}

fn save(s: &Session, known: &Known) -> Result<(), Problem> {
    let path = beside(&s.world, FILE)?;
    let text = toml::to_string(known).map_err(|e| Problem::new(Code::Error, e.to_string()))?;
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|e| cannot_write(dir, &e))?;
    }
    write_private(&path, text.as_bytes()).map_err(|e| cannot_write(&path, &e))
}

/// Remembers the application.
pub fn keep(s: &Session, app: &AppName) -> Result<(), Problem> {
    let mut known = load(s)?;
    known.insert(s.context()?.name, app.clone());
    save(s, &known)
}

/// The application that was deployed last in this context.
pub fn last(s: &Session) -> Result<AppName, Problem> {
    let found = load(s)?.remove(&s.context()?.name);
    found.ok_or_else(|| {
        Problem::new(Code::Usage, "which cluster is meant? none was deployed from here yet")
            .hint("name its file with --config, or its application with --app")
    })
}

/// Forgets the application, where it is the last one.
pub fn forget(s: &Session, app: &AppName) -> Result<(), Problem> {
    let mut known = load(s)?;
    let context = s.context()?.name;
    if known.get(&context) != Some(app) {
        return Ok(());
    }
    known.remove(&context);
    save(s, &known)
}
