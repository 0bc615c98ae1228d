//! What hosts are told after a commit: entries of their documents and topics, only what changed.

use crate::step::Told;
use crate::world::World;
use lace_model::document::{Doors, Entry, EntryBody, EntryId, Member, Topic};
use lace_model::family::Family;
use lace_model::host::{DOOR, Host};
use lace_model::job::{Job, JobState};
use lace_model::revision::{OpenTo, Opening};
use lace_model::route::RouteTls;
use lace_model::target::{PlannedNode, Target};
use lace_model::task::TaskState;
use lace_model::{AppName, Digest, FamilyPath, Generation, HostId, JobId, NodeId, NodePath, ServicePath};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A topic with more members than this is not told at every change of a state.
const TOPIC_SMALL: usize = 64;
/// Between two statements about a large topic, in milliseconds for each 1,000 members, and at least: a family of 1,000
/// nodes that comes up changes a thousand times, and each statement is some hundred kilobytes for every host.
const TOPIC_EVERY_MS: u64 = 300;
const TOPIC_EVERY_MS_MIN: u64 = 100;

/// Changes of one host's document.
#[derive(Debug, Default)]
pub struct Delta {
    /// New or newer.
    pub upserts: Vec<Entry>,
    /// Gone.
    pub removes: Vec<(EntryId, Generation)>,
}

/// A topic as it was last told.
pub(crate) struct ToldTopic {
    pub content: Digest,
    /// Its number is the moment at which it was told, or shortly after.
    pub generation: Generation,
    pub carriers: HashSet<HostId>,
    pub members: usize,
}

impl ToldTopic {
    /// When it may be told again, if it is a large one.
    fn due(&self) -> u64 {
        let every = (self.members as u64 * TOPIC_EVERY_MS / 1_000).max(TOPIC_EVERY_MS_MIN);
        self.generation.number + every
    }
}

/// A job is in its host's document while it runs, and after that as long as its log is kept.
fn is_told(job: &Job, logs: &BTreeSet<JobId>) -> bool {
    job.state == JobState::Running || logs.contains(&job.id)
}

impl World {
    /// Everything that changed since the last call.
    pub(crate) fn tell(&mut self, families: &BTreeSet<FamilyPath>, told: &mut Told) {
        let mut deltas: HashMap<HostId, Delta> = HashMap::new();
        let mut newcomers = BTreeSet::new();
        for path in families {
            if self.tell_family(path, &mut deltas) {
                newcomers.insert(path.app.clone());
                let guests = self.let_in(path);
                self.topics_dirty.extend(guests);
            }
        }
        self.tell_jobs(&mut deltas);
        self.tell_tasks(&mut deltas);
        for app in std::mem::take(&mut self.topics_dirty) {
            if !newcomers.contains(&app) && self.topic_waits(&app) {
                self.topics_dirty.insert(app);
            } else {
                self.tell_topic(&app, told);
            }
        }
        told.documents.extend(deltas);
    }

    /// A large topic was told a moment ago: what changed since is told together. Never where nodes come, who must know
    /// their peers.
    fn topic_waits(&self, app: &AppName) -> bool {
        let large = |t: &&ToldTopic| t.members > TOPIC_SMALL && self.now < t.due();
        self.topics.get(app).filter(large).is_some()
    }

    /// When a large topic that waits may be told.
    pub(crate) fn topics_due(&self) -> Option<u64> {
        let due = |app| self.topics.get(app).map(ToldTopic::due);
        self.topics_dirty.iter().filter_map(due).min()
    }

    /// Says whether entries came or changed.
    fn tell_family(&mut self, path: &FamilyPath, deltas: &mut HashMap<HostId, Delta>) -> bool {
        let generation = self.targets.get(path).map(|target| target.generation);
        // Targets and revisions never change, they are followed by others: statuses alone change no entry.
        if generation.is_some() && self.targets_told.get(path) == generation.as_ref() {
            return false;
        }
        let mut came = false;
        let former = self.entries.remove(path).unwrap_or_default();
        let mut now = BTreeMap::new();
        if let Some(target) = self.targets.get(path) {
            let none = BTreeMap::new();
            let revisions = self.revisions.get(&path.service_path()).unwrap_or(&none);
            for (host, entry) in lace_planner::entries(target, revisions, &former) {
                if former.get(&entry.id) != Some(&entry) {
                    came = true;
                    self.told_to.insert(entry.id, host);
                    deltas.entry(host).or_default().upserts.push(entry.clone());
                }
                now.insert(entry.id, entry);
            }
        }
        for (id, entry) in former.iter().filter(|(id, _)| !now.contains_key(id)) {
            if let Some(host) = self.told_to.remove(id) {
                deltas.entry(host).or_default().removes.push((*id, entry.generation));
            }
        }
        if !now.is_empty() {
            self.entries.insert(path.clone(), now);
        }
        match generation {
            Some(generation) => self.targets_told.insert(path.clone(), generation),
            None => self.targets_told.remove(path),
        };
        came
    }

    fn tell_jobs(&mut self, deltas: &mut HashMap<HostId, Delta>) {
        let logs = self.logs_kept();
        let told: Vec<_> = self.jobs.values().filter(|j| is_told(j, &logs)).cloned().collect();
        for job in told {
            let (id, Some(host)) = (EntryId::Job(job.id), job.host) else { continue };
            let number = if job.cancel { 2 } else { 1 };
            let generation = Generation { epoch: self.epoch, number };
            if self.job_entries.get(&id) == Some(&generation) {
                continue;
            }
            self.job_entries.insert(id, generation);
            self.told_to.insert(id, host);
            let body = EntryBody::Job(Box::new(job));
            deltas.entry(host).or_default().upserts.push(Entry { id, generation, body });
        }
        let over: Vec<_> = self
            .job_entries
            .iter()
            .filter(|(id, _)| match id {
                EntryId::Job(job) => self.jobs.get(job).is_none_or(|j| !is_told(j, &logs)),
                _ => false,
            })
            .map(|(id, generation)| (*id, *generation))
            .collect();
        for (id, generation) in over {
            self.job_entries.remove(&id);
            if let Some(host) = self.told_to.remove(&id) {
                deltas.entry(host).or_default().removes.push((id, generation));
            }
        }
    }

    /// Tasks are told until their outcome is stored. What they say never changes.
    fn tell_tasks(&mut self, deltas: &mut HashMap<HostId, Delta>) {
        let generation = Generation { epoch: self.epoch, number: 1 };
        let sent: Vec<_> = self.open_tasks().filter(|t| t.state == TaskState::Sent).cloned().collect();
        for task in sent {
            let id = EntryId::Task(task.id);
            if self.task_entries.insert(id, generation).is_none() {
                self.told_to.insert(id, task.host);
                let body = EntryBody::Task(task.told());
                deltas.entry(task.host).or_default().upserts.push(Entry { id, generation, body });
            }
        }
        let over: Vec<_> = self.task_entries.keys().filter(|id| !self.is_sent(id)).copied().collect();
        for id in over {
            self.task_entries.remove(&id);
            if let Some(host) = self.told_to.remove(&id) {
                deltas.entry(host).or_default().removes.push((id, generation));
            }
        }
    }

    fn tell_topic(&mut self, app: &AppName, told: &mut Told) {
        let targets = self.targets.iter().filter(|(path, _)| path.app == *app).map(|(_, target)| target);
        let mut observed = BTreeMap::new();
        for (_, statuses) in self.observed.iter().filter(|(path, _)| path.app == *app) {
            observed.extend(statuses.iter().map(|(id, status)| (*id, status.clone())));
        }
        let former = self.topics.get(app);
        let last = former.map_or(0, |t| t.generation.number);
        // Topics are not stored: the clock carries their numbers over a restart of the controller.
        let generation = Generation { epoch: self.epoch, number: self.now.max(last + 1) };
        let mut topic = lace_planner::topic(app, targets.clone(), &observed, &self.revisions, generation);
        self.add_jobs(app, &mut topic);
        self.add_doors(app, &mut topic);
        self.add_challenges(app, &mut topic);
        let mut carriers = self.carriers(app);
        let doors = self.hosts_with_door();
        let wakes = topic.doors.values().any(|doors| doors.wakes);
        if !carriers.is_empty() {
            carriers.extend(self.also_told(app));
            self.add_certificates(app, &mut topic, |_| true);
        } else if wakes && !doors.is_empty() {
            // Nobody runs, but a request wakes somebody: doors present the certificate to it.
            carriers.extend(doors);
            self.add_certificates(app, &mut topic, |doors| doors.wakes);
        } else if self.services.values().any(|s| s.path.app == *app && !s.deleting) {
            // Doors must still say why nobody answers: every host does, and none of them gets a key for it.
            carriers.extend(self.hosts.keys());
        }
        let content = topic.content();
        if former.is_some_and(|t| t.content == content && t.carriers == carriers) {
            return;
        }
        if carriers.is_empty() && former.is_none() {
            return;
        }
        let members = topic.members.len();
        let now = ToldTopic { content, generation, carriers: carriers.clone(), members };
        self.topics.insert(app.clone(), now);
        told.topics.push((topic, carriers));
    }

    /// Hosts with nodes or jobs of an application.
    fn carriers(&self, app: &AppName) -> HashSet<HostId> {
        let targets = self.targets.iter().filter(|(path, _)| path.app == *app).map(|(_, target)| target);
        let mut carriers: HashSet<HostId> = targets.flat_map(|t| t.nodes.iter().map(|n| n.host)).collect();
        carriers.extend(self.jobs_running().filter(|j| j.app == *app).filter_map(|j| j.host));
        carriers
    }

    fn hosts_with_door(&self) -> HashSet<HostId> {
        let has_door = |host: &&Host| host.attributes.contains_key(DOOR) && !host.removing;
        self.hosts.values().filter(has_door).map(|h| h.id).collect()
    }

    /// Hosts without nodes of an application that must know it all the same: they have a door, or nodes that let it in.
    fn also_told(&self, app: &AppName) -> HashSet<HostId> {
        let mut hosts = self.hosts_with_door();
        let lets_in = |target: &Target, node: &PlannedNode| {
            self.openings(target, node).iter().any(|o| o.from == OpenTo::App(app.clone()))
        };
        for target in self.targets.values().filter(|t| t.family.app != *app) {
            hosts.extend(target.nodes.iter().filter(|node| lets_in(target, node)).map(|node| node.host));
        }
        hosts
    }

    fn openings(&self, target: &Target, node: &PlannedNode) -> &[Opening] {
        let revisions = self.revisions.get(&target.family.service_path());
        revisions.and_then(|r| r.get(&node.revision)).map(|r| r.spec.firewall.as_slice()).unwrap_or_default()
    }

    /// Applications that nodes of a family let in: where these come, the others must be known.
    fn let_in(&self, path: &FamilyPath) -> BTreeSet<AppName> {
        let target = self.targets.get(path).into_iter();
        let openings = target.flat_map(|t| t.nodes.iter().flat_map(|node| self.openings(t, node)));
        let app = |opening: &Opening| match &opening.from {
            OpenTo::App(app) => Some(app.clone()),
            _ => None,
        };
        openings.filter_map(app).collect()
    }

    /// Ways in from outside, where there is more to say than that a service has a port.
    fn add_doors(&self, app: &AppName, topic: &mut Topic) {
        for service in self.services.values().filter(|s| s.path.app == *app && !s.deleting) {
            let routes = service.spec.routes.clone().unwrap_or_default();
            let maintenance = service.spec.maintenance.clone().unwrap_or_default();
            let wakes = self.wakes_at_a_request(&service.path);
            if !routes.is_empty() || maintenance.on || wakes {
                topic.doors.insert(service.path.clone(), Doors { routes, maintenance, wakes });
            }
        }
    }

    /// Has the service a family that sleeps while nobody asks?
    fn wakes_at_a_request(&self, service: &ServicePath) -> bool {
        let sleeps = |f: &Family| f.running && !f.deleting && f.scale.is_some_and(|policy| policy.min == 0);
        self.families.values().any(|family| family.path.service_path() == *service && sleeps(family))
    }

    /// For the application's own host names only: nobody presents a certificate under a name that leads elsewhere.
    fn add_certificates(&self, app: &AppName, topic: &mut Topic, is_served: impl Fn(&Doors) -> bool) {
        let Some(app) = self.apps.get(app).filter(|app| !app.certificates.is_empty()) else { return };
        let served = topic.doors.values().filter(|doors| is_served(doors));
        let routes = served.flat_map(|doors| &doors.routes);
        let wanted = routes.filter(|route| route.listen.is_none() && route.tls != RouteTls::Off);
        let mut hosts: Vec<&String> = wanted.filter_map(|route| route.host.as_ref()).collect();
        hosts.sort_unstable();
        hosts.dedup();
        topic.certificates = lace_planner::certificates_for(&app.certificates, &hosts);
    }

    /// What its doors answer to authorities, for the application's own host names.
    fn add_challenges(&self, app: &AppName, topic: &mut Topic) {
        let Some(app) = self.apps.get(app) else { return };
        let is_own = |host: &str| {
            let mut routes = topic.doors.values().flat_map(|doors| &doors.routes);
            routes.any(|route| route.host.as_deref() == Some(host))
        };
        let challenges = app.obtaining.iter().filter_map(|o| o.challenge.clone());
        topic.challenges = challenges.filter(|challenge| is_own(&challenge.host)).collect();
    }

    /// Running jobs are members too, for the firewall; they have no name (not up).
    fn add_jobs(&self, app: &AppName, topic: &mut Topic) {
        for job in self.jobs_running().filter(|j| j.app == *app) {
            let (Some(address), Some(service)) = (job.address, &job.service) else { continue };
            let family =
                FamilyPath::new(service.app.clone(), service.service.clone(), service.service.clone());
            topic.members.push(Member {
                node: NodeId(job.id.0),
                path: NodePath { family, index: 0 },
                address,
                up: false,
                ready: false,
                openings: Vec::new(),
                revision: 0,
                mesh: 0,
                joined: false,
            });
        }
    }
}
