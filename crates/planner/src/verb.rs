//! What the verbs of daily work write: `scale`, `start`, `stop`, `restart`, `rollback`, `delete`, ...

use crate::apply::LiveService;
use crate::edit::{Doer, Edit};
use lace_model::family::{Application, Family};
use lace_model::release::Release;
use lace_model::target::Target;
use lace_model::{NodeId, Problem};

/// Another count. With `save`, the manifest's value (the service's spec) follows, so that it is no drift.
pub fn scale(
    live: &LiveService,
    family: &Family,
    count: u32,
    save: bool,
    doer: &Doer,
) -> Result<Edit, Problem> {
    let _ = (live, family, count, save, doer);
    Ok(Edit::default())
}

/// Start a stopped family.
pub fn start(family: &Family, doer: &Doer) -> Result<Edit, Problem> {
    let _ = (family, doer);
    Ok(Edit::default())
}

/// Stop a family; its count stays.
pub fn stop(family: &Family, doer: &Doer) -> Result<Edit, Problem> {
    let _ = (family, doer);
    Ok(Edit::default())
}

/// Replace every node, rolling.
pub fn restart(family: &Family, doer: &Doer) -> Result<Edit, Problem> {
    let _ = (family, doer);
    Ok(Edit::default())
}

/// Back to an older revision (`None`: the one that was good last).
pub fn rollback(live: &LiveService, to: Option<u64>, doer: &Doer) -> Result<Edit, Problem> {
    let _ = (live, to, doer);
    Ok(Edit::default())
}

/// Delete a whole application.
pub fn delete_application(app: &Application, services: &[LiveService], doer: &Doer) -> Edit {
    let _ = (app, services, doer);
    Edit::default()
}

/// Delete a service.
pub fn delete_service(live: &LiveService, doer: &Doer) -> Edit {
    let _ = (live, doer);
    Edit::default()
}

/// Delete a family.
pub fn delete_family(live: &LiveService, family: &Family, doer: &Doer) -> Edit {
    let _ = (live, family, doer);
    Edit::default()
}

/// Replace one node.
pub fn replace(family: &Family, target: Option<&Target>, node: NodeId, doer: &Doer) -> Result<Edit, Problem> {
    let _ = (family, target, node, doer);
    Ok(Edit::default())
}

/// Hold the rollout.
pub fn pause(family: &Family, doer: &Doer) -> Result<Edit, Problem> {
    let _ = (family, doer);
    Ok(Edit::default())
}

/// Go on with a paused or aborted rollout; a revision that failed is tried again.
pub fn resume(live: &LiveService, family: &Family, doer: &Doer) -> Result<Edit, Problem> {
    let _ = (live, family, doer);
    Ok(Edit::default())
}

/// Stop the rollout and go back.
pub fn abort(family: &Family, target: Option<&Target>, doer: &Doer) -> Result<Edit, Problem> {
    let _ = (family, target, doer);
    Ok(Edit::default())
}

/// The canary is good: roll the rest.
pub fn promote(family: &Family, doer: &Doer) -> Result<Edit, Problem> {
    let _ = (family, doer);
    Ok(Edit::default())
}

/// A secret has a new version: services that use it get a new revision, which rolls.
pub fn secret_changed(services: &[LiveService], name: &str, version: u64, doer: &Doer) -> Edit {
    let _ = (services, name, version, doer);
    Edit::default()
}

/// A service runs another release from now on.
pub fn release_activate(live: &LiveService, release: &Release, doer: &Doer) -> Result<Edit, Problem> {
    let _ = (live, release, doer);
    Ok(Edit::default())
}
