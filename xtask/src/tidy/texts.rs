//! Words that must not be in any tracked file: where the authors' machines keep
//! things, which mirrors they use, and talk about tools that helped to write.

use super::Finding;
use super::tree::Tree;

/// Written in pieces, so that this file does not find itself.
const MACHINE_PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ho", "me/runner"), concat!("/Us", "ers/")];

const REGISTRY_HOSTS: [&str; 4] = [
    concat!("index.", "crates.io"),
    concat!("static.", "crates.io"),
    concat!("registry.", "npmjs.org"),
    concat!("files.", "pythonhosted.org"),
];

const AUTHORSHIP: [&str; 9] = [
    concat!("cl", "aude"),
    concat!("anthr", "opic"),
    concat!("chat", "gpt"),
    concat!("open", "ai"),
    concat!("co", "pilot"),
    concat!("language ", "model"),
    concat!("ai-", "generated"),
    concat!("ai ", "assistant"),
    concat!("co-authored", "-by"),
];

/// Lock files name their registry; a listing of packages is not our text.
const LOCK_FILES: [&str; 2] = ["Cargo.lock", "package-lock.json"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let ours = tree.texts().filter(|(path, _)| !is_lock_file(path));
    ours.flat_map(|(path, text)| check_text(path, text)).collect()
}

fn is_lock_file(path: &str) -> bool {
    LOCK_FILES.contains(&path.rsplit('/').next().unwrap_or(path))
}

fn check_text(path: &str, text: &str) -> Vec<Finding> {
    let lines = text.lines().enumerate();
    lines.filter_map(|(index, line)| check_line(path, index + 1, line)).collect()
}

fn check_line(path: &str, number: usize, line: &str) -> Option<Finding> {
    let found = |what: String, mend| Some(Finding::new(path, number, "banned text", what, mend));
    if let Some(place) = MACHINE_PATHS.iter().find(|place| holds_path(line, place)) {
        return found(format!("`{place}` is a path of one machine"), "use a path inside the repository");
    }
    let lower = line.to_lowercase();
    if let Some(host) = REGISTRY_HOSTS.iter().find(|host| lower.contains(**host)) {
        return found(
            format!("`{host}` is a registry's host"),
            "let the ordinary client choose its registry",
        );
    }
    if let Some(word) = AUTHORSHIP.iter().find(|word| holds_word(&lower, word)) {
        return found(format!("`{word}` is not about the project"), "leave it out");
    }
    None
}

/// `place` at the beginning of a path, not in its middle.
fn holds_path(line: &str, place: &str) -> bool {
    let before = |at: usize| line[..at].chars().next_back();
    line.match_indices(place)
        .any(|(at, _)| !before(at).is_some_and(|c| c.is_alphanumeric() || "._-}*~/".contains(c)))
}

fn holds_word(line: &str, word: &str) -> bool {
    let apart = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
    line.match_indices(word)
        .any(|(at, _)| apart(line[..at].chars().next_back()) && apart(line[at + word.len()..].chars().next()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_found(line: &str) -> bool {
        !check(&Tree::of(&[("a.md", line)])).is_empty()
    }

    #[test]
    fn banned_texts_are_found_whole() {
        for bad in [
            concat!("see /wo", "rk/main"),
            concat!("url = \"https://static.", "crates.io/x\""),
            concat!("written with Chat", "GPT."),
            concat!("Co-Authored", "-By: someone"),
        ] {
            assert!(is_found(bad), "{bad}");
        }
    }

    #[test]
    fn ordinary_texts_pass() {
        for good in ["an OpenAPI file", "/var/lib/lace/work/x", "crates.io", "a/work/b", "homework/"] {
            assert!(!is_found(good), "{good}");
        }
    }

    #[test]
    fn a_finding_names_file_and_line() {
        let text = format!("fine\nfine\nat {}x\n", MACHINE_PATHS[0]);
        let findings = check(&Tree::of(&[("doc/a.md", &text), ("Cargo.lock", &text)]));
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].file.as_str(), findings[0].line), ("doc/a.md", 3));
    }
}
