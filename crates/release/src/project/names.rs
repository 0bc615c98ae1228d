//! Finds the names that a project gives itself.

use super::FILE_BYTES_MAX;
use lace_model::Name;
use lace_model::name::NAME_CHARS_MAX;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

pub(super) fn read(path: &Path) -> Option<String> {
    let small = path.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= FILE_BYTES_MAX);
    if small { std::fs::read_to_string(path).ok() } else { None }
}

/// `{release, {NAME, ...` of rebar.config, else the name of `src/NAME.app.src`.
pub(super) fn rebar(dir: &Path) -> Option<String> {
    let config: String = read(&dir.join("rebar.config"))?
        .lines()
        .map(|line| line.split('%').next().unwrap_or_default())
        .flat_map(|line| line.chars())
        .filter(|c| !c.is_whitespace())
        .collect();
    let after = |mark: &str| config.split_once(mark).map(|(_, rest)| atom(rest));
    after("{release,{").filter(|name| !name.is_empty()).or_else(|| {
        let files = std::fs::read_dir(dir.join("src")).ok()?.flatten();
        let mut names: Vec<String> = files
            .filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".app.src")?.to_owned()))
            .collect();
        names.sort();
        names.into_iter().next()
    })
}

fn atom(text: &str) -> String {
    let text = text.trim_start_matches(['\'', '"']);
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == '-').collect()
}

/// `app: :NAME` of mix.exs.
pub(super) fn mix(dir: &Path) -> Option<String> {
    let text = read(&dir.join("mix.exs"))?;
    let name = text.split_once("app:").map(|(_, rest)| atom(rest.trim_start().trim_start_matches(':')))?;
    Some(name).filter(|name| !name.is_empty())
}

/// The package that runs this kind of code, with the file that tells.
pub(super) fn package(dir: &Path) -> Option<(&'static str, &'static str)> {
    let marks =
        [("composer.json", "php"), ("index.php", "php"), ("pom.xml", "java"), ("build.gradle", "java")];
    marks.into_iter().find(|(file, _)| dir.join(file).is_file()).map(|(file, package)| (package, file))
}

/// The first executable file of `bin`, else of the directory itself, as a path in it.
pub(super) fn program(dir: &Path) -> Option<String> {
    ["bin/", ""].iter().find_map(|prefix| {
        let files = std::fs::read_dir(dir.join(prefix)).ok()?.flatten();
        let mut names: Vec<String> = files
            .filter(|file| file.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0))
            .filter_map(|file| file.file_name().into_string().ok())
            .collect();
        names.sort();
        Some(format!("{prefix}{}", names.first()?))
    })
}

/// The directory's own name.
pub(super) fn of_dir(dir: &Path) -> String {
    let full = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    full.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The nearest name by the rules of names: `My_Game` becomes `my-game`, and what has no letter becomes `app`.
///
/// # Panics
/// Never: the text is made to fit.
pub fn name_from(text: &str) -> Name {
    let sign = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String =
        text.chars().map(sign).skip_while(|c| !c.is_ascii_lowercase()).take(NAME_CHARS_MAX).collect();
    let name = name.trim_end_matches('-');
    Name::new(if name.is_empty() { "app" } else { name }).expect("letters, digits and dashes, a letter first")
}
