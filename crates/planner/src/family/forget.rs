//! What is over: nodes that are gone, hosts that were removed, replacements that are done; and strays, which are told.

use super::draft::Draft;
use lace_model::node::NodePhase;
use std::collections::BTreeSet;

/// Strays that are told one by one.
const STRAYS_MAX: usize = 5;

/// Drops nodes that their hosts report as gone, and all nodes of hosts that exist no more.
pub(super) fn removed(draft: &mut Draft) {
    let indexes: Vec<u32> = draft.slots.keys().copied().collect();
    for index in indexes {
        let slot = &draft.slots[&index];
        let over: BTreeSet<_> = slot
            .going
            .iter()
            .filter(|n| is_gone(draft, n.id) || draft.host(n.host).is_none())
            .map(|n| n.id)
            .collect();
        let orphan = slot.run.clone().filter(|n| draft.host(n.host).is_none());
        if over.is_empty() && orphan.is_none() {
            continue;
        }
        draft.change(index, |slot| slot.going.retain(|n| !over.contains(&n.id)));
        if let Some(node) = orphan {
            draft.change(index, |slot| {
                slot.run = None;
                slot.former = Some(node.revision);
            });
            let name = draft.path(index).short();
            draft.event("node.lost", name, "its host was removed");
        }
    }
    draft.slots.retain(|_, slot| !slot.is_empty() || slot.former.is_some());
}

fn is_gone(draft: &Draft, id: lace_model::NodeId) -> bool {
    draft.status(id).is_some_and(|s| s.phase == NodePhase::Gone)
}

/// Nodes that hosts report and no target knows: shown, never touched.
pub(super) fn strays(draft: &mut Draft) {
    let known: BTreeSet<_> =
        draft.slots.values().flat_map(|s| s.going.iter().chain(&s.run)).map(|n| n.id).collect();
    let family = &draft.family().path;
    let strays: Vec<String> = draft
        .input
        .observed
        .values()
        .filter(|s| s.phase != NodePhase::Gone && s.path.family == *family && !known.contains(&s.id))
        .take(STRAYS_MAX)
        .map(|s| {
            format!("node {} ({}) runs and belongs to no target: nothing is done to it", s.id, s.path.short())
        })
        .collect();
    for text in strays {
        draft.say(text);
    }
}

/// Replacements that a person asked for and that are done.
pub(super) fn replaced(draft: &mut Draft) {
    let family = draft.family();
    for (index, old) in &family.replace {
        let beyond = !draft.is_wanted(*index);
        let done = draft.run(*index).is_some_and(|n| n.id != *old && draft.is_ready(n));
        if beyond || done {
            draft.clear_replace.push(*index);
        }
    }
}
