//! The source of a CCL cluster: cloned here, with this person's rights, and made ready to be sent.

use super::super::Session;
use super::super::session::{cannot_read, cannot_write};
use super::super::source::{forget_history, repository, scratch};
use super::config::Config;
use lace_model::Problem;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What CCL filled in before it built.
const NAME: &str = "{{ccl_name}}";
/// Files above this are no settings, in bytes.
const SETTINGS_BYTES_MAX: u64 = 256 << 10;
/// Directories below each other that are looked through.
const DEPTH_MAX: usize = 16;

/// A source on this machine; gone when dropped.
pub struct Source {
    /// Its directory.
    pub path: PathBuf,
    /// Which commit it is, where git says so.
    pub commit: Option<String>,
    _dir: TempDir,
}

/// Clones the repository. A path counts from `near`, the directory of the file.
pub async fn bring(s: &mut Session, config: &Config, near: &Path) -> Result<Source, Problem> {
    let dir = scratch()?;
    let is_path = near.join(&config.url).is_dir();
    if is_path && !is_repository(&near.join(&config.url)) {
        let path = dir.path().join("source");
        copy(&near.join(&config.url), &path, 0)?;
        fill(&path, &format!("{}@127.0.0.1", config.node), 0)?;
        return Ok(Source { path, commit: None, _dir: dir });
    }
    // `file://` lets git make a shallow copy of a path, too.
    let url = match is_path.then(|| std::fs::canonicalize(near.join(&config.url))).transpose() {
        Ok(Some(path)) => format!("file://{}", path.display()),
        Ok(None) => config.url.clone(),
        Err(e) => return Err(cannot_read(Path::new(&config.url), &e)),
    };
    repository(s, dir.path(), &url, config.branch.as_deref()).await.map_err(|problem| {
        problem.hint("git_url in the file names another source; git's own settings say who you are")
    })?;
    let path = dir.path().join("source");
    let commit = commit(&path);
    forget_history(&path)?;
    fill(&path, &format!("{}@127.0.0.1", config.node), 0)?;
    Ok(Source { path, commit, _dir: dir })
}

/// A repository with files, or a bare one.
fn is_repository(path: &Path) -> bool {
    path.join(".git").exists() || path.join("HEAD").is_file() && path.join("objects").is_dir()
}

/// Copies a directory that is no repository. Links stay links.
fn copy(from: &Path, to: &Path, depth: usize) -> Result<(), Problem> {
    std::fs::create_dir(to).map_err(|e| cannot_write(to, &e))?;
    let entries = std::fs::read_dir(from).map_err(|e| cannot_read(from, &e))?;
    for entry in entries.flatten() {
        let (path, goal) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(|e| cannot_read(&path, &e))?;
        if kind.is_dir() && depth < DEPTH_MAX {
            copy(&path, &goal, depth + 1)?;
        } else if kind.is_symlink() {
            let link = std::fs::read_link(&path).map_err(|e| cannot_read(&path, &e))?;
            std::os::unix::fs::symlink(link, &goal).map_err(|e| cannot_write(&goal, &e))?;
        } else if kind.is_file() {
            std::fs::copy(&path, &goal).map_err(|e| cannot_write(&goal, &e))?;
        }
    }
    Ok(())
}

/// The commit that a fresh clone stands on.
fn commit(path: &Path) -> Option<String> {
    let git = path.join(".git");
    let head = std::fs::read_to_string(git.join("HEAD")).ok()?;
    let commit = match head.trim().strip_prefix("ref: ") {
        None => head.trim().to_owned(),
        Some(name) => match std::fs::read_to_string(git.join(name)) {
            Ok(commit) => commit.trim().to_owned(),
            Err(_) => {
                let packed = std::fs::read_to_string(git.join("packed-refs")).ok()?;
                let line = packed.lines().find(|line| line.ends_with(&format!(" {name}")))?;
                line.split(' ').next()?.to_owned()
            }
        },
    };
    Some(commit).filter(|commit| commit.chars().all(|c| c.is_ascii_hexdigit()))
}

/// Fills the node's name into settings. The address in it is replaced by each node's own when it starts.
fn fill(dir: &Path, name: &str, depth: usize) -> Result<(), Problem> {
    let entries = std::fs::read_dir(dir).map_err(|e| cannot_read(dir, &e))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth < DEPTH_MAX {
            fill(&path, name, depth + 1)?;
        } else if kind.is_file() && is_settings(&path) {
            fill_file(&path, name)?;
        }
    }
    Ok(())
}

fn is_settings(path: &Path) -> bool {
    let ends = [".config", ".args", ".config.src", ".args.src"];
    let small = path.metadata().is_ok_and(|meta| meta.len() <= SETTINGS_BYTES_MAX);
    small
        && path.file_name().and_then(|n| n.to_str()).is_some_and(|n| ends.iter().any(|end| n.ends_with(end)))
}

fn fill_file(path: &Path, name: &str) -> Result<(), Problem> {
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(()) };
    if !text.contains(NAME) {
        return Ok(());
    }
    std::fs::write(path, filled(&text, name)).map_err(|e| cannot_write(path, &e))
}

/// CCL passed such files through a shell, so their quotes may stand behind backslashes.
fn filled(text: &str, name: &str) -> String {
    let shelled = text.contains(&format!("\\\"{NAME}")) || text.contains(&format!("\\'{NAME}"));
    let text = if shelled { text.replace("\\\"", "\"").replace("\\'", "'") } else { text.to_owned() };
    text.replace(NAME, name)
}

#[cfg(test)]
mod tests {
    use super::filled;

    #[test]
    fn names_are_filled_in_and_the_shells_quotes_go() {
        assert_eq!(filled("-name {{ccl_name}}\n", "m@127.0.0.1"), "-name m@127.0.0.1\n");
        let theirs = "{name, \\\"{{ccl_name}}\\\"}.\n{primary, \\\"\\'{{ccl_name}}\\'\\\"}.\n";
        assert_eq!(filled(theirs, "m@h"), "{name, \"m@h\"}.\n{primary, \"'m@h'\"}.\n");
    }
}
