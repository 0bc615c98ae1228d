//! A node that is about to stop, and the doors of other hosts that may give it requests: its agent asks, each of those
//! hosts lets go of it and says so, and the agent hears when all have.
//!
//! A host whose session ended may have a door that serves on: it is asked again when it comes back, and counts as let go
//! where it stays away. The same holds for all hosts when the controller itself has just begun.

use crate::session::{Fleet, HEARD_WITHIN_MS, HostState};
use lace_model::document::EntryId;
use lace_model::{AppName, HostId, Millis, NodeId};
use lace_wire::DRAINS_SINCE;
use lace_wire::link::frame::ToAgent;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Nodes of one host that are waited for at a time: more than one host can have.
const OF_ONE_HOST_MAX: usize = 4_096;
/// Questions to one host at a time; more wait. Above a thousand frames its session would end.
const TO_ONE_HOST_MAX: usize = 256;

/// Agents whose sessions ended come again within this time after a controller has begun (their pauses have a bound of 5 s).
const COME_AGAIN_WITHIN_MS: Millis = 8_000;
/// An answer may be on its way so long after the asker's time.
const ANSWERS_LATE_MS: Millis = 10_000;

/// Who asked, and who has not answered yet.
struct Open {
    asker: HostId,
    /// When the asker loses patience.
    until: Millis,
    waits_for: HashSet<HostId>,
}

/// What a host is asked.
#[derive(Default)]
struct Asked {
    /// By its session.
    sent: HashSet<NodeId>,
    /// The next ones; what is answered meanwhile is passed over.
    next: VecDeque<NodeId>,
    /// It has no session since then.
    away_since: Option<Millis>,
}

/// A question that came before the engine had said what the hosts carry.
struct Early {
    asker: HostId,
    of: (NodeId, AppName),
    came: Millis,
    until: Millis,
}

#[derive(Default)]
struct Books {
    open: HashMap<NodeId, Open>,
    hosts: HashMap<HostId, Asked>,
    early: Vec<Early>,
}

impl Books {
    /// False where the host asks for more than any host has.
    fn begin(&mut self, node: NodeId, open: Open) -> bool {
        if self.open.values().filter(|one| one.asker == open.asker).count() >= OF_ONE_HOST_MAX {
            return false;
        }
        for host in &open.waits_for {
            self.hosts.entry(*host).or_default().next.push_back(node);
        }
        self.open.insert(node, open);
        true
    }

    /// What the host is to be asked now, and until when.
    fn next(&mut self, host: HostId) -> Vec<(NodeId, Millis)> {
        let Some(asked) = self.hosts.get_mut(&host).filter(|asked| asked.away_since.is_none()) else {
            return Vec::new();
        };
        let mut now = Vec::new();
        while asked.sent.len() < TO_ONE_HOST_MAX {
            let Some(node) = asked.next.pop_front() else { break };
            let Some(open) = self.open.get(&node).filter(|open| open.waits_for.contains(&host)) else {
                continue;
            };
            if asked.sent.insert(node) {
                now.push((node, open.until));
            }
        }
        now
    }

    /// A host has let go of it: who is to hear that all have.
    fn answered(&mut self, node: NodeId, host: HostId) -> Option<HostId> {
        if let Some(asked) = self.hosts.get_mut(&host) {
            asked.sent.remove(&node);
        }
        let open = self.open.get_mut(&node)?;
        open.waits_for.remove(&host);
        if !open.waits_for.is_empty() {
            return None;
        }
        self.open.remove(&node).map(|one| one.asker)
    }

    /// Its session ended: what it asked is forgotten, for it asks again; what it was asked has time.
    fn left(&mut self, host: HostId, now: Millis) {
        self.open.retain(|_, one| one.asker != host);
        self.early.retain(|one| one.asker != host);
        if self.open.values().any(|one| one.waits_for.contains(&host)) {
            self.hosts.entry(host).or_default().away_since.get_or_insert(now);
        } else {
            self.hosts.remove(&host);
        }
    }

    /// It has a session again, whose agent knows nothing of what the former one was asked.
    fn back(&mut self, host: HostId) {
        let waits = self.open.iter().filter(|(_, one)| one.waits_for.contains(&host));
        let next: VecDeque<NodeId> = waits.map(|(node, _)| *node).collect();
        match next.is_empty() {
            true => drop(self.hosts.remove(&host)),
            false => drop(self.hosts.insert(host, Asked { next, ..Asked::default() })),
        }
    }

    /// Those that were away for too long, but not before `since`.
    fn silent(&self, since: Millis, now: Millis) -> Vec<HostId> {
        let is_gone = |asked: &Asked| {
            asked.away_since.is_some_and(|away| now >= since.max(away.saturating_add(HEARD_WITHIN_MS)))
        };
        self.hosts.iter().filter(|(_, asked)| is_gone(asked)).map(|(host, _)| *host).collect()
    }

    /// Questions whose askers have lost patience: the hosts that were asked have room for others.
    fn expired(&mut self, now: Millis) -> Vec<HostId> {
        let is_over = |one: &Open| now > one.until.saturating_add(ANSWERS_LATE_MS);
        let over: Vec<_> = self.open.extract_if(|_, one| is_over(one)).collect();
        for (node, _) in &over {
            for asked in self.hosts.values_mut() {
                asked.sent.remove(node);
            }
        }
        over.into_iter().flat_map(|(_, one)| one.waits_for).collect()
    }

    /// A host has no door any more: who is to hear of which node.
    fn gone(&mut self, host: HostId) -> Vec<(NodeId, HostId)> {
        self.hosts.remove(&host);
        self.open.retain(|_, one| one.asker != host);
        let mut over = Vec::new();
        self.open.retain(|node, one| {
            one.waits_for.remove(&host);
            let is_over = one.waits_for.is_empty();
            if is_over {
                over.push((*node, one.asker));
            }
            !is_over
        });
        over
    }
}

/// What is under way, by node.
#[derive(Default)]
pub(crate) struct Drains(Mutex<Books>);

impl Drains {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who has to let go of a node.
enum Doors {
    /// The node is another host's.
    NotTheirs,
    /// The engine has not said yet what hosts carry.
    Unknown,
    Of(HashSet<HostId>),
}

impl Fleet {
    /// A host is about to stop a node. A node that the document of another host names is not its to drain.
    pub(crate) fn drain(&self, asker: HostId, (node, app): (NodeId, AppName), within_ms: u64) {
        let now = self.0.support.now();
        let until = now.saturating_add(within_ms);
        self.drain_until(Early { asker, of: (node, app), came: now, until });
    }

    fn drain_until(&self, question: Early) {
        let Early { asker, of: (node, app), came, until } = &question;
        let (asker, node, now) = (*asker, *node, self.0.support.now());
        let waits_for = match self.doors(asker, (node, app), now) {
            Doors::NotTheirs => {
                tracing::warn!(host = %asker, %node, "a host asks to drain a node of another one");
                HashSet::new()
            }
            Doors::Unknown if now.saturating_sub(*came) < COME_AGAIN_WITHIN_MS => {
                let mut books = self.0.drains.books();
                let own = books.early.iter().filter(|early| early.asker == asker).count();
                if own < OF_ONE_HOST_MAX {
                    books.early.push(question);
                }
                return;
            }
            Doors::Unknown => HashSet::new(),
            Doors::Of(hosts) => hosts,
        };
        let open = Open { asker, until: *until, waits_for: waits_for.clone() };
        if waits_for.is_empty() || !self.0.drains.books().begin(node, open) {
            self.send(asker, ToAgent::Drained { node });
            return;
        }
        waits_for.into_iter().for_each(|host| self.ask(host));
    }

    fn doors(&self, asker: HostId, (node, app): (NodeId, &AppName), now: Millis) -> Doors {
        let hosts = self.hosts();
        let is_others = |(host, state): (&HostId, &HostState)| {
            *host != asker && state.documents.entries.contains_key(&EntryId::Node(node))
        };
        if hosts.iter().any(is_others) {
            return Doors::NotTheirs;
        }
        if !hosts.get(&asker).is_some_and(|state| state.documents.complete) {
            return Doors::Unknown;
        }
        let was_there = |state: &HostState| {
            now < state.last_heard() + HEARD_WITHIN_MS || now < self.0.begun + COME_AGAIN_WITHIN_MS
        };
        let hears = |(host, state): &(&HostId, &HostState)| {
            let has_door = state.speaks(DRAINS_SINCE) || (!state.has_session() && was_there(state));
            **host != asker && has_door && state.documents.topics.contains_key(app)
        };
        Doors::Of(hosts.iter().filter(hears).map(|(host, _)| *host).collect())
    }

    /// Asks a host what it is to be asked.
    fn ask(&self, host: HostId) {
        let now = self.0.support.now();
        let questions = self.0.drains.books().next(host);
        for (node, until) in questions {
            let within_ms = until.saturating_sub(now);
            if !self.send(host, ToAgent::Drain { node, within_ms }) {
                return self.0.drains.books().left(host, now);
            }
        }
    }

    /// A host's door has let go of a node.
    pub(crate) fn drained(&self, host: HostId, node: NodeId) {
        let asker = self.0.drains.books().answered(node, host);
        if let Some(asker) = asker {
            self.send(asker, ToAgent::Drained { node });
        }
        self.ask(host);
    }

    /// A host's session ended; its door may be there still. Called while the hosts are held: nobody begins meanwhile.
    pub(crate) fn drains_wait(&self, host: HostId, since: Millis) {
        self.0.drains.books().left(host, since);
    }

    /// A host's session began, and its agent knows such questions. Called while the hosts are held.
    pub(crate) fn drains_go_on(&self, host: HostId) {
        let mut books = self.0.drains.books();
        // What waits in the channel of a former session is lost with it.
        books.left(host, self.0.support.now());
        books.back(host);
    }

    /// Asks a host whose session began.
    pub(crate) fn drains_are_asked(&self, host: HostId, knows: bool) {
        if knows { self.ask(host) } else { self.drains_nothing(host) }
    }

    /// A host is gone.
    pub(crate) fn drains_nothing(&self, host: HostId) {
        let over = self.0.drains.books().gone(host);
        for (node, asker) in over {
            self.send(asker, ToAgent::Drained { node });
        }
    }

    /// Hosts that stay away are not waited for, and early questions are looked at again. Called about once a second.
    pub(crate) fn check_drains(&self) {
        let (now, since) = (self.0.support.now(), self.0.begun + COME_AGAIN_WITHIN_MS);
        let (silent, early, roomy) = {
            let mut books = self.0.drains.books();
            (books.silent(since, now), std::mem::take(&mut books.early), books.expired(now))
        };
        silent.into_iter().for_each(|host| self.drains_nothing(host));
        roomy.into_iter().for_each(|host| self.ask(host));
        early.into_iter().for_each(|question| self.drain_until(question));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: u8) -> HostId {
        HostId::derive(&[n; 32], "host")
    }

    fn node(n: usize) -> NodeId {
        NodeId::derive(&[7; 32], &n.to_string())
    }

    fn of(asker: HostId, hosts: &[u8]) -> Open {
        Open { asker, until: 30_000, waits_for: hosts.iter().map(|n| host(*n)).collect() }
    }

    #[test]
    fn the_asker_hears_when_the_last_one_answered_or_went_away() {
        let mut books = Books::default();
        assert!(books.begin(node(1), of(host(1), &[2, 3])) && books.begin(node(2), of(host(1), &[2, 3])));
        assert_eq!(books.next(host(2)), [(node(1), 30_000), (node(2), 30_000)]);
        assert_eq!(books.next(host(2)), [], "each is asked once");
        assert_eq!(books.answered(node(1), host(2)), None, "one of two");
        assert_eq!(books.answered(node(1), host(2)), None, "the same one again");
        assert_eq!(books.answered(node(1), host(4)), None, "who was not asked");
        assert_eq!(books.answered(node(1), host(3)), Some(host(1)));
        assert_eq!(books.answered(node(1), host(3)), None, "it is over");
        assert_eq!(books.gone(host(2)), [], "one is left");
        assert_eq!(books.gone(host(3)), [(node(2), host(1))]);
        assert!(books.begin(node(3), of(host(1), &[2, 3])));
        assert_eq!(books.gone(host(1)), [], "nobody is left to hear it");
        assert_eq!(books.gone(host(2)), []);
    }

    #[test]
    fn a_host_that_comes_back_is_asked_again_and_one_that_stays_away_is_not_waited_for() {
        let mut books = Books::default();
        assert!(books.begin(node(1), of(host(1), &[2, 3])));
        assert_eq!((books.next(host(2)).len(), books.next(host(3)).len()), (1, 1));
        books.left(host(2), 1_000);
        books.left(host(3), 1_500);
        assert_eq!(books.next(host(2)), [], "nobody is there to ask");
        books.back(host(2));
        assert_eq!(books.next(host(2)), [(node(1), 30_000)], "its new session knows nothing of it");
        assert_eq!(books.silent(0, 1_500 + HEARD_WITHIN_MS - 1), []);
        assert_eq!(books.silent(9_000, 1_500 + HEARD_WITHIN_MS), [], "the controller has just begun");
        assert_eq!(books.silent(0, 1_500 + HEARD_WITHIN_MS), [host(3)]);
        assert_eq!(books.gone(host(3)), []);
        assert_eq!(books.answered(node(1), host(2)), Some(host(1)));
        books.left(host(2), 9_000);
        assert_eq!(books.silent(0, 20_000), [], "nothing is asked of it");
    }

    #[test]
    fn who_asks_and_loses_its_session_asks_again() {
        let mut books = Books::default();
        assert!(books.begin(node(1), of(host(1), &[2])));
        assert_eq!(books.next(host(2)).len(), 1);
        books.left(host(1), 0);
        books.back(host(1));
        assert_eq!(books.answered(node(1), host(2)), None, "nobody waits");
        assert!(books.begin(node(1), of(host(1), &[2])));
        assert_eq!(books.next(host(2)).len(), 1, "it may have got requests since");
    }

    #[test]
    fn a_question_whose_time_is_over_holds_no_place() {
        let mut books = Books::default();
        for n in 0..=TO_ONE_HOST_MAX {
            let until = if n == TO_ONE_HOST_MAX { 90_000 } else { 30_000 };
            assert!(books.begin(node(n), Open { until, ..of(host(1), &[2]) }));
        }
        assert_eq!(books.next(host(2)).len(), TO_ONE_HOST_MAX);
        assert_eq!(books.expired(30_000 + ANSWERS_LATE_MS), []);
        assert_eq!(books.expired(30_001 + ANSWERS_LATE_MS).len(), TO_ONE_HOST_MAX);
        assert_eq!(books.next(host(2)), [(node(TO_ONE_HOST_MAX), 90_000)]);
        assert_eq!(books.answered(node(0), host(2)), None, "late, and nobody waits");
    }

    #[test]
    fn no_host_is_asked_more_at_a_time_than_its_session_carries() {
        let mut books = Books::default();
        for n in 0..TO_ONE_HOST_MAX + 2 {
            assert!(books.begin(node(n), of(host(1), &[2])));
        }
        let asked = books.next(host(2));
        assert_eq!(asked.len(), TO_ONE_HOST_MAX);
        assert_eq!(books.answered(asked[0].0, host(2)), Some(host(1)));
        assert_eq!(books.next(host(2)).len(), 1, "one for one");
    }
}
