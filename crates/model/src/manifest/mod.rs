//! The manifest `lace.toml`: from text to what `apply` asks for, and back.
//!
//! The way: [`text`] (TOML or JSON to a tree with places), [`vars`] (stage and variables), [`shape`] (every mistake
//! against the tables in [`keys`]), [`service`] (into the model), [`whole`] (rules between services). This room reads no
//! files: what a manifest points at is listed in [`Manifest::files`] and [`Manifest::sources`], and the caller fills it in.

mod export;
pub(crate) mod format;
mod json;
mod keys;
pub(crate) mod mistake;
mod package;
pub(crate) mod schema;
mod service;
pub(crate) mod shape;
pub(crate) mod template;
pub(crate) mod text;
pub(crate) mod tree;
mod vars;
pub(crate) mod whole;

pub use export::to_toml;
pub use mistake::{MISTAKES_MAX, Mistake, Place, nearest, problem};
pub use package::PackageSaid;
pub use schema::{reference, schema};

use crate::application::{ApplicationSpec, ServiceSpec};
use crate::release::{ReleaseKind, ReleaseRef};
use crate::revision::FileSpec;
use crate::{AppName, FamilyName, Name, ServiceName};
use mistake::Mistakes;
use std::collections::BTreeMap;

/// Largest manifest, in bytes: about 10,000 services, and little enough to be read at once everywhere.
pub const MANIFEST_BYTES_MAX: usize = 1 << 20;
/// Largest content of a file that a manifest names, in bytes (it travels inside revisions).
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// Most nodes of one family.
pub const COUNT_MAX: u32 = 10_000;

/// What the person says beside the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--stage`.
    pub stage: Option<String>,
    /// `--var NAME=VALUE`.
    pub vars: BTreeMap<String, String>,
}

/// A manifest without mistakes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The application's name.
    pub app: AppName,
    /// What it shall be. Releases from [`Manifest::sources`] and contents of [`Manifest::files`] are missing until
    /// [`Manifest::set_release`] and [`Manifest::set_file`] put them in.
    pub spec: ApplicationSpec,
    /// What has to be built and uploaded first, by service.
    pub sources: BTreeMap<ServiceName, ReleaseSource>,
    /// What has to be read first.
    pub files: Vec<FileRef>,
    /// What services say of their packages, which the caller looks up and compares.
    pub packages: Vec<PackageSaid>,
    /// The budget (one of [`Manifest::later`] too).
    pub budget: Option<Budget>,
    /// Keys of features that are not built yet: the caller refuses them.
    pub later: Vec<Later>,
    /// The variables with the values that they have here.
    pub vars: BTreeMap<String, String>,
}

/// A release that is made from files of the person's machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleaseSource {
    /// A directory or an archive, relative to the manifest's directory.
    pub path: String,
    /// Commands that make it, run in `path` one after the other.
    pub build: Vec<Vec<String>>,
    /// Where they put it, relative to `path`; `path` itself where none is said.
    pub output: Option<String>,
    /// Name of the release, where it is not the service's.
    pub name: Option<Name>,
    /// Version, where the release's own is not to be used.
    pub version: Option<String>,
    /// Sort, where it is not to be recognised.
    pub kind: Option<ReleaseKind>,
    /// Start command, where it is not the kind's.
    pub start: Option<Vec<String>>,
    /// Stop command.
    pub stop: Option<Vec<String>>,
    /// Files of it that are templates.
    pub templates: Vec<String>,
}

/// A file whose content the manifest's reader has to bring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRef {
    /// The service.
    pub service: ServiceName,
    /// Where it goes in the node.
    pub at: String,
    /// Where its content is, relative to the manifest's directory.
    pub from: String,
    /// Permission bits.
    pub mode: u32,
    /// Written without rendering; variables of the manifest stay as they are too.
    pub verbatim: bool,
    /// Where the manifest says so.
    pub place: Place,
}

/// A budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Millionths of a credit a month.
    pub monthly_micro: u64,
    /// `refuse`, `degrade` or `stop-and-keep`.
    pub at_limit: String,
}

/// A key that is understood, and whose feature is not there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Later {
    /// The service, or `None` for the application.
    pub service: Option<ServiceName>,
    /// The family, where the key is a family's.
    pub family: Option<FamilyName>,
    /// The key.
    pub key: String,
    /// Its line, from 1.
    pub line: u32,
}

impl std::fmt::Display for Later {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: not yet supported: {}", self.line, self.key)?;
        if let Some(service) = &self.service {
            write!(f, " of service {service}")?;
        }
        self.family.as_ref().map_or(Ok(()), |family| write!(f, ", family {family}"))
    }
}

/// Reads a manifest.
///
/// # Errors
/// All mistakes of the file in its order, at most [`MISTAKES_MAX`]; a text that is not TOML or JSON has only those
/// mistakes.
pub fn parse(text: &str, options: &Options) -> Result<Manifest, Vec<Mistake>> {
    let mut mistakes = Mistakes::default();
    let manifest = text::read(text, &mut mistakes).and_then(|tree| understand(tree, options, &mut mistakes));
    match (manifest, mistakes.into_sorted()) {
        (Some(manifest), none) if none.is_empty() => Ok(manifest),
        (_, mistakes) => Err(mistakes),
    }
}

fn understand(mut tree: tree::Node, options: &Options, mistakes: &mut Mistakes) -> Option<Manifest> {
    let vars = vars::values(&tree, options, mistakes);
    vars::choose_stage(&mut tree, options.stage.as_deref(), mistakes);
    vars::fill(&mut tree, &vars, mistakes);
    shape::check(&tree, &keys::ROOT, "", mistakes);
    let mut manifest = Manifest {
        app: tree.get("application")?.parsed_of("name")?,
        spec: ApplicationSpec::default(),
        sources: BTreeMap::new(),
        files: Vec::new(),
        packages: Vec::new(),
        budget: service::budget(&tree),
        later: service::later(&tree),
        vars: vars.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
    };
    for (key, node) in tree.each("service") {
        let Ok(name) = Name::new(key.name.clone()) else {
            continue;
        };
        let spec = service::service(&name, node, &mut manifest, mistakes);
        manifest.spec.services.insert(name, spec);
    }
    whole::check(&tree, mistakes);
    Some(manifest)
}

impl Manifest {
    /// Names the uploaded release that a service's source has become.
    pub fn set_release(&mut self, service: &ServiceName, release: ReleaseRef) {
        if let Some(spec) = self.spec.services.get_mut(service) {
            spec.release = Some(release);
        }
    }

    /// Puts a file's content in. `{{vars.NAME}}` in it is replaced, unless the file is verbatim.
    ///
    /// # Errors
    /// Content above [`FILE_BYTES_MAX`]; a variable that the manifest does not have; a word that templates do not know.
    pub fn set_file(&mut self, file: &FileRef, content: &str) -> Result<(), Mistake> {
        let wrong = |message: String| Mistake {
            place: file.place,
            key: format!("service.{}.files.{:?}", file.service, file.at),
            message,
            hint: None,
        };
        if content.len() > FILE_BYTES_MAX {
            let bytes = content.len();
            return Err(wrong(format!(
                "{} has {bytes} bytes; at most {FILE_BYTES_MAX} are allowed",
                file.from
            )));
        }
        let mut unknown = None;
        let filled = vars::substitute(content, |name| {
            let value = self.vars.get(name).cloned();
            if value.is_none() {
                unknown = Some(name.to_owned());
            }
            value
        });
        if let Some(name) = unknown.filter(|_| !file.verbatim) {
            return Err(wrong(format!("{} uses the variable {name:?}, which has no value", file.from)));
        }
        let content = if file.verbatim { content.to_owned() } else { filled };
        if let Some((message, hint)) = template::fault(&content).filter(|_| !file.verbatim) {
            return Err(Mistake { hint: Some(hint), ..wrong(format!("{}: {message}", file.from)) });
        }
        let spec = FileSpec { content, mode: file.mode, verbatim: file.verbatim };
        let service: Option<&mut ServiceSpec> = self.spec.services.get_mut(&file.service);
        if let Some(service) = service {
            service.files.get_or_insert_default().insert(file.at.clone(), spec);
        }
        Ok(())
    }
}
