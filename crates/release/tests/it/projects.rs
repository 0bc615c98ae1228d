//! Proposed manifests fit the code that they were made for, and are good manifests.

use crate::put;
use lace_model::Name;
use lace_model::manifest::{self, Manifest, Options};
use lace_release::{Project, ProjectKind, detect_project, name_from};
use std::path::Path;

fn propose(make: impl FnOnce(&Path)) -> (Project, Manifest) {
    let dir = tempfile::tempdir().expect("a directory");
    let root = dir.path().join("My_Project.2");
    std::fs::create_dir(&root).expect("a directory");
    make(&root);
    let project = detect_project(&root);
    let manifest = manifest::parse(&project.manifest, &Options::default());
    let manifest = manifest.unwrap_or_else(|m| panic!("{m:?}\n{}", project.manifest));
    assert_eq!(manifest.app, project.name);
    assert!(manifest.later.is_empty());
    (project, manifest)
}

fn output(project: &Project, manifest: &Manifest) -> String {
    manifest.sources[&project.name].output.clone().unwrap_or_default()
}

#[test]
fn rebar() {
    let config = "%% {release, {no, \"1\"}}\n{relx, [{release, {my_game, \"0.1.0\"},\n [my_game, sasl]}]}.\n";
    let (project, manifest) = propose(|root| put(root, "rebar.config", config, false));
    assert_eq!((project.kind, project.name.as_str()), (ProjectKind::Rebar, "my-game"));
    assert_eq!(output(&project, &manifest), "_build/prod/rel/my_game");
    assert!(manifest.spec.services[&Name::new("my-game").expect("a name")].beam.is_some());
    let (project, _) = propose(|root| {
        put(root, "rebar.config", "{erl_opts, []}.", false);
        put(root, "src/ball.app.src", "", false);
    });
    assert_eq!(project.name.as_str(), "ball");
}

#[test]
fn mix() {
    let exs = "defmodule Game.MixProject do\n def project, do: [app: :game, version: \"1\"]\nend";
    let (project, manifest) = propose(|root| put(root, "mix.exs", exs, false));
    assert_eq!((project.kind, project.name.as_str()), (ProjectKind::Mix, "game"));
    assert_eq!(output(&project, &manifest), "_build/prod/rel/game");
}

#[test]
fn procfile() {
    let text = "release: bin/migrate \"all\"\nworker: A=1 bin/work\nweb: bin/serve -p $PORT\n";
    let (project, manifest) = propose(|root| put(root, "Procfile", text, false));
    let service = |name: &str| manifest.spec.services[&Name::new(name).expect("a name")].clone();
    let web = service("web");
    assert_eq!(web.env.expect("set").len(), 1, "{}", project.manifest);
    assert_eq!(web.before.expect("set"), [["sh", "-c", "exec bin/migrate \"all\""]]);
    assert!(web.check.is_some());
    let start = &manifest.sources[&Name::new("worker").expect("a name")].start;
    assert_eq!(start.as_deref(), Some(&["sh", "-c", "A=1 bin/work"].map(str::to_owned)[..]));
    let (project, manifest) = propose(|root| put(root, "Procfile", "worker: bin/work", false));
    assert_eq!(manifest.spec.services.keys().collect::<Vec<_>>(), [&project.name]);
}

#[test]
fn others() {
    let check = |file: &str, executable: bool, kind: ProjectKind| {
        let (project, manifest) = propose(|root| put(root, file, "x: y", executable));
        assert_eq!((project.kind, project.name.as_str()), (kind, "my-project-2"), "{file}");
        manifest
    };
    check("Procfile", false, ProjectKind::Procfile);
    check("releases/start_erl.data", false, ProjectKind::Release);
    check("index.php", false, ProjectKind::Package);
    check("README", false, ProjectKind::Unknown);
    let name = Name::new("my-project-2").expect("a name");
    let start = |manifest: &Manifest| manifest.sources[&name].start.clone();
    assert_eq!(start(&check("bin/serve", true, ProjectKind::Program)), Some(vec!["bin/serve".into()]));
    let odd = "a \"quoted\\ näme";
    assert_eq!(start(&check(odd, true, ProjectKind::Program)), Some(vec![odd.into()]));
}

#[test]
fn files_of_other_tools_are_named() {
    let (project, _) = propose(|root| put(root, "fly.toml", "", false));
    assert_eq!(project.notes, ["fly.toml is of Fly.io: `lace import fly.toml` carries it over"]);
}

#[test]
fn any_text_becomes_a_name() {
    let check = |text: &str, name: &str| assert_eq!(name_from(text).as_str(), name);
    check("My_Game", "my-game");
    check("9lives", "lives");
    check("-- ", "app");
    check("Ünï", "n");
    check(&"x-".repeat(40), &format!("{}x", "x-".repeat(19)));
}
