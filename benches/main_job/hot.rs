//! A hot upgrade of running Erlang nodes, one after the other, each watched before the next.

use crate::bare;
use crate::probe::run_time;
use crate::report::Report;
use crate::world::World;
use crate::{Bounds, Failure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// For one node: installed, compared, watched for half a second, permanent.
const A_NODE_MS: f64 = 2_000.0;
const NODES: u32 = 3;

const MANIFEST: &str = r#"
[application]
name = "count"

[service.count]
release = "counter@1.0.0"
count = 3
cpu = 0.25
memory = "128MiB"
beam = { net_ticktime = 9, applications = ["counter"] }
rollout = { strategy = "hot", healthy_for = "500ms" }
"#;

/// Builds both versions of `tests/hot`, and upgrades three nodes round after round.
pub async fn measure(world: &World, bounds: &Bounds, report: &mut Report) -> Result<(), Failure> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hot/build.escript");
    let place = |version: &str| world.files().join(format!("counter-{version}"));
    let make = |version: &str, former: Option<PathBuf>| -> Result<(), Failure> {
        run_time(Command::new("escript").arg(&script).arg(version).arg(place(version)).args(former))?;
        let dir = place(version).display().to_string();
        world.run(&["release", "upload", "counter", &dir, "--version", version]).map(drop)
    };
    make("1.0.0", None)?;
    make("2.0.0", Some(place("1.0.0")))?;
    let (old, new) = (place("1.0.0"), place("2.0.0"));
    bare::hot(world.files(), [&old, &new], bounds, report).await?;
    let dir = world.files().join("count");
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join("lace.toml"), MANIFEST)?;
    let mut each = Vec::new();
    for _ in 0..bounds.long_rounds {
        world.run(&["deploy", "count", &dir.display().to_string()])?;
        let began = Instant::now();
        world.run(&["release", "activate", "count/count", "counter@2.0.0"])?;
        each.push(began.elapsed() / NODES);
        world.delete("count").await?;
    }
    report.times("hot upgrade of three nodes, for each", &each).aim(A_NODE_MS).beside(bare::HOT);
    Ok(())
}
