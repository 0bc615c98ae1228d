//! What a decision was read from: the commit that follows holds only if all of it is still so.

use lace_model::Object;
use lace_model::family::{Application, Family, Service};
use lace_model::object::revision_key;
use lace_model::package::StoredPackage;
use lace_model::release::Release;
use lace_model::revision::Revision;
use lace_model::{Name, ServicePath};
use lace_planner::{LiveApplication, LiveService};
use lace_store::{Batch, Expect, Result, Rev, Row, View};
use std::collections::{BTreeMap, BTreeSet};

/// Rows by kind and key, with the revision that was read (none: there was no such row).
#[derive(Clone, Debug, Default)]
pub(crate) struct Reads(BTreeMap<(&'static str, String), Option<Rev>>);

impl Reads {
    /// Notes a row, gives its value.
    pub fn saw<T: Object>(&mut self, row: Row<T>) -> T {
        self.0.insert((T::KIND, row.value.key()), Some(row.rev));
        row.value
    }

    /// Reads and notes a row, or that there is none.
    pub fn get<T: Object>(&mut self, view: &View<'_>, key: &str) -> Result<Option<T>> {
        let row = view.get::<T>(key)?;
        self.0.insert((T::KIND, key.into()), row.as_ref().map(|r| r.rev));
        Ok(row.map(|r| r.value))
    }

    /// Reads and notes rows.
    pub fn list<T: Object>(&mut self, view: &View<'_>, prefix: &str) -> Result<Vec<T>> {
        Ok(view.list::<T>(prefix)?.into_iter().map(|row| self.saw(row)).collect())
    }

    /// What the row must be when the object is written.
    pub fn expect<T: Object>(&self, value: &T) -> Expect {
        let read = self.0.get(&(T::KIND, value.key())).copied().flatten();
        read.map_or(Expect::Absent, Expect::Rev)
    }

    /// Makes the batch hold only if everything else that was read is still so.
    pub fn require(&self, batch: &mut Batch, written: &BTreeSet<(&'static str, String)>) {
        for (id, rev) in self.0.iter().filter(|(id, _)| !written.contains(*id)) {
            batch.require(id.0, &id.1, rev.map_or(Expect::Absent, Expect::Rev));
        }
    }
}

/// How many revisions of each service are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The wanted one.
    Wanted,
    /// All.
    All,
}

/// An application as the planner wants it, its releases and secrets aside.
pub(crate) fn live(view: &View<'_>, app: &Name, depth: Depth, reads: &mut Reads) -> Result<LiveApplication> {
    let below = format!("{app}/");
    let mut live =
        LiveApplication { app: reads.get::<Application>(view, app.as_str())?, ..Default::default() };
    for service in reads.list::<Service>(view, &below)? {
        let revisions = revisions(view, &service, depth, reads)?;
        let name = service.path.service.clone();
        live.services.insert(name, LiveService { service, families: BTreeMap::new(), revisions });
    }
    for family in reads.list::<Family>(view, &below)? {
        if let Some(service) = live.services.get_mut(&family.path.service) {
            service.families.insert(family.path.family.clone(), family);
        }
    }
    Ok(live)
}

fn revisions(
    view: &View<'_>,
    service: &Service,
    depth: Depth,
    reads: &mut Reads,
) -> Result<BTreeMap<u64, Revision>> {
    let found = match depth {
        Depth::All => reads.list::<Revision>(view, &format!("{}#", service.path))?,
        Depth::Wanted => {
            let key = revision_key(&service.path, service.revision);
            reads.get::<Revision>(view, &key)?.into_iter().collect()
        }
    };
    Ok(found.into_iter().map(|r| (r.number, r)).collect())
}

/// All versions of the named releases.
pub(crate) fn releases(view: &View<'_>, names: &BTreeSet<Name>) -> Result<BTreeMap<(Name, String), Release>> {
    let mut found = BTreeMap::new();
    for name in names {
        for row in view.list::<Release>(&format!("{name}@"))? {
            found.insert((row.value.name.clone(), row.value.version.clone()), row.value);
        }
    }
    Ok(found)
}

/// All versions of the named packages: none goes while somebody takes it.
pub(crate) fn packages(
    view: &View<'_>,
    names: &BTreeSet<Name>,
    reads: &mut Reads,
) -> Result<Vec<StoredPackage>> {
    let mut found = Vec::new();
    for name in names {
        found.extend(reads.list::<StoredPackage>(view, &format!("{name}@"))?);
    }
    Ok(found)
}

/// A revision of a service.
pub(crate) fn revision(view: &View<'_>, service: &ServicePath, number: u64) -> Result<Option<Revision>> {
    Ok(view.get::<Revision>(&revision_key(service, number))?.map(|r| r.value))
}
