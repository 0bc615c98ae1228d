//! A package for people.

use lace_model::package::{RENEW_PASSWORD, ReleaseWish, Setting, StoredPackage};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Everything that somebody who uses the package wants to know.
pub(super) fn picture(package: &StoredPackage) -> String {
    let spec = &package.spec;
    let mut text = format!("package   {}\n", spec.key());
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{name:<9} {value}");
        }
    };
    line("summary", spec.summary.clone());
    line("tree", package.tree.short());
    let release = match spec.release {
        ReleaseWish::None => "takes none",
        ReleaseWish::Optional => "may have one",
        ReleaseWish::Required => "is wanted",
    };
    line("release", release.into());
    for (name, role) in &spec.roles {
        line("role", [name.as_str(), &format!("({})", role.count), &role.help].join(" "));
    }
    for (name, port) in &spec.ports {
        line("port", format!("{name} {} {}", port.number, port.help));
    }
    for name in spec.provides.keys() {
        line("provides", name.to_string());
    }
    for (name, consumed) in &spec.consumes {
        line("consumes", format!("{name}: {}", consumed.interface));
    }
    values(&mut line, "setting", &spec.settings);
    if spec.provides.values().any(|provided| provided.password) {
        line("action", format!("{RENEW_PASSWORD} makes another password; all who have it roll"));
    }
    for (name, action) in &spec.actions {
        line("action", format!("{name} {}", action.help));
        values(&mut line, "", &action.parameters);
    }
    line("installs", spec.image.packages.join(" "));
    text
}

fn values(line: &mut impl FnMut(&str, String), word: &str, settings: &BTreeMap<String, Setting>) {
    for (name, setting) in settings {
        let default = match &setting.default {
            Some(default) if default.is_empty() => "= nothing".to_owned(),
            Some(default) => format!("= {default}"),
            None => "has to be said".to_owned(),
        };
        line(word, format!("{name} {default} ({}) {}", setting.wanted(), setting.help));
    }
}
