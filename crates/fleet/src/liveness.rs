//! Usage of nodes over the last beats.

use lace_model::Millis;
use lace_wire::link::frame::NodeUsage;

/// What a node uses now.
#[derive(Clone, Copy, Debug)]
pub struct UsageNow {
    /// The last numbers.
    pub usage: NodeUsage,
    /// When they came.
    pub at: Millis,
    /// Processor use between the last two beats, in thousandths of a processor.
    pub cpu_millis: u32,
}

impl UsageNow {
    /// The next beat's numbers after the former ones.
    pub fn next(former: Option<&Self>, usage: NodeUsage, at: Millis) -> Self {
        let cpu_millis = former.map_or(0, |f| {
            let used_us = usage.cpu_us.saturating_sub(f.usage.cpu_us);
            let past_ms = at.saturating_sub(f.at).max(1);
            u32::try_from(used_us / past_ms).unwrap_or(u32::MAX)
        });
        Self { usage, at, cpu_millis }
    }
}
