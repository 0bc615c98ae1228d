//! What sort of release a tree is, and what it needs.
//!
//! Layouts: OTP design principles, "Releases"; relx and mix as made by rebar3 3.x and Elixir 1.9 and later.

use crate::chunk::ChunkSource;
use crate::elf;
use crate::error::Result;
use crate::procfile;
use lace_model::beam::{HEART, without_heart};
use lace_model::release::{Needs, ReleaseKind, Tree, TreeNode};

/// Text files of a release are not read beyond this, in bytes.
const TEXT_BYTES_MAX: u64 = 256 << 10;

/// Applications of a release that are told.
const APPLICATIONS_MAX: usize = 1000;

/// What a tree is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recognised {
    /// What sort.
    pub kind: ReleaseKind,
    /// The name that the release gives itself.
    pub name: Option<String>,
    /// Its version: as the release says, or the first line of a file `VERSION`.
    pub version: Option<String>,
    /// What runs it in the foreground; empty where nothing says so (`--start` is needed then).
    pub start: Vec<String>,
    /// What stops it, where the signal is not enough.
    pub stop: Option<Vec<String>>,
    /// What it needs from a host.
    pub needs: Needs,
    /// What will be otherwise in a node than the release says, a line for each.
    pub remarks: Vec<String>,
    /// Files that are templates of ours; relx and mix expand their own.
    pub templates: Vec<String>,
}

impl Recognised {
    /// The version to store: the release's own, or `0.0.0-` and the beginning of the tree's digest.
    pub fn version_of(&self, tree: &Tree) -> String {
        self.version.clone().unwrap_or_else(|| format!("0.0.0-{}", tree.digest().short()))
    }
}

/// Looks at a tree. Reads few files of it, each up to a limit.
///
/// # Errors
/// Those of the source.
pub fn recognise(tree: &Tree, source: &dyn ChunkSource) -> Result<Recognised> {
    let look = Look { tree, source };
    let mut found = match look.text("releases/start_erl.data")? {
        Some(start_erl) => look.otp(&start_erl)?,
        None => look.generic()?,
    };
    let needs = elf::needs(tree, source)?;
    found.needs = Needs {
        erts: found.needs.erts.take(),
        erts_included: found.needs.erts_included,
        absent: std::mem::take(&mut found.needs.absent),
        applications: std::mem::take(&mut found.needs.applications),
        programs: look.programs(&found)?,
        ..needs
    };
    Ok(found)
}

struct Look<'a> {
    tree: &'a Tree,
    source: &'a dyn ChunkSource,
}

impl Look<'_> {
    fn node(&self, path: &str) -> Option<&TreeNode> {
        let entries = &self.tree.entries;
        let found = entries.binary_search_by(|entry| entry.path.as_str().cmp(path)).ok()?;
        Some(&entries[found].node)
    }

    fn is_file(&self, path: &str) -> bool {
        matches!(self.node(path), Some(TreeNode::File { .. }))
    }

    /// A file's text, up to a limit; `None` where there is no such file.
    fn text(&self, path: &str) -> Result<Option<String>> {
        let Some(TreeNode::File { size, chunks, .. }) = self.node(path) else { return Ok(None) };
        if *size > TEXT_BYTES_MAX {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        for digest in chunks {
            bytes.extend(self.source.chunk(digest)?);
        }
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Names directly in a directory.
    fn names<'s>(&'s self, dir: &str) -> impl Iterator<Item = &'s str> {
        let prefix = format!("{dir}/");
        let inner = self.tree.entries.iter().filter_map(move |entry| entry.path.strip_prefix(&prefix));
        inner.filter(|name| !name.contains('/'))
    }

    /// `start_erl.data` is `ERTS-VERSION RELEASE-VERSION`.
    fn otp(&self, start_erl: &str) -> Result<Recognised> {
        let mut words = start_erl.split_whitespace();
        let (erts, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let place = format!("releases/{version}");
        let said = self.named(&place)?;
        let applications = said.as_ref().map(|(_, rel)| applications(rel)).unwrap_or_default();
        let name = said.map(|(name, _)| name).or_else(|| self.only_script());
        let script = name.as_ref().map(|name| format!("bin/{name}")).filter(|path| self.is_file(path));
        let text = script.as_ref().map(|path| self.text(path)).transpose()?.flatten().unwrap_or_default();
        let relx = text.contains("RELX_") || text.contains("relx");
        let mix = !relx && (text.contains("RELEASE_ROOT") || self.is_file(&format!("{place}/env.sh")));
        let (kind, verb) = if mix { (ReleaseKind::Mix, "start") } else { (ReleaseKind::Relx, "foreground") };
        // A release in a form that is not known lacks nothing that could be told.
        let is_carried = |app: &&String| self.carries(app);
        let absent = match applications.iter().any(|app| is_carried(&app)) {
            true => applications.iter().filter(|app| !is_carried(app)).cloned().collect(),
            false => Vec::new(),
        };
        let needs = Needs {
            absent,
            erts: Some(erts.to_owned()).filter(|erts| !erts.is_empty()),
            erts_included: self.node(&format!("erts-{erts}")) == Some(&TreeNode::Dir),
            applications,
            ..Needs::default()
        };
        Ok(Recognised {
            kind,
            remarks: self.hearts(&place)?,
            name,
            version: first_word(version),
            start: script.map(|script| vec![script, verb.to_owned()]).unwrap_or_default(),
            needs,
            ..Recognised::default()
        })
    }

    /// Is the application in its `lib`, as a directory or archive of a version?
    fn carries(&self, app: &str) -> bool {
        self.names("lib").any(|name| {
            name.strip_prefix(app)
                .and_then(|rest| rest.strip_prefix('-'))
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    }

    /// Files that ask for OTP's own watchdog.
    fn hearts(&self, place: &str) -> Result<Vec<String>> {
        let mut remarks = Vec::new();
        for name in ["vm.args", "vm.args.src", "env.sh"] {
            let path = format!("{place}/{name}");
            let text = self.text(&path)?.unwrap_or_default();
            let mut said = text.lines().filter(|line| !line.trim_start().starts_with('#'));
            if said.any(|line| without_heart(line) != line) {
                remarks.push(format!("{path}: {HEART} is left out in nodes, whose PID 1 starts them again"));
            }
        }
        Ok(remarks)
    }

    /// `{release,{"NAME","VERSION"},...` of the `.rel` file that is not one of the plain ones: the name, and the text.
    fn named(&self, place: &str) -> Result<Option<(String, String)>> {
        let plain = ["start_clean.rel", "start_sasl.rel", "no_dot_erlang.rel"];
        let rels: Vec<String> = self
            .names(place)
            .filter(|name| name.ends_with(".rel") && !plain.contains(name))
            .map(|name| format!("{place}/{name}"))
            .collect();
        for rel in rels {
            let text = self.text(&rel)?.unwrap_or_default();
            let quoted = text.split_once("release").and_then(|(_, rest)| rest.split('"').nth(1));
            let name = quoted.filter(|name| !name.is_empty() && !name.contains('/'));
            if let Some(name) = name.map(str::to_owned) {
                return Ok(Some((name, text)));
            }
        }
        Ok(None)
    }

    /// The one executable of `bin` that is no helper of relx, mix or OTP.
    fn only_script(&self) -> Option<String> {
        let helpers =
            ["no_dot_erlang", "start_clean", "install_upgrade", "nodetool", "erl_call", "start", "start_erl"];
        let mut scripts = self.names("bin").filter(|name| {
            let file =
                matches!(self.node(&format!("bin/{name}")), Some(TreeNode::File { executable: true, .. }));
            file && !name.contains('.') && !helpers.iter().any(|helper| name.starts_with(helper))
        });
        let first = scripts.next()?.to_owned();
        scripts.all(|name| name.starts_with(&format!("{first}-"))).then_some(first)
    }

    fn generic(&self) -> Result<Recognised> {
        let text = self.text("Procfile")?.unwrap_or_default();
        let usual = procfile::usual(&procfile::entries(&text));
        let start = usual.map(|(_, command)| procfile::words(command)).unwrap_or_default();
        let version = self.text("VERSION")?.and_then(|text| first_word(&text));
        Ok(Recognised { start, version, ..Recognised::default() })
    }

    /// Programs of the host that the start needs.
    fn programs(&self, found: &Recognised) -> Result<Vec<String>> {
        if found.kind != ReleaseKind::Generic {
            let erl = !found.needs.erts_included;
            return Ok(["sh"].into_iter().chain(erl.then_some("erl")).map(str::to_owned).collect());
        }
        let Some(program) = found.start.first() else { return Ok(Vec::new()) };
        let inside = program.strip_prefix("./").unwrap_or(program);
        if !program.contains('/') && !self.is_file(program) {
            return Ok(vec![program.clone()]);
        }
        Ok(self.text(inside)?.as_deref().and_then(interpreter).into_iter().collect())
    }
}

/// The applications of a `.rel` file: `{NAME,"VERSION"` each. One of type `none` or `load` is loaded as well.
fn applications(rel: &str) -> Vec<String> {
    let text: String = rel.split_whitespace().collect();
    // `{erts,"..."}` looks the same and is none.
    let Some((_, list)) = text.split_once("{erts,") else { return Vec::new() };
    let name = |part: &str| {
        let (name, rest) = part.split_once(',')?;
        let name = name.trim_matches('\'');
        let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        (plain && rest.starts_with('"')).then(|| name.to_owned())
    };
    list.split('{').skip(1).filter_map(name).take(APPLICATIONS_MAX).collect()
}

/// What `#!` names: the last part of the path, or what `env` starts.
fn interpreter(text: &str) -> Option<String> {
    let line = text.strip_prefix("#!")?.lines().next()?;
    let mut words = line.split_whitespace();
    let first = words.next()?.rsplit('/').next()?;
    if first != "env" {
        return Some(first.to_owned());
    }
    words.find(|word| !word.starts_with('-') && !word.contains('=')).map(str::to_owned)
}

fn first_word(text: &str) -> Option<String> {
    let word = text.split_whitespace().next()?;
    let good = word.len() <= 64 && word.chars().all(|c| c.is_ascii_alphanumeric() || "._+-~".contains(c));
    good.then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(interpreter(text).as_deref(), expected, "{text}");
        };
        check("#!/bin/sh -e\n", Some("sh"));
        check("#!/usr/bin/env -S A=1 python3 -u\n", Some("python3"));
        check("hello", None);
        check("#!", None);
    }
}
