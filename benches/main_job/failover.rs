//! A distributed Erlang application when its node dies, when that node is back, and when it is moved on purpose.

use crate::bare;
use crate::probe::descendants;
use crate::report::Report;
use crate::world::World;
use crate::{Bounds, Failure};
use lace_model::application::ApplyRequest;
use lace_model::quantity::Span;
use lace_model::revision::Backoff;
use lace_wire::api::BeamCallRequest;
use lace_wire::beam::BeamCall;
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant};

/// Who died is known at once: the votes come back with the death.
const FAILOVER_MS: f64 = 1_000.0;
/// From the new start of the runtime until it runs the application again.
const TAKEOVER_MS: f64 = 5_000.0;
/// A dead runtime rests so long in each round, that another node is seen to run the application; it is not measured.
const REST: Span = Span::secs(4);
/// The longest that anything here is waited for.
const WITHIN: Duration = Duration::from_secs(60);

/// Kills the runtime of the node that runs `ball`, round after round.
pub async fn measure(
    world: &World,
    request: &ApplyRequest,
    bounds: &Bounds,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut follower = world.follow(Some("ball")).await?;
    // The same rest in each round: by default who dies again and again rests longer and longer before its next start.
    let mut request = request.clone();
    let rest = Backoff { min: REST, max: REST };
    request.spec.services.values_mut().for_each(|service| service.restart = Some(rest));
    let accepted = world.client.apply(&request).await?;
    follower.hears("node.ready", 3).await?;
    world.done(accepted).await?;
    let (mut over, mut back, mut moved) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bounds.long_rounds {
        runs_on(world, 2, 1).await?;
        let killed = runtime(world, 1).await?;
        let began = Instant::now();
        kill_process(killed, Signal::KILL)?;
        over.push(runs_elsewhere(world, 2).await?.duration_since(began));
        let began = starts_again(world, killed).await?;
        runs_on(world, 2, 1).await?;
        back.push(began.elapsed());
        let began = Instant::now();
        world.run(&["beam", "failover", "ball", "--to", "3"])?;
        moved.push(began.elapsed());
        world.run(&["beam", "failover", "ball", "--to", "1"])?;
        // The next round's first node shall be the one that is preferred, ready and connected.
        world.run(&["wait", "ball", "--for", "healthy"])?;
    }
    report
        .times("failover: the runtime is killed, another node answers", &over)
        .aim(FAILOVER_MS)
        .beside(bare::FAILOVER);
    report
        .times("takeover: started again after its rest, runs it again", &back)
        .aim(TAKEOVER_MS)
        .beside(bare::TAKEOVER);
    report.times("lace beam failover, the whole command", &moved);
    world.delete("ball").await
}

/// The runtime of a node, by the process id on the host.
async fn runtime(world: &World, index: u32) -> Result<Pid, Failure> {
    let address = world.address("ball", index).await?;
    let is_it = |first: &i32| {
        let text =
            std::fs::read_to_string(format!("/proc/{first}/root/run/lace/copy.json")).unwrap_or_default();
        text.contains(&format!("\"{address}\""))
    };
    let first = world.first_processes()?.into_iter().find(is_it).ok_or("no such node")?;
    let is_runtime = |pid: &i32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.trim() == "beam.smp"
    };
    let pid = descendants(first).into_iter().find(is_runtime).ok_or("no runtime in the node")?;
    Pid::from_raw(pid).ok_or_else(|| "no process id".into())
}

/// When the first node has another runtime than the one that was killed.
async fn starts_again(world: &World, killed: Pid) -> Result<Instant, Failure> {
    let deadline = Instant::now() + WITHIN;
    while runtime(world, 1).await.map_or(true, |pid| pid == killed) {
        if Instant::now() > deadline {
            return Err("the first node does not start again".into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(Instant::now())
}

/// Whom a node names as the one that runs it: by a call to that very process.
async fn runner(world: &World, asked: u32) -> Option<String> {
    let call = BeamCall {
        module: "ball_srv".into(),
        function: "ask".into(),
        arguments: String::new(),
        within_ms: Some(500),
    };
    let target = format!("ball/ball/{asked}").parse().ok()?;
    let answer = world.client.beam_call(&BeamCallRequest { target, call }).await.ok()?;
    answer.term.strip_prefix("{'")?.split_once('\'').map(|(node, _)| node.to_owned())
}

async fn runs_on(world: &World, asked: u32, index: u32) -> Result<(), Failure> {
    let wanted = format!("@ball-{index}.");
    until(world, asked, |name| name.contains(&wanted)).await.map(drop)
}

async fn runs_elsewhere(world: &World, asked: u32) -> Result<Instant, Failure> {
    until(world, asked, |name| !name.contains("@ball-1.")).await
}

async fn until(world: &World, asked: u32, is_meant: impl Fn(&str) -> bool) -> Result<Instant, Failure> {
    let deadline = Instant::now() + WITHIN;
    loop {
        let said = runner(world, asked).await;
        if said.as_deref().is_some_and(&is_meant) {
            return Ok(Instant::now());
        }
        if Instant::now() > deadline {
            let who = said.as_deref().unwrap_or("nobody");
            return Err(format!("not where it should be: {who} runs it after {} s", WITHIN.as_secs()).into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
