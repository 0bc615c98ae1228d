//! Fewer nodes: the highest indexes go first; a stopped or deleted family has none.

use super::draft::Draft;
use lace_model::Reason;

/// All nodes shall go.
pub(super) fn everything(draft: &mut Draft) {
    dismiss_from(draft, 0);
}

/// Nodes beyond the wanted count shall go.
pub(super) fn beyond_count(draft: &mut Draft) {
    let count = draft.family().count;
    dismiss_from(draft, count + 1);
    let going: Vec<u32> = draft.slots.range(count + 1..).map(|(index, _)| *index).collect();
    for index in going.into_iter().rev() {
        draft.reason(Reason::ScalingDown { index });
    }
}

fn dismiss_from(draft: &mut Draft, first: u32) {
    let indexes: Vec<u32> =
        draft.slots.range(first..).filter(|(_, s)| s.run.is_some()).map(|(index, _)| *index).collect();
    for index in indexes {
        draft.dismiss(index);
    }
}
