//! What applying reads, and what comes out of it.

use crate::edit::Edit;
use lace_model::change::Plan;
use lace_model::family::{Application, Family, Service};
use lace_model::host::Capacity;
use lace_model::package::{PackageRef, StoredPackage};
use lace_model::release::{Release, ReleaseRef};
use lace_model::revision::Revision;
use lace_model::{FamilyName, Millis, Name, ServiceName, ServicePath};
use std::collections::{BTreeMap, BTreeSet};

/// An application as it is stored now.
#[derive(Clone, Debug, Default)]
pub struct LiveApplication {
    /// The application, if it exists.
    pub app: Option<Application>,
    /// Its services.
    pub services: BTreeMap<ServiceName, LiveService>,
    /// Releases by name and version: at least those that the request names (all versions where it names none).
    pub releases: BTreeMap<(Name, String), Release>,
    /// Packages: at least all versions of those that the request names, and of those that its services have.
    pub packages: Vec<StoredPackage>,
    /// Newest versions of the application's secrets by name.
    pub secrets: BTreeMap<String, u64>,
}

/// A service as it is stored now.
#[derive(Clone, Debug)]
pub struct LiveService {
    /// The service.
    pub service: Service,
    /// Its families.
    pub families: BTreeMap<FamilyName, Family>,
    /// Its revisions: at least the wanted one.
    pub revisions: BTreeMap<u64, Revision>,
}

impl LiveService {
    /// The wanted revision.
    pub fn wanted(&self) -> Option<&Revision> {
        self.revisions.get(&self.service.revision)
    }
}

impl LiveApplication {
    /// The release that a reference means: the version it says, or the newest uploaded.
    pub fn release(&self, wanted: &ReleaseRef) -> Option<&Release> {
        match &wanted.version {
            Some(version) => self.releases.get(&(wanted.name.clone(), version.clone())),
            None => self
                .releases
                .values()
                .filter(|r| r.name == wanted.name && r.pushed.is_none())
                .max_by(|a, b| (a.uploaded_at, &a.version).cmp(&(b.uploaded_at, &b.version))),
        }
    }
}

impl LiveApplication {
    /// The package that a reference means: the version it says, or the one that came last.
    pub fn package(&self, wanted: &PackageRef) -> Option<&StoredPackage> {
        let named = self.packages.iter().filter(|package| package.spec.name == wanted.name);
        let meant =
            named.filter(|p| wanted.version.as_ref().is_none_or(|version| *version == p.spec.version));
        meant.max_by(|a, b| (a.uploaded_at, &a.spec.version).cmp(&(b.uploaded_at, &b.spec.version)))
    }
}

/// The circumstances of an application of a manifest.
#[derive(Clone, Debug, Default)]
pub struct ApplyFacts {
    /// When.
    pub now: Millis,
    /// Who.
    pub actor: String,
    /// The installation's planning seed.
    pub seed: [u8; 32],
    /// What each host can carry in all; where there is none yet, no demand is refused.
    pub hosts: Vec<Capacity>,
    /// What there is to choose hosts by; where it was not read, what families say of it is not checked.
    pub choice: Option<Choice>,
    /// May the caller have nodes on the host's own network and files?
    pub may_isolate: bool,
    /// Ways in that services of other applications have, and whose they are.
    pub doors: BTreeMap<String, ServicePath>,
}

/// What families may choose hosts by.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Pools that there are.
    pub pools: BTreeSet<Name>,
    /// What is known of some host or pool, by name: what `where` may ask for.
    pub attributes: BTreeSet<String>,
}

/// What a manifest changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyOutcome {
    /// The lines for people, and the digest that pins them.
    pub plan: Plan,
    /// The objects to write.
    pub edit: Edit,
    /// Secrets to be made (sealed, generated) in the same commit, each with version 1.
    pub generate_secrets: Vec<String>,
}
