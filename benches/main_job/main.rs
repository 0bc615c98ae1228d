//! The main job on one machine, measured on the real binary: `cargo bench -p lace --bench main_job [-- --quick] [--only FIGURE]`.
//!
//! Every figure is of whole processes and goes through the door that a user takes. Where a peer does a comparable
//! thing it is measured in the same run, so that the ratio holds on a busy machine too. Installations have states,
//! ports and a private space of their own; nothing of them stays.

mod bare;
mod beam;
mod cost;
mod crashing;
mod exec;
mod failover;
mod hot;
mod idle;
mod many;
mod peer;
mod probe;
mod report;
mod single;
mod world;

use report::Report;
use std::process::ExitCode;
use std::time::Instant;
use world::World;

/// What may go wrong here ends one section of the run.
type Failure = Box<dyn std::error::Error>;

/// The second part of the private space: 10.230.0.0/16.
const NET: u8 = 230;

/// How much is measured.
struct Bounds {
    /// Nodes that are added one after the other.
    singles: u32,
    /// Sizes of the families that are applied as a whole.
    families: Vec<u32>,
    /// Rounds of what is short.
    rounds: usize,
    /// Rounds of what takes seconds.
    long_rounds: usize,
    /// The one figure that is asked for; all where none is.
    only: Option<String>,
}

/// The figures that `--only` knows, beside `nodes-COUNT`.
const FIGURES: [&str; 6] = ["cold-start", "at-rest", "single", "exec", "crashing", "beam"];

impl Bounds {
    fn full() -> Self {
        Self { singles: 100, families: vec![100, 1000], rounds: 20, long_rounds: 5, only: None }
    }

    fn quick() -> Self {
        Self { singles: 10, families: vec![10], rounds: 5, long_rounds: 1, only: None }
    }

    /// What the words say; an error in words.
    fn of(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut bounds = Self::full();
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--quick" => bounds = Self { only: bounds.only, ..Self::quick() },
                "--only" => bounds.only = words.next(),
                // What cargo adds.
                "--bench" => {}
                other => return Err(format!("there is no '{other}'")),
            }
        }
        match bounds.only.as_deref().map(|only| (only, only.strip_prefix("nodes-").map(str::parse))) {
            Some((_, Some(Ok(count)))) => bounds.families = vec![count],
            Some((only, _)) if !FIGURES.contains(&only) => {
                return Err(format!("--only: there is no '{only}': nodes-COUNT or {}", FIGURES.join(", ")));
            }
            _ => {}
        }
        Ok(bounds)
    }

    /// Are only the short figures wanted?
    fn is_quick(&self) -> bool {
        self.long_rounds == Self::quick().long_rounds
    }

    fn wants(&self, figures: &[&str]) -> bool {
        self.only.as_deref().is_none_or(|only| figures.iter().any(|figure| only.starts_with(figure)))
    }
}

fn main() -> ExitCode {
    let bounds = match Bounds::of(std::env::args().skip(1)) {
        Ok(bounds) => bounds,
        Err(error) => {
            eprintln!("main_job: {error}");
            return ExitCode::from(2);
        }
    };
    if !rustix::process::geteuid().is_root() {
        eprintln!("main_job: light nodes need root: sudo make bench");
        return ExitCode::from(2);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut report = Report::begin();
    let whole = runtime.block_on(async {
        tokio::select! {
            () = run(&bounds, &mut report) => true,
            _ = tokio::signal::ctrl_c() => false,
        }
    });
    report.print();
    if whole && report.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All sections that are wanted. One that fails is named in the report and the others go on.
async fn run(bounds: &Bounds, report: &mut Report) {
    if bounds.wants(&["cold-start"]) {
        section("cold start of the controller", report, async |r| idle::cold_start(bounds, r).await).await;
    }
    if !bounds.wants(&["at-rest", "single", "exec", "nodes-", "crashing", "beam"]) {
        return;
    }
    let world = match World::up(NET).await {
        Ok(world) => world,
        Err(error) => return report.failed("lace up", error.as_ref()),
    };
    if bounds.wants(&["at-rest"]) {
        section("memory at rest", report, async |r| idle::at_rest(&world, r).await).await;
    }
    if bounds.wants(&["single", "exec"]) {
        section("peers of a start", report, async |r| peer::starts(bounds, r)).await;
        section("single nodes", report, async |r| single::measure(&world, bounds, r).await).await;
        section("exec", report, async |r| exec::measure(&world, bounds, r).await).await;
        section("the end of the single nodes", report, async |_| world.delete("bench").await).await;
    }
    for nodes in bounds.families.iter().filter(|_| bounds.wants(&["nodes-"])) {
        let what = format!("a family of {nodes}");
        section(&what, report, async |r| many::measure(&world, *nodes, bounds, r).await).await;
    }
    if bounds.wants(&["crashing"]) {
        section("a crashing revision", report, async |r| crashing::measure(&world, bounds, r).await).await;
    }
    if bounds.wants(&["beam"]) {
        section("three BEAM nodes", report, async |r| beam::measure(&world, bounds, r).await).await;
    }
    section("lace down", report, async |_| world.down()).await;
}

async fn section(
    what: &str,
    report: &mut Report,
    work: impl AsyncFnOnce(&mut Report) -> Result<(), Failure>,
) {
    let begun = Instant::now();
    let outcome = work(report).await;
    eprintln!("main_job: {what}: {:.1} s", begun.elapsed().as_secs_f64());
    if let Err(error) = outcome {
        report.failed(what, error.as_ref());
    }
}
