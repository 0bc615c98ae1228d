//! What a piece of work costs in processor time, by role: on a busy machine this holds where elapsed time does not.

use crate::Failure;
use crate::probe::{busy_seconds, cpu_seconds, cpu_seconds_fine};
use crate::report::{MS, Report, S};
use crate::world::World;
use std::time::{Duration, Instant};

/// For so long the roles are watched while nothing happens.
const IDLE: Duration = Duration::from_secs(5);
/// The roles with processes of their own, and what they are called here.
const ROLES: [(&str, &str); 3] = [("server", "controller"), ("agent", "agent"), ("net", "net")];

/// Counters as they were at a moment, in seconds.
pub struct Cost {
    roles: Vec<(f64, f64)>,
    whole: f64,
}

impl Cost {
    /// Reads them.
    pub fn now(world: &World) -> Result<Self, Failure> {
        let roles = ROLES.iter().map(|(role, _)| Ok(cpu_seconds(world.pid(role)?).unwrap_or_default()));
        Ok(Self { roles: roles.collect::<Result<_, Failure>>()?, whole: busy_seconds() })
    }

    /// What was spent since: by each role, by children of the agent that ended, by its nursery, by the nodes' PID 1s, and
    /// by the whole machine.
    pub fn report(&self, world: &World, what: &str, report: &mut Report) -> Result<(), Failure> {
        let now = Self::now(world)?;
        for ((_, name), (then, now)) in ROLES.iter().zip(self.roles.iter().zip(&now.roles)) {
            report.values(format!("{what}: CPU of {name}"), S, vec![now.0 - then.0]);
            if now.1 > then.1 {
                report.values(format!("{what}: CPU of {name}'s children"), S, vec![now.1 - then.1]);
            }
        }
        if let Some((own, helpers)) = world.nursery().and_then(cpu_seconds) {
            report.values(format!("{what}: CPU of the nursery and its helpers"), S, vec![own + helpers]);
        }
        let firsts = world.first_processes()?;
        let spent = firsts.into_iter().filter_map(cpu_seconds_fine).sum();
        report.values(format!("{what}: CPU of the PID 1s, their births included"), S, vec![spent]);
        report.values(format!("{what}: CPU of the whole machine"), S, vec![now.whole - self.whole]);
        Ok(())
    }
}

/// What the roles and the nodes' PID 1s spend on each second in which nothing happens.
pub async fn idle(world: &World, nodes: u32, report: &mut Report) -> Result<(), Failure> {
    let firsts = world.first_processes()?;
    let spent = || firsts.iter().copied().filter_map(cpu_seconds_fine).sum::<f64>();
    let (before, firsts_before, begun) = (Cost::now(world)?, spent(), Instant::now());
    tokio::time::sleep(IDLE).await;
    let (after, firsts_after) = (Cost::now(world)?, spent());
    let each_second = |spent: f64| vec![spent * 1000.0 / begun.elapsed().as_secs_f64()];
    for ((_, name), (before, after)) in ROLES.iter().zip(before.roles.iter().zip(&after.roles)) {
        let spent = after.0 + after.1 - before.0 - before.1;
        report.values(format!("{nodes} nodes idle: CPU of {name} in a second"), MS, each_second(spent));
    }
    let what = format!("{nodes} nodes idle: CPU of all pid1 in a second");
    report.values(what, MS, each_second(firsts_after - firsts_before));
    Ok(())
}
