//! Folders are nouns of the domain, files are its verbs: some words are neither.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::Tree;

const BANNED: [&str; 7] = ["utils", "util", "common", "helpers", "helper", "manager", "misc"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for file in &tree.files {
        for (place, word) in banned_parts(&file.path) {
            if seen.insert(place.to_owned()) {
                let what = format!("`{word}` says nothing about what is inside");
                let mend = "name it by the noun or verb of the domain that it holds";
                findings.push(Finding::new(place, 1, "banned names", what, mend));
            }
        }
    }
    findings
}

/// Each part of `path` that is a banned word, with the path up to it.
fn banned_parts(path: &str) -> Vec<(&str, &str)> {
    let mut end = 0;
    let mut found = Vec::new();
    for part in path.split('/') {
        end += part.len();
        let stem = part.split_once('.').map_or(part, |(stem, _)| stem);
        if BANNED.contains(&stem) {
            found.push((&path[..end], stem));
        }
        end += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_paths(paths: &[&str]) -> Vec<String> {
        let files: Vec<_> = paths.iter().map(|path| (*path, "")).collect();
        check(&Tree::of(&files)).into_iter().map(|finding| finding.file).collect()
    }

    #[test]
    fn banned_words_are_found_as_file_and_as_folder() {
        let paths = ["src/utils.rs", "crates/x/common/a.rs", "crates/x/common/b.rs", "src/commons.rs"];
        assert_eq!(check_paths(&paths), ["src/utils.rs", "crates/x/common"]);
    }
}
