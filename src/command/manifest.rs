//! From a manifest on disk to a request: read, all mistakes at once, build, upload, fill in.

use super::{Session, build, conpaas, upload};
use clap::Args;
use lace_model::application::ApplyRequest;
use lace_model::manifest::{self, Manifest, Mistake, Options};
use lace_model::release::ReleaseRef;
use lace_model::{Code, Problem, ServiceName};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What plan and apply let a person say about the manifest.
#[derive(Args, Debug, Clone, Default)]
pub struct ManifestArgs {
    /// Which stage of the manifest
    #[arg(long, value_name = "STAGE")]
    pub stage: Option<String>,
    /// A variable of the manifest
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    pub vars: Vec<(String, String)>,
    /// Delete services that the manifest does not name
    #[arg(long)]
    pub prune: bool,
    /// Delete the volumes of deleted services, too
    #[arg(long)]
    pub delete_data: bool,
    /// The file is another program's manifest
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["stage", "vars"])]
    pub from: Option<Foreign>,
}

/// Whose manifests are read besides ours.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// JSON of ConPaaS
    Conpaas,
}

/// `NAME=VALUE`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} is not NAME=VALUE")),
    }
}

impl ManifestArgs {
    fn options(&self) -> Options {
        let vars: BTreeMap<String, String> = self.vars.iter().cloned().collect();
        Options { stage: self.stage.clone(), vars }
    }

    /// The request that a complete manifest makes.
    pub fn request(&self, manifest: Manifest) -> ApplyRequest {
        ApplyRequest {
            app: manifest.app,
            spec: manifest.spec,
            prune: self.prune,
            delete_data: self.delete_data,
            plan: None,
        }
    }
}

/// A manifest and the directory that its paths count from.
pub struct Located {
    /// What it says.
    pub manifest: Manifest,
    /// Its directory.
    pub dir: PathBuf,
    /// Its file.
    pub file: PathBuf,
    /// Services that shall be there and not run.
    pub rests: Vec<ServiceName>,
    /// What was fetched for it; gone when dropped.
    pub scratch: Option<TempDir>,
}

/// Reads a manifest of ours or of another program, and uploads what it makes.
///
/// # Errors
/// As of [`read`] and [`bring_releases`].
pub async fn bring(s: &mut Session, path: &Path, args: &ManifestArgs) -> Result<Located, Problem> {
    let mut located = match args.from {
        None => read(s, path, args)?,
        Some(Foreign::Conpaas) => conpaas::read(s, path, args).await?,
    };
    bring_releases(s, &mut located).await?;
    Ok(located)
}

/// Reads a manifest.
///
/// # Errors
/// [`Code::InvalidManifest`] with every mistake and its line.
pub fn read(s: &Session, path: &Path, args: &ManifestArgs) -> Result<Located, Problem> {
    // A directory means the manifest in it.
    let inside = path.join("lace.toml");
    let path = if s.at(path).is_dir() { inside.as_path() } else { path };
    let text = s.read_text(path).map_err(|problem| {
        let problem = Problem { code: Code::Usage, ..problem };
        problem.hint("lace init writes one; name another file: lace apply FILE")
    })?;
    let dir = s.at(path).parent().map_or_else(|| s.at("."), Path::to_path_buf);
    understand(&text, dir, path, args)
}

/// The same for a text that comes from elsewhere.
pub fn understand(text: &str, dir: PathBuf, path: &Path, args: &ManifestArgs) -> Result<Located, Problem> {
    let parsed = manifest::parse(text, &args.options());
    let mut manifest = parsed.map_err(|mistakes| named(path, &mistakes))?;
    let mut mistakes = not_yet(&manifest);
    mistakes.extend(fill_files(&mut manifest, &dir));
    let file = dir.join(path.file_name().unwrap_or_default());
    let located = Located { manifest, dir, file, rests: Vec::new(), scratch: None };
    if mistakes.is_empty() { Ok(located) } else { Err(named(path, &mistakes)) }
}

fn named(path: &Path, mistakes: &[Mistake]) -> Problem {
    let mut problem = manifest::problem(mistakes);
    problem.message = format!("{}: {}", path.display(), problem.message);
    problem.hint.get_or_insert_with(|| "lace schema describes every key".into());
    problem
}

fn not_yet(manifest: &Manifest) -> Vec<Mistake> {
    let mistake = |later: &manifest::Later| Mistake {
        place: manifest::Place { line: later.line, column: 1 },
        key: later.key.clone(),
        message: "not yet supported".into(),
        hint: Some("leave it out for now".into()),
    };
    manifest.later.iter().map(mistake).collect()
}

fn fill_files(manifest: &mut Manifest, dir: &Path) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    for file in manifest.files.clone() {
        let filled = match std::fs::read_to_string(dir.join(&file.from)) {
            Ok(content) => manifest.set_file(&file, &content),
            Err(e) => Err(Mistake {
                place: file.place,
                key: format!("service.{}.files", file.service),
                message: format!("cannot read {}: {e}", file.from),
                hint: None,
            }),
        };
        mistakes.extend(filled.err());
    }
    mistakes
}

/// Builds and uploads what the manifest makes from this machine's files, and names it in the manifest.
///
/// # Errors
/// First of all, what does not fit the packages of its services, with every line.
pub async fn bring_releases(s: &mut Session, located: &mut Located) -> Result<(), Problem> {
    compare_packages(s, located).await?;
    for (service, source) in located.manifest.sources.clone() {
        let path = build::run(s, &located.dir, &source).await?;
        let packaged = located.manifest.packages.iter().any(|said| said.service == service);
        let wish = upload::Wish { packaged, ..upload::Wish::of(&service, &source, &located.file) };
        let release = upload::upload(s, &path, wish).await?;
        let reference = ReleaseRef { name: release.name, version: Some(release.version) };
        located.manifest.set_release(&service, reference);
    }
    Ok(())
}

/// Settings and families against the packages that the controller has.
async fn compare_packages(s: &mut Session, located: &Located) -> Result<(), Problem> {
    let mut mistakes = Vec::new();
    for said in &located.manifest.packages {
        let client = s.client()?;
        match client.package(&said.package.to_string()).await {
            Ok(package) => mistakes.extend(said.mistakes(&package.spec)),
            Err(problem) if problem.code == Code::NotFound => {
                let known = client.packages().await?;
                let names = known.iter().map(|package| package.spec.name.as_str());
                mistakes.push(Mistake {
                    place: said.place,
                    key: format!("service.{}.package", said.service),
                    message: format!("there is no package {}", said.package),
                    hint: Some(manifest::nearest(said.package.name.as_str(), names)),
                });
            }
            Err(problem) => return Err(problem),
        }
    }
    if mistakes.is_empty() { Ok(()) } else { Err(named(&located.file, &mistakes)) }
}

/// Leaves only one service in the manifest.
pub fn only(manifest: &mut Manifest, service: &ServiceName) -> Result<(), Problem> {
    if !manifest.spec.services.contains_key(service) {
        let known: Vec<String> = manifest.spec.services.keys().map(ToString::to_string).collect();
        return Err(Problem::not_found(format_args!("service {service} in the manifest"))
            .hint(format!("it has: {}", known.join(", "))));
    }
    manifest.spec.services.retain(|name, _| name == service);
    manifest.sources.retain(|name, _| name == service);
    manifest.packages.retain(|said| said.service == *service);
    Ok(())
}
