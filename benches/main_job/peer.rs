//! What others take to start something isolated: no network, no limits, no name, nobody who watches it.

use crate::probe::{is_installed, run_time};
use crate::report::Report;
use crate::{Bounds, Failure};
use std::process::Command;
use std::time::{Duration, Instant};

/// The line of bare namespaces.
pub const UNSHARE: &str = "unshare -mpnui --fork true";
/// The line of bubblewrap.
pub const BWRAP: &str = "bwrap --unshare-all true";

/// The line of containers.
pub const PODMAN: &str = "podman run --network none true";

/// Containers started at most.
const CONTAINERS: u32 = 20;

/// Starters of bare namespaces at the same time, about as many as an agent has.
const STARTERS: u32 = 4;

/// One start after the other.
pub fn starts(bounds: &Bounds, report: &mut Report) -> Result<(), Failure> {
    let bubble = ["--ro-bind", "/", "/", "--unshare-all", "--proc", "/proc", "--dev", "/dev", "true"];
    let peers: [(&str, &str, &[&str]); 2] =
        [(UNSHARE, "unshare", &["-mpnui", "--fork", "true"]), (BWRAP, "bwrap", &bubble)];
    for (line, program, args) in peers {
        if !is_installed(program) {
            report.note(format!("{program} is not installed: scripts/install.sh --for bench"));
            continue;
        }
        let rounds = 0..bounds.singles;
        let times: Result<Vec<_>, _> = rounds.map(|_| run_time(Command::new(program).args(args))).collect();
        report.times(line, &times?);
    }
    containers(bounds, report)
}

/// Is podman there at all?
pub fn is_beside_containers() -> bool {
    is_installed("podman")
}

/// One container after the other on the same files, with whichever runtime podman finds that takes this host.
fn containers(bounds: &Bounds, report: &mut Report) -> Result<(), Failure> {
    if !is_installed("podman") {
        report.note("podman is not installed, so it is not beside".to_owned());
        return Ok(());
    }
    let run = |runtime: &str| {
        let mut command = Command::new("podman");
        command.args(["--cgroup-manager", "cgroupfs", "--runtime", runtime]);
        command.args(["run", "--rm", "--network", "none", "--rootfs", "/:O", "true"]);
        command
    };
    let Some(runtime) = ["crun", "runc"].into_iter().find(|runtime| run_time(&mut run(runtime)).is_ok())
    else {
        report.note("podman is installed, but neither crun nor runc starts anything here".to_owned());
        return Ok(());
    };
    let rounds = 0..bounds.singles.min(CONTAINERS);
    let times: Result<Vec<_>, _> = rounds.map(|_| run_time(&mut run(runtime))).collect();
    report.note(format!("podman starts them by {runtime}"));
    report.times(PODMAN, &times?);
    Ok(())
}

/// The line of so many bare namespaces.
pub fn many_line(nodes: u32) -> String {
    format!("{nodes} x unshare, {STARTERS} at a time")
}

/// So many bare namespaces, a few starters at a time.
pub fn many(nodes: u32) -> Result<Duration, Failure> {
    let begun = Instant::now();
    let one =
        || run_time(Command::new("unshare").args(["-mpnui", "--fork", "true"])).map_err(|e| e.to_string());
    std::thread::scope(|scope| {
        let starter = |first| {
            scope.spawn(move || (first..nodes).step_by(STARTERS as usize).try_for_each(|_| one().map(drop)))
        };
        let starters: Vec<_> = (0..STARTERS).map(starter).collect();
        starters.into_iter().try_for_each(|s| s.join().unwrap_or_else(|_| Err("a starter panicked".into())))
    })?;
    Ok(begun.elapsed())
}
