//! Golden files: what the templates become with sample parameters, kept beside them, so that a change shows.
//!
//! `samples/NAME.toml` says parameters; without any there is one sample, `usual`, with what the package says. What a
//! template becomes for the path `/etc/x.conf` is `golden/NAME/etc/x.conf`.

use super::files::{Files, Text};
use crate::chunk::ChunkSource;
use crate::error::Result;
use lace_model::package::{Package, Sample, parse_sample, render};
use lace_model::release::Tree;
use std::collections::{BTreeMap, BTreeSet};

/// Where golden files lie in a package.
pub const GOLDEN: &str = "golden";
/// Where samples lie.
const SAMPLES: &str = "samples/";
/// The sample of a package without any.
const USUAL: &str = "usual";

/// A rendered template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendering {
    /// Its golden file, in the package.
    pub path: String,
    /// What it becomes.
    pub text: String,
}

/// What every template becomes with every sample, for the roles that have it; and all that went wrong, a line each.
///
/// # Errors
/// Those of the source.
pub fn renderings(
    package: &Package,
    tree: &Tree,
    source: &dyn ChunkSource,
) -> Result<(Vec<Rendering>, Vec<String>)> {
    let files = Files { tree, source };
    let (mut rendered, mut wrong) = (Vec::new(), Vec::new());
    for (name, sample) in samples(package, &files, &mut wrong)? {
        let document = match sample.document(package) {
            Ok(document) => document,
            Err(lines) => {
                let file = format!("{SAMPLES}{name}.toml");
                wrong.extend(lines.into_iter().map(|line| format!("{file}: {line}")));
                continue;
            }
        };
        let role = sample.role(package);
        let of_role = |roles: &BTreeSet<_>| role.is_some_and(|role| Package::is_for(roles, role));
        for (at, template) in package.templates.iter().filter(|(_, t)| of_role(&t.roles)) {
            let Text::Is(text) = files.text(&template.from)? else { continue };
            match render(&template.from, &text, &document) {
                Ok(text) => rendered.push(Rendering { path: format!("{GOLDEN}/{name}{at}"), text }),
                Err(cause) => wrong.push(format!("{cause} (sample {name})")),
            }
        }
    }
    Ok((rendered, wrong))
}

fn samples(package: &Package, files: &Files, wrong: &mut Vec<String>) -> Result<BTreeMap<String, Sample>> {
    let mut samples = BTreeMap::new();
    for path in files.paths().filter(|path| path.starts_with(SAMPLES)) {
        let Some(name) = path.strip_prefix(SAMPLES).and_then(|file| file.strip_suffix(".toml")) else {
            wrong.push(format!("{path}: a sample is a file NAME.toml"));
            continue;
        };
        match files.text(path)? {
            Text::Is(text) => match parse_sample(&text, package) {
                Ok(sample) => drop(samples.insert(name.to_owned(), sample)),
                Err(mistakes) => wrong.extend(mistakes.iter().map(|mistake| format!("{path}: {mistake}"))),
            },
            Text::Not(why) => wrong.push(format!("{path}: {why}")),
        }
    }
    if samples.is_empty() && wrong.is_empty() {
        samples.insert(USUAL.to_owned(), Sample { index: 1, ..Sample::default() });
    }
    Ok(samples)
}

/// Where golden files differ from what the templates become, a line each; and those that belong to no template.
///
/// # Errors
/// Those of the source.
pub fn faults(
    rendered: &[Rendering],
    tree: &Tree,
    source: &dyn ChunkSource,
) -> Result<(Vec<String>, Vec<String>)> {
    let files = Files { tree, source };
    let mut lines = Vec::new();
    for rendering in rendered {
        match files.text(&rendering.path)? {
            Text::Is(text) if text == rendering.text => {}
            Text::Is(text) => lines.push(format!("{}: {}", rendering.path, differs(&text, &rendering.text))),
            Text::Not(why) => lines.push(format!("{}: {why}", rendering.path)),
        }
    }
    let known: BTreeSet<&str> = rendered.iter().map(|rendering| rendering.path.as_str()).collect();
    let stale = files.paths().filter(|path| path.starts_with("golden/") && !known.contains(path));
    Ok((lines, stale.map(str::to_owned).collect()))
}

/// The first line in which two texts differ.
fn differs(golden: &str, now: &str) -> String {
    let (mut of_golden, mut of_now) = (golden.lines(), now.lines());
    for number in 1.. {
        match (of_golden.next(), of_now.next()) {
            (None, None) => break,
            (one, other) if one == other => {}
            (one, other) => {
                let shown =
                    |line: Option<&str>| line.map_or("the end".to_owned(), |line| format!("{line:?}"));
                return format!("line {number} is {}, the template makes {}", shown(one), shown(other));
            }
        }
    }
    "the ends of its lines differ from what the template makes".into()
}
