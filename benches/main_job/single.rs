//! One node more: from the controller's answer to the moment in which a follower of the events sees it running.

use crate::peer::{BWRAP, PODMAN, UNSHARE, is_beside_containers};
use crate::report::Report;
use crate::world::{World, sleepers};
use crate::{Bounds, Failure, idle};
use lace_wire::api::VerbRequest;
use std::time::Instant;

/// Adds nodes one after the other; they stay for what comes next.
pub async fn measure(world: &World, bounds: &Bounds, report: &mut Report) -> Result<(), Failure> {
    let (mut asked, mut accepted) = (Vec::new(), Vec::new());
    let mut follower = world.follow(Some("bench")).await?;
    // The first one also brings the release to the host.
    let first = world.client.apply(&sleepers("bench", 1, bounds.singles)?).await?;
    follower.hears_of("node.running", "bench/web/1").await?;
    world.done(first).await?;
    for n in 2..=bounds.singles {
        let request = VerbRequest::Scale { target: "bench/web".parse()?, count: n.to_string(), save: true };
        let sent = Instant::now();
        let answer = world.client.verb(&request).await?;
        let answered = Instant::now();
        follower.hears_of("node.running", &format!("bench/web/{n}")).await?;
        accepted.push(answered.elapsed());
        asked.push(sent.elapsed());
        world.done(answer).await?;
    }
    let line = "node: accepted to running, seen by a follower";
    report.times(line, &accepted).aim(15.0).aim_p99(60.0).beside(UNSHARE);
    report.times("node: asked to running, seen by a follower", &asked).beside(BWRAP);
    if is_beside_containers() {
        report.times("the same again, beside containers", &asked).beside(PODMAN);
    }
    idle::memory(world, bounds.singles as usize, report).await
}
