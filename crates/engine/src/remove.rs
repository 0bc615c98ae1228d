//! What goes: families whose last node is gone, then their services, then applications; hosts that were emptied.

use crate::job::is_active;
use crate::order::SEEN_WITHIN_MS;
use crate::world::World;
use lace_model::event::NewEvent;
use lace_model::family::{Application, Family, Service};
use lace_model::host::Host;
use lace_model::job::Job;
use lace_model::node::NodeStatus;
use lace_model::object::revision_key;
use lace_model::revision::Revision;
use lace_model::target::Target;
use lace_model::task::NodeTask;
use lace_model::{FamilyPath, HostId, ServicePath};
use lace_store::{Batch, Expect};

impl World {
    /// Nothing of a family is left: its rows go, and the service's with the last family.
    pub(crate) fn family_done(&mut self, path: &FamilyPath, batch: &mut Batch) {
        batch.delete::<Family>(&path.to_string(), Expect::Any);
        batch.delete::<Target>(&path.to_string(), Expect::Any);
        for id in self.observed.remove(path).into_iter().flatten().map(|(id, _)| id) {
            batch.delete::<NodeStatus>(&id.to_string(), Expect::Any);
        }
        for id in self.tasks.remove(path).into_iter().flatten().map(|(id, _)| id) {
            batch.delete::<NodeTask>(&id.to_string(), Expect::Any);
        }
        self.families.remove(path);
        self.targets.remove(path);
        self.wakes.remove(path);
        self.topics_dirty.insert(path.app.clone());
        batch.event(NewEvent::new("family.deleted", path, "deleted: nothing of it is left"));
    }

    /// Services and applications that are being deleted and have nothing left.
    pub(crate) fn remove_emptied(&mut self, batch: &mut Batch) {
        let empty = |path: &ServicePath| !self.families.keys().any(|f| f.service_path() == *path);
        let services: Vec<ServicePath> =
            self.services.values().filter(|s| s.deleting && empty(&s.path)).map(|s| s.path.clone()).collect();
        for path in services {
            batch.delete::<Service>(&path.to_string(), Expect::Any);
            for number in self.revisions.remove(&path).into_iter().flatten().map(|(n, _)| n) {
                batch.delete::<Revision>(&revision_key(&path, number), Expect::Any);
            }
            self.services.remove(&path);
        }
        let apps: Vec<_> = self
            .apps
            .values()
            .filter(|a| a.deleting && !self.services.keys().any(|s| s.app == a.name))
            .filter(|a| !self.jobs.values().any(|job| job.app == a.name && is_active(job)))
            .map(|a| a.name.clone())
            .collect();
        for app in apps {
            batch.delete::<Application>(app.as_str(), Expect::Any);
            batch.secret_remove_all(&app);
            let jobs: Vec<_> = self.jobs.values().filter(|j| j.app == app).map(|j| j.id).collect();
            for id in jobs {
                batch.delete::<Job>(&id.to_string(), Expect::Any);
                self.jobs.remove(&id);
            }
            batch.event(NewEvent::new("app.deleted", &app, "deleted: nothing of it is left"));
            self.apps.remove(&app);
            self.topics_dirty.insert(app);
        }
        self.take_away(batch);
        self.remove_hosts(batch);
    }

    /// Hosts that their provider has no longer and that nobody sees: they are forgotten, and their nodes are lost.
    fn take_away(&mut self, batch: &mut Batch) {
        let silent = |id: HostId| {
            let liveness = self.liveness.get(&id).copied().unwrap_or_default();
            !liveness.connected && self.now >= liveness.last_seen.max(self.started_at) + SEEN_WITHIN_MS
        };
        let taken = self.machines.values().filter(|machine| machine.taken_at.is_some());
        let taken: Vec<_> = taken
            .filter(|m| m.is_host() && self.hosts.contains_key(&m.id) && silent(m.id))
            .map(|m| (m.id, m.name.clone(), m.provider.clone()))
            .collect();
        for (id, name, provider) in taken {
            let text = format!("removed: {provider} has its machine no longer");
            batch.delete::<Host>(&id.to_string(), Expect::Any);
            batch.event(NewEvent::new("host.removed", format!("host/{name}"), text));
            self.forget_host(id);
            self.give_back(id, batch);
        }
    }

    fn remove_hosts(&mut self, batch: &mut Batch) {
        let carries = |id| self.targets.values().any(|t| t.nodes.iter().any(|n| n.host == id));
        let done: Vec<_> = self
            .hosts
            .values()
            .filter(|h| h.removing && !carries(h.id))
            .map(|h| (h.id, h.name.clone()))
            .collect();
        for (id, name) in done {
            batch.delete::<Host>(&id.to_string(), Expect::Any);
            batch.event(NewEvent::new("host.removed", format!("host/{name}"), "removed"));
            self.hosts.remove(&id);
            self.give_back(id, batch);
        }
    }
}
