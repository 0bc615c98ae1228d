//! Three nodes of an Erlang cluster, beside the same three boots without anybody's help.

use crate::bare::{self, Bare};
use crate::probe::{descendants, is_installed, pss_mib, run_time, until_answers};
use crate::report::{MIB, Report};
use crate::world::World;
use crate::{Bounds, Failure};
use lace_model::application::ApplyRequest;
use lace_model::{AppName, ByteSize, CpuMillis};
use lace_wire::api::BeamCallRequest;
use lace_wire::beam::BeamCall;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const BARE: &str = "three bare erl boots until /up answers";
/// What Lace may add to the bare boots: names, addresses, clustering, checks.
const BEYOND_BARE_MS: f64 = 3_000.0;
const NODES: usize = 3;

/// Builds examples/ball and measures both.
pub async fn measure(world: &World, bounds: &Bounds, report: &mut Report) -> Result<(), Failure> {
    if !is_installed("erlc") {
        report.note("Erlang is not installed: scripts/install.sh --for bench");
        return Ok(());
    }
    let ball = world.files().join("ball");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ball");
    run_time(Command::new("cp").arg("-r").arg(source).arg(&ball))?;
    // Uploads the release, and tells what has to be applied.
    world.run(&["deploy", "ball", &ball.display().to_string()])?;
    let app = AppName::new("ball")?;
    let spec = world.client.export(&app).await?;
    world.delete("ball").await?;
    let request = ApplyRequest { app, spec, prune: false, delete_data: false, plan: None };

    let bare: Result<Vec<_>, _> =
        (0..bounds.long_rounds).map(|_| boot_bare(world.files(), &ball.join("_build/ball"))).collect();
    report.times(BARE, &bare?);
    let mut ours = Vec::new();
    for _ in 0..bounds.long_rounds {
        ours.push(boot_ours(world, &request).await?);
    }
    let row = report.times("three BEAM nodes: apply to clustered and healthy", &ours);
    row.beside(BARE);
    let bare = report.median(BARE).unwrap_or_default();
    let beyond = ours.iter().map(|t| t.as_secs_f64() * 1000.0 - bare).collect();
    report.values("three BEAM nodes: beyond the bare boots", crate::report::MS, beyond).aim(BEYOND_BARE_MS);
    calls(world, &request, report).await?;
    let release = ball.join("_build/ball");
    bare::failover(world.files(), &release, bounds, report).await?;
    crate::failover::measure(world, &request, bounds, report).await?;
    crate::hot::measure(world, bounds, report).await?;
    if !bounds.is_quick() {
        // The figure beside it is what this is about.
        if let Err(error) = bare::many(world.files(), &release, MANY, report).await {
            report.note(format!("{MANY} bare erl did not become one mesh: {error}"));
        }
        many(world, request, report).await?;
    }
    Ok(())
}

/// A call of a function in a runtime, over the agent's line to it.
const CALL_MS: f64 = 2.0;
const CALLS: usize = 300;

/// Calls one after the other, each as its host sees it: without the way through controller and command line.
async fn calls(world: &World, request: &ApplyRequest, report: &mut Report) -> Result<(), Failure> {
    let accepted = world.client.apply(request).await?;
    world.done(accepted).await?;
    let call = BeamCall {
        module: "erlang".to_owned(),
        function: "node".to_owned(),
        arguments: String::new(),
        within_ms: None,
    };
    let asked = BeamCallRequest { target: "ball/ball/1".parse()?, call };
    let mut took = Vec::new();
    for _ in 0..CALLS {
        let answer = world.client.beam_call(&asked).await?;
        took.push(Duration::from_micros(answer.took_us));
    }
    report.times("a call in a runtime, seen from its host", &took).aim(CALL_MS);
    world.delete("ball").await
}

/// Nodes of one mesh: each sees all others.
const MANY: u32 = 50;

async fn many(world: &World, mut request: ApplyRequest, report: &mut Report) -> Result<(), Failure> {
    let services = request.spec.services.values_mut();
    for family in services.flat_map(|service| service.families.values_mut()) {
        family.count = Some(MANY);
        family.cpu = Some(CpuMillis(100));
        family.memory = Some(ByteSize::mib(128));
    }
    let mut follower = world.follow(Some("ball")).await?;
    let begun = Instant::now();
    let accepted = world.client.apply(&request).await?;
    follower.hears("node.ready", MANY as usize).await?;
    let took = begun.elapsed();
    world.done(accepted).await?;
    let row = report.times(format!("{MANY} BEAM nodes: apply to clustered and healthy"), &[took]);
    row.beside(&bare::many_line(MANY));
    report.times(format!("{MANY} BEAM nodes: of that for each"), &[took / MANY]);
    let nodes = world.client.beam(&"ball".parse()?).await?;
    let seen = nodes.iter().map(|node| node.report.nodes.len() as u32);
    let whole = seen.filter(|seen| *seen == MANY - 1).count();
    if whole != MANY as usize {
        return Err(format!("{whole} of {MANY} nodes see all of the others").into());
    }
    report.note(format!("each of {MANY} BEAM nodes sees the {} others", MANY - 1));
    let whole = |first: i32| descendants(first).into_iter().filter_map(pss_mib).sum::<f64>();
    let sizes: Vec<f64> = world.first_processes()?.into_iter().map(whole).collect();
    let row = report.values(format!("{MANY} BEAM nodes: PSS of each node's processes"), MIB, sizes);
    row.beside(&bare::memory_line(MANY));
    world.delete("ball").await
}

/// Apply until a follower has seen each node ready; that they see one another is asked afterwards.
async fn boot_ours(world: &World, request: &ApplyRequest) -> Result<Duration, Failure> {
    let mut follower = world.follow(Some("ball")).await?;
    let begun = Instant::now();
    let accepted = world.client.apply(request).await?;
    follower.hears("node.ready", NODES).await?;
    let took = begun.elapsed();
    let said = world.run(&["exec", "ball", "--", "bin/ball", "eval", "length(nodes())"])?;
    let clustered = said.lines().filter(|l| l.trim_end().ends_with('2')).count();
    if clustered != NODES {
        return Err(format!("{clustered} of {NODES} nodes see the two others: {said}").into());
    }
    world.done(accepted).await?;
    world.delete("ball").await?;
    Ok(took)
}

/// Three at once, each with an address of its own on the loopback interface.
fn boot_bare(files: &Path, release: &Path) -> Result<Duration, Failure> {
    let bare = Bare::of(files, release, "ball")?;
    let begun = Instant::now();
    let nodes: Vec<_> = (1..=NODES).map(|n| bare.start(n, None)).collect::<Result<_, _>>()?;
    for (_, port) in &nodes {
        until_answers(SocketAddr::from(([127, 0, 0, 1], *port)), "/up", Duration::from_secs(60))?;
    }
    Ok(begun.elapsed())
}
