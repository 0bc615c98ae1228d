//! Proposes a manifest for a directory of somebody's code: `lace init`, and `lace deploy` without a manifest.
//!
//! Files are recognised by name and read for a name, never executed.

mod names;
mod text;

pub use names::name_from;

use lace_model::Name;
use std::path::Path;

/// Files are read for names up to this, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What a directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectKind {
    /// `rebar.config`: an Erlang/OTP release.
    Rebar,
    /// `mix.exs`: an Elixir release.
    Mix,
    /// A built OTP release (`releases/start_erl.data`).
    Release,
    /// `Procfile`.
    Procfile,
    /// A program that can be executed.
    Program,
    /// Something that a package of the catalogue runs: PHP, Java.
    Package,
    /// Nothing known: the proposal has to be filled in.
    Unknown,
}

/// A proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// What the directory holds.
    pub kind: ProjectKind,
    /// Name for application and service.
    pub name: Name,
    /// The proposed `lace.toml`, with comments. It parses.
    pub manifest: String,
    /// What else was seen that a person may want to know, a line each.
    pub notes: Vec<String>,
}

/// Files of other tools that `lace import` reads.
const FOREIGN: [(&str, &str); 4] = [
    ("compose.yaml", "Docker Compose"),
    ("docker-compose.yml", "Docker Compose"),
    ("config/deploy.yml", "Kamal"),
    ("fly.toml", "Fly.io"),
];

/// Looks at a directory and proposes a manifest for it.
pub fn detect_project(dir: &Path) -> Project {
    let has = |name: &str| dir.join(name).is_file();
    let (kind, said) = if has("rebar.config") {
        (ProjectKind::Rebar, names::rebar(dir))
    } else if has("mix.exs") {
        (ProjectKind::Mix, names::mix(dir))
    } else if has("releases/start_erl.data") {
        (ProjectKind::Release, None)
    } else if has("Procfile") {
        (ProjectKind::Procfile, None)
    } else if names::package(dir).is_some() {
        (ProjectKind::Package, None)
    } else if names::program(dir).is_some() {
        (ProjectKind::Program, None)
    } else {
        (ProjectKind::Unknown, None)
    };
    let release = said.unwrap_or_else(|| names::of_dir(dir));
    let name = names::name_from(&release);
    let foreign = FOREIGN.iter().filter(|(file, _)| has(file));
    let notes =
        foreign.map(|(file, tool)| format!("{file} is of {tool}: `lace import {file}` carries it over"));
    Project {
        kind,
        manifest: text::manifest(dir, kind, name.as_str(), &release),
        name,
        notes: notes.collect(),
    }
}
