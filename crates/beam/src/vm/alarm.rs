//! When a runtime comes near one of its limits. Pure: the caller keeps the state and says when.

use lace_model::vm::VmSample;
use std::collections::BTreeMap;

/// From here on, in thousandths: a warning.
pub const WARN_PERMILLE: u64 = 750;
/// From here on, in thousandths: act.
pub const ACT_PERMILLE: u64 = 900;
/// So far below a threshold it has to fall, in thousandths, before the alarm goes down again.
pub const HYSTERESIS_PERMILLE: u64 = 50;

/// How near.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Far.
    #[default]
    Calm,
    /// [`WARN_PERMILLE`] and more.
    Warning,
    /// [`ACT_PERMILLE`] and more.
    Critical,
}

impl Level {
    /// The level at this fill, coming from `self`.
    fn next(self, permille: u64) -> Self {
        let up = match permille {
            ACT_PERMILLE.. => Self::Critical,
            WARN_PERMILLE.. => Self::Warning,
            _ => Self::Calm,
        };
        let down = match permille + HYSTERESIS_PERMILLE {
            // Not yet far enough below.
            p if p >= ACT_PERMILLE => Self::Critical,
            p if p >= WARN_PERMILLE => Self::Warning,
            _ => Self::Calm,
        };
        if up >= self { up } else { down.min(self) }
    }
}

/// A level that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What is full: `processes`, `ports`, `atoms`, `ets` or `memory`.
    pub what: &'static str,
    /// Its new level.
    pub level: Level,
    /// Now.
    pub count: u64,
    /// At most.
    pub limit: u64,
}

/// The levels of one runtime.
#[derive(Clone, Debug, Default)]
pub struct Alarms(BTreeMap<&'static str, Level>);

impl Alarms {
    /// What one more sample changes. `memory_limit` is what the node may use, in bytes; 0 where nothing bounds it.
    pub fn look(&mut self, sample: &VmSample, memory_limit: u64) -> Vec<Change> {
        let memory = lace_model::vm::Filled { count: sample.memory.total, limit: memory_limit };
        let all = [
            ("processes", sample.processes),
            ("ports", sample.ports),
            ("atoms", sample.atoms),
            ("ets", sample.ets),
            ("memory", memory),
        ];
        let mut changes = Vec::new();
        for (what, filled) in all {
            let before = self.0.entry(what).or_default();
            let level = before.next(filled.permille());
            if level != *before {
                *before = level;
                changes.push(Change { what, level, count: filled.count, limit: filled.limit });
            }
        }
        changes
    }

    /// What is not calm.
    pub fn raised(&self) -> impl Iterator<Item = (&'static str, Level)> + '_ {
        self.0.iter().filter(|(_, level)| **level != Level::Calm).map(|(what, level)| (*what, *level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_model::vm::Filled;

    #[test]
    fn a_level_is_said_once_and_goes_down_only_well_below() {
        let mut alarms = Alarms::default();
        let table = [
            (100, None),
            (749, None),
            (750, Some(Level::Warning)),
            (740, None),
            (751, None),
            (899, None),
            (950, Some(Level::Critical)),
            (860, None),
            (850, None),
            (849, Some(Level::Warning)),
            (701, None),
            (699, Some(Level::Calm)),
            (999, Some(Level::Critical)),
            (10, Some(Level::Calm)),
        ];
        for (permille, expected) in table {
            let atoms = Filled { count: permille, limit: 1000 };
            let changes = alarms.look(&VmSample { atoms, ..VmSample::default() }, 0);
            let levels: Vec<_> = changes.iter().map(|c| (c.what, c.level)).collect();
            assert_eq!(
                levels,
                expected.map(|level| ("atoms", level)).into_iter().collect::<Vec<_>>(),
                "{permille}"
            );
        }
        assert_eq!(alarms.raised().count(), 0);
    }
}
