//! A skipped test is a hole in the wall: only long ones may be, and they say so.
//! What needs root or a program fails where it is missing; `make test` brings both.

use super::Finding;
use super::tree::Tree;

const SKIP: &str = concat!("#[", "ignore");
const LONG: &str = concat!("#[", "ignore = \"long");

pub fn check(tree: &Tree) -> Vec<Finding> {
    let sources = tree.texts().filter(|(path, _)| path.ends_with(".rs"));
    sources.flat_map(|(path, text)| check_text(path, text)).collect()
}

fn check_text(path: &str, text: &str) -> Vec<Finding> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim_start()));
    let skipped = lines.filter(|(_, line)| line.starts_with(SKIP) && !line.starts_with(LONG));
    let mend = format!("let it run and fail, or write {LONG}: how long it takes\"] for make test-all");
    skipped.map(|(line, _)| Finding::new(path, line, "skipped tests", "a test is left out", &mend)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_tests_may_be_left_out() {
        let text = format!("{SKIP}]\n  {SKIP} = \"needs root\"]\n{LONG}: 10 minutes\"]\n");
        let lines: Vec<_> = check(&Tree::of(&[("a.rs", &text)])).iter().map(|f| f.line).collect();
        assert_eq!(lines, [1, 2]);
    }
}
