//! `--from conpaas`: a JSON manifest of ConPaaS, read as it is, with what it names by address.

mod file;
mod kinds;
mod manifest;

use super::manifest::{Located, ManifestArgs, understand};
use super::session::cannot_read;
use super::{Exit, Outcome, Session, apply, source, watch};
use file::Said;
use lace_model::application::ApplyRequest;
use lace_model::release::TREE_BYTES_MAX;
use lace_model::{Code, Name, Problem, ServiceName, TargetPath};
use lace_wire::api::VerbRequest;
use std::path::Path;
use tempfile::TempDir;

/// The setting of package generic that a startup script becomes, and its longest value in bytes.
const STARTUP: (&str, u64) = ("startup", 30_000);

/// Reads a file and fetches what it names.
///
/// # Errors
/// [`Code::InvalidManifest`] with every mistake and its path, before anything is fetched; an address that does not answer.
pub async fn read(s: &mut Session, path: &Path, args: &ManifestArgs) -> Result<Located, Problem> {
    let text = s.read_text(path)?;
    let file = file::read(&text).map_err(|wrong| mistaken(path, wrong))?;
    let unnamed = path.file_stem().unwrap_or_default().to_string_lossy();
    let converted = manifest::of(file, &unnamed);
    converted.notes.iter().for_each(|note| s.out.note(note));
    let scratch = source::scratch()?;
    let mut located = understand(&converted.text, scratch.path().to_owned(), path, args)?;
    for (name, said) in &converted.services {
        fetch(s, &scratch, &mut located, (name, said)).await?;
    }
    let rests = converted.services.iter().filter(|(_, said)| !said.starts);
    located.rests = rests.map(|(name, _)| name.clone()).collect();
    located.scratch = Some(scratch);
    Ok(located)
}

fn mistaken(path: &Path, wrong: Vec<String>) -> Problem {
    let message = match wrong.len() {
        1 => format!("{}: 1 mistake", path.display()),
        n => format!("{}: {n} mistakes", path.display()),
    };
    let hint = "nothing was changed; take such services out, or write a package: lace package new NAME";
    let is_of_type = wrong.iter().any(|text| text.contains("there is no package for"));
    let hint = if is_of_type { hint } else { "nothing was changed; mend the file and try again" };
    Problem::new(Code::InvalidManifest, message).details(wrong).hint(hint)
}

async fn fetch(
    s: &mut Session,
    scratch: &TempDir,
    located: &mut Located,
    (name, said): (&ServiceName, &Said),
) -> Result<(), Problem> {
    if let Some(address) = &said.archive {
        let to = scratch.path().join(manifest::code_path(name));
        source::download_to(s, address, &to, TREE_BYTES_MAX).await?;
    }
    if let Some(address) = &said.startup {
        let script = startup(s, scratch, address).await?;
        let spec = located.manifest.spec.services.get_mut(name);
        spec.into_iter().for_each(|spec| {
            spec.settings.get_or_insert_default().insert(STARTUP.0.into(), script.clone());
        });
    }
    Ok(())
}

async fn startup(s: &mut Session, scratch: &TempDir, address: &str) -> Result<String, Problem> {
    let to = scratch.path().join("startup.sh");
    source::download_to(s, address, &to, STARTUP.1).await?;
    let bytes = std::fs::read(&to).map_err(|e| cannot_read(&to, &e))?;
    String::from_utf8(bytes)
        .map_err(|_| Problem::new(Code::Usage, format!("the script at {address} is no text (UTF-8)")))
}

/// Applies. What shall not run (`"Start": 0`) comes first and is stopped at once, where it was not there before: who started it
/// later wants it.
pub async fn submit(s: &mut Session, request: ApplyRequest, rests: Vec<ServiceName>) -> Outcome {
    let there = there(s, &request.app).await?;
    let mut first = ApplyRequest { prune: false, delete_data: false, ..request.clone() };
    first.spec.services.retain(|name, _| rests.contains(name) && !there.contains(name));
    let (app, made): (_, Vec<_>) = (first.app.clone(), first.spec.services.keys().cloned().collect());
    if !made.is_empty() {
        s.client()?.apply(&first).await?;
    }
    let mut stopped = Vec::new();
    for service in &made {
        let target =
            TargetPath { app: app.clone(), service: Some(service.clone()), family: None, index: None };
        stopped.push(s.client()?.verb(&VerbRequest::Stop { target }).await?);
    }
    for (service, stopped) in made.iter().zip(stopped) {
        watch::accepted(s, stopped).await?;
        s.out.note(format!("Start is 0: {app}/{service} does not run; lace start {app}/{service}"));
    }
    let all_rest = made.len() == request.spec.services.len();
    if all_rest { Ok(Exit::DONE) } else { apply::submit(s, request).await }
}

/// The services of an application that are there already.
async fn there(s: &mut Session, app: &Name) -> Result<Vec<ServiceName>, Problem> {
    match s.client()?.export(app).await {
        Ok(spec) => Ok(spec.services.into_keys().collect()),
        Err(problem) if problem.code == Code::NotFound => Ok(Vec::new()),
        Err(problem) => Err(problem),
    }
}
