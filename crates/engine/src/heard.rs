//! What hosts say, as the engine takes it; and what of it is written.

use crate::world::World;
use lace_model::document::TaskOutcome;
use lace_model::event::NewEvent;
use lace_model::host::{Capacity, Host, Underlay};
use lace_model::node::{NodeAlarm, NodePhase, NodeStatus};
use lace_model::target::{PlannedNode, Target, Want};
use lace_model::{HostId, JobId, Millis, NodeId, TaskId};
use lace_store::{Batch, Expect};
use std::collections::{BTreeMap, HashSet};

/// What hosts say.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A session began.
    Connected {
        /// Which host.
        host: HostId,
        /// What it can carry.
        capacity: Capacity,
        /// Its attributes.
        attributes: BTreeMap<String, String>,
        /// Its agent's version.
        agent_version: String,
        /// Where it is among other hosts.
        underlay: Option<Underlay>,
        /// The nodes that its agent has in hand, whether it looked at them already or not.
        held: HashSet<NodeId>,
        /// What is known of them so far.
        nodes: Vec<NodeStatus>,
    },
    /// Something moved on.
    Report {
        /// Which host.
        host: HostId,
        /// Nodes.
        nodes: Vec<NodeStatus>,
        /// Jobs.
        jobs: Vec<JobNews>,
        /// Tasks.
        tasks: Vec<(TaskId, TaskOutcome)>,
    },
    /// A host does not answer any more.
    Lost {
        /// Which host.
        host: HostId,
    },
}

/// How a job moves on.
#[derive(Clone, Debug)]
pub struct JobNews {
    /// Which.
    pub job: JobId,
    /// When its process started.
    pub started_at: Option<Millis>,
    /// How it ended.
    pub ended: Option<JobEnded>,
}

/// The end of a job.
#[derive(Clone, Debug)]
pub struct JobEnded {
    /// When.
    pub at: Millis,
    /// Exit status.
    pub exit: Option<i32>,
    /// What went wrong.
    pub detail: Option<String>,
    /// Last lines.
    pub last_lines: Vec<String>,
}

impl World {
    /// Takes in what a host says: changed statuses go into the batch, families that it touches become dirty.
    pub(crate) fn hear(&mut self, heard: Heard, batch: &mut Batch) {
        match heard {
            Heard::Connected { host, capacity, attributes, agent_version, underlay, held, nodes } => {
                self.host_connected(host, (capacity, attributes, agent_version, underlay), batch);
                self.statuses_all(host, held, nodes, batch);
                self.host_changed(host);
            }
            Heard::Report { host, nodes, jobs, tasks } => {
                self.task_news(host, tasks, batch);
                self.statuses(host, nodes, batch);
                jobs.into_iter().for_each(|news| self.job_news(host, news, batch));
            }
            Heard::Lost { host } => {
                if let Some(known) = self.hosts.get(&host) {
                    let subject = format!("host/{}", known.name);
                    batch.event(NewEvent::new(
                        "host.away",
                        subject,
                        "the host does not answer; its nodes go on",
                    ));
                }
                self.host_changed(host);
            }
        }
    }

    fn host_connected(
        &mut self,
        host: HostId,
        facts: (Capacity, BTreeMap<String, String>, String, Option<Underlay>),
        batch: &mut Batch,
    ) {
        let Some(known) = self.hosts.get_mut(&host) else { return };
        let subject = format!("host/{}", known.name);
        batch.event(NewEvent::new("host.connected", subject, "the host's agent has a session"));
        let (capacity, attributes, agent_version, mut underlay) = facts;
        if let Some(underlay) = &mut underlay {
            underlay.within = self.machines.get(&host).and_then(|machine| machine.network.clone());
        }
        let said = Host { capacity, attributes, agent_version, underlay, ..known.clone() };
        if *known != said {
            *known = said;
            batch.put(&*known, Expect::Any);
        }
    }

    /// A fresh session names all nodes: those that we believed there and that are not, are gone. What is named without
    /// a status was not looked at yet by an agent that has just started: what we believed of it still holds.
    fn statuses_all(
        &mut self,
        host: HostId,
        held: HashSet<NodeId>,
        nodes: Vec<NodeStatus>,
        batch: &mut Batch,
    ) {
        let mut told = held;
        told.extend(nodes.iter().map(|n| n.id));
        let missing: Vec<_> = self
            .observed
            .values()
            .flat_map(BTreeMap::values)
            .filter(|s| s.host == host && s.phase != NodePhase::Gone && !told.contains(&s.id))
            .cloned()
            .collect();
        for mut status in missing {
            status.phase = NodePhase::Gone;
            status.ready = false;
            status.since = self.now;
            status.detail = Some("its host has no such node any more".into());
            self.status(status, batch);
        }
        for status in self.never_there(host, &told) {
            self.status(status, batch);
        }
        self.statuses(host, nodes, batch);
    }

    /// Nodes that shall go from a host and that it never took: told to an agent that ended before it wrote them down.
    fn never_there(&self, host: HostId, told: &HashSet<NodeId>) -> Vec<NodeStatus> {
        let going = |target: &Target| {
            let here = |n: &&PlannedNode| n.host == host && n.want == Want::Gone && !told.contains(&n.id);
            let statuses = target.nodes.iter().filter(here).map(|n| NodeStatus {
                id: n.id,
                path: target.family.node(n.index),
                revision: n.revision,
                host,
                address: n.address,
                generation: target.generation,
                phase: NodePhase::Gone,
                ready: false,
                since: self.now,
                started_at: None,
                restarts: 0,
                exit: None,
                detail: Some("its host never had it".into()),
                alarms: Vec::new(),
                votes_seen: None,
                holds: false,
                joined: false,
            });
            statuses.collect::<Vec<_>>()
        };
        self.targets.values().flat_map(going).filter(|s| !self.is_known(s)).collect()
    }

    fn is_known(&self, status: &NodeStatus) -> bool {
        self.observed.get(&status.path.family).is_some_and(|nodes| nodes.contains_key(&status.id))
    }

    fn is_to_go(&self, status: &NodeStatus) -> bool {
        let nodes = self.targets.get(&status.path.family).into_iter().flat_map(|target| &target.nodes);
        nodes.into_iter().any(|n| n.id == status.id && n.want == Want::Gone)
    }

    fn statuses(&mut self, host: HostId, nodes: Vec<NodeStatus>, batch: &mut Batch) {
        for status in nodes {
            if self.is_on(host, &status) {
                self.status(status, batch);
            } else {
                tracing::warn!(%host, node = %status.path, "speaks of a node that is not there: not heard");
            }
        }
    }

    /// A host speaks of its own nodes only, whatever it says.
    fn is_on(&self, host: HostId, status: &NodeStatus) -> bool {
        let family = &status.path.family;
        let known = self.observed.get(family).and_then(|nodes| nodes.get(&status.id)).map(|n| n.host);
        let planned = || {
            let nodes = self.targets.get(family).into_iter().flat_map(|target| &target.nodes);
            nodes.into_iter().find(|n| n.id == status.id).map(|n| n.host)
        };
        status.host == host && known.or_else(planned).is_none_or(|of| of == host)
    }

    fn status(&mut self, mut status: NodeStatus, batch: &mut Batch) {
        // A node that nobody knew is of no interest when it has gone, unless somebody waits for just that.
        if status.phase == NodePhase::Gone && !self.is_known(&status) && !self.is_to_go(&status) {
            return;
        }
        status.since = self.since(&status);
        let family = status.path.family.clone();
        let of_family = self.observed.entry(family.clone()).or_default();
        let former = of_family.get(&status.id);
        if former == Some(&status) {
            return;
        }
        tell(former, &status, batch);
        batch.put(&status, Expect::Any);
        of_family.insert(status.id, status);
        self.dirty.insert(family.clone());
        self.topics_dirty.insert(family.app);
    }
}

impl World {
    /// Since when a node is as it is, by this controller's clock: clocks of hosts differ, and what they say is compared
    /// with our own moments.
    fn since(&mut self, status: &NodeStatus) -> Millis {
        let former = self.observed.get(&status.path.family).and_then(|of_family| of_family.get(&status.id));
        let ours = match (self.since.get(&status.id), former) {
            (Some((theirs, ours)), _) if *theirs == status.since => *ours,
            // A host that was heard before this controller started.
            (None, Some(f)) if is_as_before(f, status) => f.since,
            _ => self.now,
        };
        if status.phase == NodePhase::Gone {
            self.since.remove(&status.id);
        } else {
            self.since.insert(status.id, (status.since, ours));
        }
        ours
    }
}

fn is_as_before(former: &NodeStatus, now: &NodeStatus) -> bool {
    let of = |s: &NodeStatus| (s.phase, s.ready, s.started_at, s.restarts);
    of(former) == of(now)
}

fn tell(former: Option<&NodeStatus>, now: &NodeStatus, batch: &mut Batch) {
    let subject = now.path.short();
    let mut event = |kind: &str, message: String| batch.event(NewEvent::new(kind, &subject, message));
    if now.restarts > former.map_or(0, |f| f.restarts)
        || (now.exit.is_some() && now.exit != former.and_then(|f| f.exit.clone()))
    {
        let how = now.exit.as_ref().map_or_else(|| "ended".into(), ToString::to_string);
        event("node.exited", format!("the process ended: {how}"));
    }
    if former.map(|f| f.phase) != Some(now.phase) {
        let detail = now.detail.as_ref().map_or(String::new(), |d| format!(": {d}"));
        match now.phase {
            NodePhase::Running => event("node.running", format!("running revision {}", now.revision)),
            NodePhase::Failed => event("node.failed", format!("could not be started{detail}")),
            NodePhase::Gone => event("node.gone", format!("gone{detail}")),
            NodePhase::Backoff => event("node.backoff", format!("waits before its next start{detail}")),
            NodePhase::Preparing | NodePhase::Starting | NodePhase::Stopping | NodePhase::Stopped => {}
        }
    }
    let was_ready = former.is_some_and(|f| f.ready);
    if now.ready && !was_ready {
        event("node.ready", "ready".into());
    } else if was_ready && !now.ready && now.phase == NodePhase::Running {
        event("node.unready", now.detail.clone().unwrap_or_else(|| "not ready any more".into()));
    } else if let Some(cause) =
        now.restarted().filter(|cause| former.and_then(NodeStatus::restarted) != Some(*cause))
    {
        event("node.restarted", format!("its process was begun again: {cause}"));
    }
    let level = |alarms: &[NodeAlarm], what: &str| alarms.iter().find(|a| a.what == what).map(|a| a.level);
    let before = former.map(|f| f.alarms.as_slice()).unwrap_or_default();
    for alarm in now.alarms.iter().filter(|a| level(before, &a.what) != Some(a.level)) {
        event("node.alarm", alarm.to_string());
    }
    for alarm in before.iter().filter(|a| level(&now.alarms, &a.what).is_none()) {
        event("node.calm", format!("far from its limit of {} again", alarm.what));
    }
}
