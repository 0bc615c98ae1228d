//! `lace deploy`: build, upload, roll, wait, say where it is.

use super::init::{self, MANIFEST};
use super::manifest::{self, Located, ManifestArgs};
use super::status::node_table;
use super::{Exit, Outcome, Session, apply, confirm, open};
use clap::Args;
use lace_model::manifest::Manifest;
use lace_model::{Code, Problem, TargetPath};
use lace_wire::api::{FamilyStatus, NodeView};
use std::path::{Path, PathBuf};

/// `lace deploy`.
#[derive(Args, Debug)]
#[command(after_help = "\
It does what lace.toml says. Without one it recognises the project and proposes one. With a TARGET
only that service is built and rolled.

Exit status: 0 done, 2 mistakes in the manifest, 3 failed and reverted, 4 still watching, 5 cannot be
placed, 8 changed meanwhile, 12 failed and not reverted.

Example:
  lace deploy shop/game ./game")]
pub struct DeployArgs {
    /// APP or APP/SERVICE, where not all that the manifest says; or the PATH
    pub target: Option<String>,
    /// The project's directory, or its manifest
    pub path: Option<PathBuf>,
    /// About the manifest.
    #[command(flatten)]
    pub manifest: ManifestArgs,
}

/// Runs `lace deploy`.
pub async fn run(args: DeployArgs, s: &mut Session) -> Outcome {
    let (target, path) = meant(s, args.target, args.path)?;
    if args.manifest.from.is_some() {
        return Err(Problem::new(Code::Usage, "deploy reads manifests of ours")
            .hint("lace apply --from PROGRAM FILE"));
    }
    let mut located = find(s, &path, target.as_ref(), &args.manifest)?;
    if let Some(target) = &target {
        narrow(&mut located.manifest, target)?;
    }
    manifest::bring_releases(s, &mut located).await?;
    let app = located.manifest.app.clone();
    let request = args.manifest.request(located.manifest);
    apply::submit(s, request).await?;
    let all = TargetPath { app, service: None, family: None, index: None };
    where_it_is(s, target.unwrap_or(all)).await
}

/// The first word is a path where it looks like one.
fn meant(
    s: &Session,
    first: Option<String>,
    path: Option<PathBuf>,
) -> Result<(Option<TargetPath>, PathBuf), Problem> {
    let here = || PathBuf::from(".");
    let Some(first) = first else { return Ok((None, path.unwrap_or_else(here))) };
    let like_a_path = first.starts_with(['.', '/']) || first.ends_with(".toml");
    if path.is_none() && (like_a_path || first.parse::<TargetPath>().is_err() && s.at(&first).exists()) {
        return Ok((None, first.into()));
    }
    let target = first.parse().map_err(|e| Problem::new(Code::Usage, format!("{e}")))?;
    Ok((Some(target), path.unwrap_or_else(here)))
}

fn find(
    s: &mut Session,
    path: &Path,
    target: Option<&TargetPath>,
    args: &ManifestArgs,
) -> Result<Located, Problem> {
    let full = s.at(path);
    if full.is_file() {
        return manifest::read(s, path, args);
    }
    if !full.is_dir() {
        return Err(Problem::not_found(format_args!("directory {}", path.display())));
    }
    if full.join(MANIFEST).is_file() {
        return manifest::read(s, &path.join(MANIFEST), args);
    }
    propose(s, &full, target, args)
}

fn propose(
    s: &mut Session,
    dir: &Path,
    target: Option<&TargetPath>,
    args: &ManifestArgs,
) -> Result<Located, Problem> {
    let project = lace_release::detect_project(dir);
    s.out.note(format!("there is no {MANIFEST}; this would be one:\n\n{}", project.manifest));
    project.notes.iter().for_each(|note| s.out.note(format!("  {note}")));
    if !confirm::yes(s, &format!("write {MANIFEST} and deploy it?"))? {
        return Err(Problem::new(Code::Usage, "nothing was done")
            .hint("lace init writes the proposal, so that you can change it"));
    }
    let mut located = manifest::understand(&project.manifest, dir.to_owned(), Path::new(MANIFEST), args)?;
    if let Some(target) = target {
        rename(&mut located.manifest, target);
    } else {
        init::write(dir, &project.manifest, false)?;
    }
    Ok(located)
}

/// A proposal takes the names that the person said.
fn rename(manifest: &mut Manifest, target: &TargetPath) {
    manifest.app = target.app.clone();
    let Some(service) = &target.service else { return };
    if let [only] = manifest.spec.services.keys().cloned().collect::<Vec<_>>().as_slice() {
        let mut spec = manifest.spec.services.remove(only).unwrap_or_default();
        if let Some(family) = spec.families.remove(only) {
            spec.families.insert(service.clone(), family);
        }
        manifest.spec.services.insert(service.clone(), spec);
        if let Some(source) = manifest.sources.remove(only) {
            manifest.sources.insert(service.clone(), source);
        }
    }
}

fn narrow(manifest: &mut Manifest, target: &TargetPath) -> Result<(), Problem> {
    if manifest.app != target.app {
        let message = format!("the manifest is of {}, not of {}", manifest.app, target.app);
        return Err(Problem::new(Code::Usage, message));
    }
    match &target.service {
        Some(service) => manifest::only(manifest, service),
        None => Ok(()),
    }
}

/// Says where it is reached, and which nodes there are.
pub async fn where_it_is(s: &mut Session, target: TargetPath) -> Outcome {
    if !s.out.for_people() {
        return Ok(Exit::DONE);
    }
    open::tell(s, Some(&target)).await;
    let status = s.client()?.status(Some(&target)).await?;
    let families: Vec<&FamilyStatus> = status.apps.iter().flat_map(|app| &app.families).collect();
    let nodes: Vec<&NodeView> = families.iter().flat_map(|family| &family.nodes).collect();
    if !nodes.is_empty() {
        s.out.table(node_table(&nodes, status.now));
    }
    Ok(Exit::DONE)
}
