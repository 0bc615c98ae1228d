//! The command that makes a new node part of its cluster: run in it once, when everything else about it is good.
//!
//! Once per node id (or once per start of its process, where the revision says so), whichever agent looks after it: what was done is in the journal. An agent that is killed
//! while the command runs kills it too and runs it again, so it has to bear being cut off, as any command.

use super::care::Patient;
use crate::clock::{Backoff, now};
use crate::context::Context;
use crate::hands::Hands;
use crate::held::Record;
use crate::spec::Subject;
use crate::stream::command::{self, Wish};
use lace_model::Millis;
use lace_model::document::{EntryId, Member, NodeEntry, Topic};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

/// For one try: joining may mean copying data.
const WITHIN: Duration = Duration::from_secs(300);
/// Between tries.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// What of the command's last words goes into the reason.
const LINES_MAX: usize = 5;
const CHARS_MAX: usize = 500;

/// Whom a node shall join.
#[derive(Debug, PartialEq, Eq)]
enum Joining<'a> {
    /// This one.
    To(&'a Member),
    /// Nobody: the cluster begins with it.
    Begins,
    /// Not known yet.
    Waits(String),
}

/// The ready member with the lowest index is joined. Where none is, one is waited for that is part of a cluster already: who
/// began now would begin a second one. Where nobody is, the node with the lowest index of all begins.
fn whom<'a>(entry: &NodeEntry, topic: Option<&'a Topic>) -> Joining<'a> {
    let members = || topic.into_iter().flat_map(|topic| &topic.members);
    if !members().any(|member| member.node == entry.id) {
        return Joining::Waits("the members of its family are not known yet".to_owned());
    }
    let is_other = |m: &&Member| {
        m.path.family == entry.path.family
            && m.mesh == entry.mesh
            && m.path.index > 0
            && m.path.index != entry.path.index
    };
    let others = || members().filter(is_other);
    let lowest = |m: &&Member| m.path.index;
    if let Some(first) = others().filter(|member| member.ready).min_by_key(lowest) {
        return Joining::To(first);
    }
    if let Some(first) = others().filter(|member| member.joined).min_by_key(lowest) {
        return Joining::Waits(format!("joins when {} is ready: it has joined already", first.path.fqdn()));
    }
    match others().min_by_key(lowest) {
        Some(first) if first.path.index < entry.path.index => {
            Joining::Waits(format!("joins when {} is ready", first.path.fqdn()))
        }
        _ => Joining::Begins,
    }
}

/// Whom a node joins that joins another family: its ready member with the lowest index, of its newest mesh where two revisions
/// have one each, for that is the one that stays.
fn another<'a>(entry: &NodeEntry, with: &str, topic: Option<&'a Topic>) -> Joining<'a> {
    let (service, family) = with.split_once('/').map_or((with, None), |(s, f)| (s, Some(f)));
    let meant = |member: &&Member| {
        let path = &member.path.family;
        path.service.as_str() == service && family.is_none_or(|family| path.family.as_str() == family)
    };
    let members = topic.into_iter().flat_map(|topic| &topic.members);
    let ready = members.filter(|member| member.path.index > 0 && member.ready).filter(meant);
    match ready.min_by_key(|m| (&m.path.family, Reverse(m.mesh), m.path.index)) {
        Some(first) => Joining::To(first),
        None => Joining::Waits(format!("joins when a node of {}/{with} is ready", entry.path.family.app)),
    }
}

/// Has the node a bootstrap command that was not run yet?
pub fn is_due(hands: &Hands, entry: &NodeEntry, started_at: Millis) -> bool {
    is_wanted(entry) && !has_joined(hands, entry, Some(started_at))
}

/// Is it part of its cluster? Once it has joined it is, up or down; where each start joins, the process that runs has to have
/// joined (none where none runs).
pub fn has_joined(hands: &Hands, entry: &NodeEntry, started_at: Option<Millis>) -> bool {
    let joined_at = || hands.held.read(|state| state.begun.get(&EntryId::Node(entry.id)).copied());
    is_wanted(entry) && is_member(joined_at(), started_at, entry.spec.bootstrap_each_start)
}

fn is_member(joined_at: Option<Millis>, started_at: Option<Millis>, each_start: bool) -> bool {
    match started_at {
        Some(at) => is_joined(joined_at, at, each_start),
        None => joined_at.is_some() && !each_start,
    }
}

fn is_wanted(entry: &NodeEntry) -> bool {
    entry.spec.bootstrap.as_ref().is_some_and(|words| !words.is_empty())
}

/// Counts what was done when it was done?
fn is_joined(joined_at: Option<Millis>, started_at: Millis, each_start: bool) -> bool {
    joined_at.is_some_and(|at| !each_start || at >= started_at)
}

impl Patient {
    /// Ends when the node has joined. `others` says whether all other questions are answered well.
    pub(super) async fn bootstrap(self, question: usize, mut others: tokio::sync::watch::Receiver<bool>) {
        let mut backoff = Backoff::new(TRY_AGAIN.0, TRY_AGAIN.1);
        let mut topics = self.hands.topics.subscribe();
        while others.wait_for(|good| *good).await.is_ok() {
            let topic = topics.borrow_and_update().get(&self.entry.path.family.app).cloned();
            let joining = match self.entry.spec.bootstrap_with.as_deref() {
                Some(with) => another(&self.entry, with, topic.as_deref()),
                None => whom(&self.entry, topic.as_deref()),
            };
            let (answer, waits) = match joining {
                Joining::Begins => (Ok(()), false),
                Joining::Waits(what) => (Err(what), true),
                Joining::To(first) => (self.join(first, topic.as_deref()).await, false),
            };
            let joined = answer.is_ok();
            if joined {
                let id = EntryId::Node(self.entry.id);
                self.hands.held.commit(vec![Record::Begun(id, now())]);
            }
            if !self.answer(question, answer).await || joined {
                return;
            }
            if !waits {
                tokio::time::sleep(backoff.wait()).await;
            } else if topics.changed().await.is_err() {
                return;
            }
        }
    }

    async fn join(&self, first: &Member, topic: Option<&Topic>) -> Result<(), String> {
        // Without secrets: words of a command can be seen by anybody.
        let mut context = Context::of(&Subject::node(&self.entry), topic, BTreeMap::new());
        context.set_first(first, topic);
        let words = self.entry.spec.bootstrap.iter().flatten();
        let argv = words.map(|word| context.render("bootstrap", word)).collect::<Result<Vec<_>, _>>()?;
        let env = BTreeMap::from([("LACE_FIRST".to_owned(), first.path.fqdn()), crate::beam::no_dump()]);
        let wish = Wish { argv, env, terminal: None, stdin: false };
        let ran = tokio::time::timeout(WITHIN, command::output(self.node.clone(), wish)).await;
        let (exit, said) = ran
            .map_err(|_| format!("bootstrap: not done within {} s", WITHIN.as_secs()))?
            .map_err(|problem| format!("bootstrap: {}", problem.message))?;
        match exit.code {
            Some(0) => Ok(()),
            _ => Err(format!("bootstrap: {}: {}", exit.reason, last_lines(&said))),
        }
    }
}

fn last_lines(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(LINES_MAX)..].join(" | ");
    let skipped = last.chars().count().saturating_sub(CHARS_MAX);
    last.chars().skip(skipped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::tests::{entry, spec, topic};

    #[test]
    fn the_lowest_ready_one_is_joined_and_the_lowest_of_all_begins() {
        let ready = |topic: &mut Topic, indexes: &[u32]| {
            topic.members.iter_mut().for_each(|m| m.ready = indexes.contains(&m.path.index));
        };
        // index of the node, who is ready, whom it joins (0: it begins; none: it waits)
        let table: [(u32, &[u32], Option<u32>); 6] = [
            (1, &[], Some(0)),
            (1, &[1], Some(0)),
            (2, &[], None),
            (2, &[1, 3], Some(1)),
            (1, &[2, 3], Some(2)),
            (3, &[2], Some(2)),
        ];
        for (index, readies, expected) in table {
            let mut topic = topic(3);
            ready(&mut topic, readies);
            let found = match whom(&entry(index, spec()), Some(&topic)) {
                Joining::To(member) => Some(member.path.index),
                Joining::Begins => Some(0),
                Joining::Waits(_) => None,
            };
            assert_eq!(found, expected, "node {index}, ready {readies:?}");
        }
        assert!(matches!(whom(&entry(1, spec()), None), Joining::Waits(_)));
    }

    #[test]
    fn nobody_begins_a_second_cluster() {
        let mut topic = topic(3);
        topic.members.iter_mut().for_each(|m| m.ready = false);
        topic.members[2].joined = true;
        let third = topic.members[2].path.fqdn();
        for index in [1, 2] {
            let Joining::Waits(why) = whom(&entry(index, spec()), Some(&topic)) else {
                panic!("{index} begins")
            };
            assert!(why.contains(&third) && why.contains("joined already"), "{why}");
        }
        topic.members[2].ready = true;
        assert!(matches!(whom(&entry(1, spec()), Some(&topic)), Joining::To(third) if third.path.index == 3));
    }

    #[test]
    fn another_family_is_joined_at_its_first_ready_node() {
        let mut topic = topic(3);
        let name = topic.members[0].path.family.service.to_string();
        let found = |with: &str, topic: &Topic| match another(&entry(1, spec()), with, Some(topic)) {
            Joining::To(member) => Ok(member.path.index),
            Joining::Waits(what) => Err(what),
            Joining::Begins => Ok(0),
        };
        topic.members.iter_mut().for_each(|m| m.ready = false);
        assert!(found(&name, &topic).is_err_and(|what| what.contains("joins when a node of")));
        topic.members.iter_mut().filter(|m| m.path.index >= 2).for_each(|m| m.ready = true);
        assert_eq!(found(&name, &topic), Ok(2));
        // Of two revisions side by side the newer one stays.
        topic.members[2].mesh = 1;
        assert_eq!(found(&name, &topic), Ok(3));
        assert!(found("nobody", &topic).is_err());
        assert!(found(&format!("{name}/nobody"), &topic).is_err());
    }

    #[test]
    fn what_ends_with_the_process_is_done_again() {
        for (joined_at, each_start, expected) in [
            (None, false, false),
            (None, true, false),
            (Some(5), false, true),
            (Some(5), true, false),
            (Some(7), true, true),
        ] {
            assert_eq!(
                is_joined(joined_at, 7, each_start),
                expected,
                "{joined_at:?}, each start {each_start}"
            );
        }
    }

    #[test]
    fn who_is_down_stays_a_member_where_joining_is_for_good() {
        for (joined_at, started_at, each_start, expected) in [
            (Some(5), None, false, true),
            (Some(5), None, true, false),
            (None, None, false, false),
            (Some(5), Some(7), false, true),
            (Some(5), Some(7), true, false),
        ] {
            assert_eq!(
                is_member(joined_at, started_at, each_start),
                expected,
                "{joined_at:?} {started_at:?}"
            );
        }
    }

    #[test]
    fn the_reason_has_the_last_words() {
        assert_eq!(last_lines(b"a\nb\n\nc\nd\ne\nf\n"), "b | c | d | e | f");
        assert_eq!(last_lines("x".repeat(600).as_bytes()).len(), CHARS_MAX);
    }
}
