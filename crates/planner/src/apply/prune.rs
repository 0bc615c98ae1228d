//! `--prune`: what the file does not name goes.

use super::service::nodes_of;
use super::{LiveService, Work};
use crate::edit::goal_gone;
use lace_model::ServiceName;
use lace_model::change::{Action, Change};
use lace_model::family::{Family, Service};

/// Marks services that the file does not name, and families of services whose families it lists, for deletion.
pub(super) fn prune(work: &mut Work) {
    for (name, live) in &work.live.services {
        if live.service.deleting {
            continue;
        }
        match work.request.spec.services.get(name) {
            None => service(work, name, live),
            Some(says) if !says.families.is_empty() => {
                let extra = live.families.values().filter(|f| !says.families.contains_key(&f.path.family));
                for family in extra.filter(|f| !f.deleting) {
                    let field = format!("family.{}", family.path.family);
                    tell(work, name, field, running(family), 0);
                    delete_family(work, family);
                    forget_in_spec(work, name, family);
                }
            }
            Some(_) => {}
        }
    }
}

fn service(work: &mut Work, name: &ServiceName, live: &LiveService) {
    let nodes = live.families.values().map(running).sum();
    let volumes = live.wanted().map_or(0, |r| r.spec.volumes.len());
    tell(work, name, String::new(), nodes, volumes);
    work.edit.services.push(Service { deleting: true, ..live.service.clone() });
    for family in live.families.values() {
        delete_family(work, family);
    }
}

fn running(family: &Family) -> u32 {
    if family.running { family.count } else { 0 }
}

fn delete_family(work: &mut Work, family: &Family) {
    work.edit.families.retain(|f| f.path != family.path);
    work.edit.goals.retain(|g| g.family != family.path);
    work.edit.families.push(Family { deleting: true, ..family.clone() });
    work.edit.goals.push(goal_gone(&family.path));
}

fn forget_in_spec(work: &mut Work, name: &ServiceName, family: &Family) {
    let live = &work.live.services[name].service;
    let at = work.edit.services.iter().position(|s| s.path == live.path);
    let at = at.unwrap_or_else(|| {
        work.edit.services.push(live.clone());
        work.edit.services.len() - 1
    });
    work.edit.services[at].spec.families.remove(&family.path.family);
}

fn tell(work: &mut Work, service: &ServiceName, field: String, nodes: u32, volumes: usize) {
    let kept = if work.request.delete_data { "deletes" } else { "keeps" };
    let data = match volumes {
        0 => String::new(),
        1 => format!(", {kept} 1 volume"),
        more => format!(", {kept} {more} volumes"),
    };
    work.changes.push(Change {
        service: Some(service.clone()),
        action: Action::Delete,
        field,
        from: None,
        to: None,
        effect: Some(format!("stops {}{data}", nodes_of(nodes))),
    });
}
