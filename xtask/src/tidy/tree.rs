//! The files that git tracks or would track, with their text.

use std::path::Path;
use std::process::Command;

const TEXT_BYTES_MAX: u64 = 2 * 1024 * 1024;

pub struct Tree {
    pub files: Vec<File>,
}

pub struct File {
    /// Relative to the root, with `/`.
    pub path: String,
    /// None: not text, or larger than a text should be.
    pub text: Option<String>,
}

impl Tree {
    pub fn read(root: &Path) -> Result<Self, String> {
        let listed = list(root)?;
        let present = listed.into_iter().filter(|path| root.join(path).is_file());
        let files = present.map(|path| File { text: read_text(&root.join(&path)), path }).collect();
        Ok(Self { files })
    }

    pub fn text_of(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.path == path)?.text.as_deref()
    }

    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)))
    }

    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let file =
            |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: Some((*text).to_owned()) };
        Self { files: files.iter().map(file).collect() }
    }
}

fn list(root: &Path) -> Result<Vec<String>, String> {
    let words = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(words)
        .output()
        .map_err(|error| format!("cannot run git: {error}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let mut paths: Vec<String> =
        String::from_utf8_lossy(&output.stdout).split_terminator('\0').map(str::to_owned).collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn read_text(path: &Path) -> Option<String> {
    let size = path.metadata().ok()?.len();
    if size > TEXT_BYTES_MAX {
        return None;
    }
    String::from_utf8(std::fs::read(path).ok()?).ok()
}
