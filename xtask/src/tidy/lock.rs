//! Cargo.lock: what may not be in the graph, and what may be there once.

use serde::Deserialize;

use super::Finding;
use super::architecture::Lock;
use super::tree::Tree;

const FILE: &str = "Cargo.lock";
const INDEX: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[derive(Deserialize)]
struct LockFile {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
}

pub fn check(tree: &Tree, wanted: &Lock) -> Vec<Finding> {
    let Some(text) = tree.text_of(FILE) else {
        return vec![Finding::new(FILE, 1, "lock file", "there is none", "cargo build, then commit it")];
    };
    let packages = match toml::from_str::<LockFile>(text) {
        Ok(lock) => lock.package,
        Err(error) => {
            let what = format!("cannot be read: {}", error.message());
            return vec![Finding::new(FILE, 1, "lock file", what, "let cargo write it again")];
        }
    };
    let mut findings = Vec::new();
    findings.extend(packages.iter().filter(|p| wanted.refused.contains(&p.name)).map(|p| refuse(text, p)));
    findings.extend(packages.iter().filter_map(|p| check_source(text, p)));
    findings.extend(wanted.single.iter().filter_map(|name| check_single(text, name, &packages)));
    findings
}

fn refuse(text: &str, package: &Package) -> Finding {
    let (name, version) = (&package.name, &package.version);
    let mend = format!("`cargo tree -i {name}` shows who asks for it; turn that feature off");
    let what = format!("{name} {version} is in the graph");
    Finding::new(FILE, line_of(text, package), "refused packages", what, &mend)
}

fn check_source(text: &str, package: &Package) -> Option<Finding> {
    let source = package.source.as_deref()?;
    if source == INDEX {
        return None;
    }
    let what = format!("{} comes from elsewhere than crates.io", package.name);
    let mend = "use a published version, locked with the ordinary registry";
    Some(Finding::new(FILE, line_of(text, package), "one registry", what, mend))
}

fn check_single(text: &str, name: &str, packages: &[Package]) -> Option<Finding> {
    let same: Vec<&Package> = packages.iter().filter(|package| package.name == name).collect();
    let [_, second, ..] = same[..] else {
        return None;
    };
    let versions: Vec<&str> = same.iter().map(|package| package.version.as_str()).collect();
    let what = format!("{name} is in the graph {} times: {}", same.len(), versions.join(", "));
    let mend = format!("`cargo tree -i {name}@{}` shows who asks for it", second.version);
    Some(Finding::new(FILE, line_of(text, second), "packages once at most", what, &mend))
}

fn line_of(text: &str, package: &Package) -> usize {
    let name = format!("name = \"{}\"", package.name);
    let version = format!("version = \"{}\"", package.version);
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.windows(2).position(|pair| pair[0] == name && pair[1] == version);
    at.map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"version = 4

[[package]]
name = "aws-lc-sys"
version = "0.30.0"
source = "registry+https://github.com/rust-lang/crates.io-index"

[[package]]
name = "libsqlite3-sys"
version = "0.30.1"

[[package]]
name = "libsqlite3-sys"
version = "0.38.2"
source = "registry+https://mirror.example/index"
"#;

    #[test]
    fn refused_doubled_and_foreign_packages_are_found() {
        let wanted = Lock {
            refused: vec!["aws-lc-sys".into()],
            single: vec!["libsqlite3-sys".into(), "tokio".into()],
        };
        let mut found: Vec<_> = check(&Tree::of(&[(FILE, TEXT)]), &wanted)
            .into_iter()
            .map(|finding| (finding.line, finding.rule))
            .collect();
        found.sort();
        let expected = [(4, "refused packages"), (13, "one registry"), (13, "packages once at most")];
        assert_eq!(found, expected.map(|(line, rule)| (line, rule.to_owned())));
    }
}
