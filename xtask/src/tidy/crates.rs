//! Directions between crates, as the Cargo.toml files have them.

use std::collections::BTreeSet;

use super::Finding;
use super::architecture::{Architecture, FILE};
use super::tree::Tree;

const RULE: &str = "directions between crates";
const PREFIX: &str = "lace-";

/// One line `package = ...` of one Cargo.toml.
struct Dependency<'a> {
    manifest: &'a str,
    line: usize,
    package: String,
}

pub fn check(tree: &Tree, architecture: &Architecture) -> Vec<Finding> {
    let manifests = tree.texts().filter_map(|(path, text)| Some((path, text, crate_at(path)?)));
    manifests.flat_map(|(path, text, name)| check_manifest(path, text, name, architecture)).collect()
}

/// The short name of the crate whose manifest this is.
fn crate_at(path: &str) -> Option<&str> {
    match path.split('/').collect::<Vec<_>>()[..] {
        ["Cargo.toml"] => Some("lace"),
        ["xtask", "Cargo.toml"] => Some("xtask"),
        ["crates", name, "Cargo.toml"] => Some(name),
        _ => None,
    }
}

fn check_manifest(path: &str, text: &str, name: &str, architecture: &Architecture) -> Vec<Finding> {
    let Some(allowed) = architecture.crates.get(name) else {
        let what = format!("crate `{name}` has no place in {FILE}");
        return vec![Finding::new(path, 1, RULE, what, "name it there, with what it may depend on")];
    };
    let dependencies = match dependencies(path, text) {
        Ok(dependencies) => dependencies,
        Err(error) => return vec![Finding::new(path, 1, RULE, error, "mend the manifest")],
    };
    dependencies.iter().filter_map(|one| check_one(name, one, allowed, architecture)).collect()
}

fn check_one(
    name: &str,
    dependency: &Dependency,
    allowed: &[String],
    architecture: &Architecture,
) -> Option<Finding> {
    let package = dependency.package.as_str();
    let found =
        |what: String, mend: &str| Some(Finding::new(dependency.manifest, dependency.line, RULE, what, mend));
    if let Some(ours) = package.strip_prefix(PREFIX) {
        // Itself: with other features, for its own tests.
        if ours == name || allowed.iter().any(|one| one == ours) {
            return None;
        }
        let what = format!("`{name}` may not depend on `{ours}`, only on: {}", allowed.join(", "));
        return found(what, "hand the value or a narrow trait in from src/role instead");
    }
    if architecture.refused.get(name).is_some_and(|refused| refused.iter().any(|one| one == package)) {
        let what = format!("`{name}` may never depend on {package}");
        return found(what, "move what needs it to a crate further out");
    }
    let holders = architecture.outside.get(package)?;
    if holders.iter().any(|holder| holder == name) {
        return None;
    }
    let what = format!("only {} may depend on {package}", holders.join(", "));
    found(what, "use the narrow trait of the crate that holds it")
}

/// Of all kinds: normal, build, dev, and per target.
fn dependencies<'a>(manifest: &'a str, text: &str) -> Result<Vec<Dependency<'a>>, String> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
    let mut packages = BTreeSet::new();
    collect(&table, &mut packages);
    if let Some(targets) = table.get("target").and_then(toml::Value::as_table) {
        targets.values().filter_map(toml::Value::as_table).for_each(|one| collect(one, &mut packages));
    }
    let dependency = |(key, package)| Dependency { manifest, line: line_of(text, key), package };
    Ok(packages.iter().map(|(key, package)| dependency((key, package.clone()))).collect())
}

fn collect(table: &toml::Table, packages: &mut BTreeSet<(String, String)>) {
    for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
        for (key, value) in table.get(kind).and_then(toml::Value::as_table).into_iter().flatten() {
            let renamed = value.get("package").and_then(toml::Value::as_str);
            packages.insert((key.clone(), renamed.unwrap_or(key).to_owned()));
        }
    }
}

/// The last line that begins with the key: in the root manifest the first may
/// be the workspace's own table.
fn line_of(text: &str, key: &str) -> usize {
    let begins = |line: &str| {
        line.strip_prefix(key).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
            || line.ends_with(&format!("dependencies.{key}]"))
    };
    let lines = text.lines().enumerate().filter(|(_, line)| begins(line));
    lines.last().map_or(1, |(index, _)| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn architecture() -> Architecture {
        let text = r#"
            [crates]
            model = []
            store = ["model"]
            [outside]
            rusqlite = ["store"]
            [refused]
            model = ["tokio"]
            [lock]
            refused = []
            single = []
            [measures]
            function_lines_max = 70
            function_lines_usual = 40
            function_share_usual = 0.9
            file_lines_max = 800
            file_lines_warn = 500
        "#;
        Architecture::parse(text).unwrap()
    }

    fn found(path: &str, text: &str) -> Vec<(usize, String)> {
        let findings = check(&Tree::of(&[(path, text)]), &architecture());
        findings.into_iter().map(|finding| (finding.line, finding.what)).collect()
    }

    #[test]
    fn what_is_allowed_passes() {
        let text = "[dependencies]\nlace-model.workspace = true\nrusqlite.workspace = true\n";
        assert_eq!(found("crates/store/Cargo.toml", text), []);
    }

    #[test]
    fn a_wrong_direction_is_found_in_every_kind_of_dependency() {
        for kind in ["dependencies", "dev-dependencies", "target.'cfg(unix)'.build-dependencies"] {
            let text = format!("[{kind}]\nlace-store.workspace = true\n");
            let what = "`model` may not depend on `store`, only on: ".to_owned();
            assert_eq!(found("crates/model/Cargo.toml", &text), [(2, what)]);
        }
    }

    #[test]
    fn packages_from_outside_are_held_to_their_crate() {
        let text = "[dependencies]\nrusqlite = \"1\"\ntokio = \"1\"\n";
        let lines: Vec<_> = found("crates/model/Cargo.toml", text).into_iter().map(|f| f.0).collect();
        assert_eq!(lines, [2, 3]);
    }

    #[test]
    fn a_crate_without_a_place_is_found() {
        let what = "crate `new` has no place in architecture.toml".to_owned();
        assert_eq!(found("crates/new/Cargo.toml", "[dependencies]\n"), [(1, what)]);
    }
}
