//! Cold start of the controller, and what the roles keep in memory while nothing happens.

use crate::probe::{cpu_seconds, free_port, rss_anon_mib, until_answers};
use crate::report::{MIB, Report, S};
use crate::world::{World, lace};
use crate::{Bounds, Failure};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// After this, what a burst left has been given back.
const REST: Duration = Duration::from_secs(3);

/// `lace server` from its start to the first answer: with nothing there (keys, authority and tables are made), and
/// with a state that was there.
pub async fn cold_start(bounds: &Bounds, report: &mut Report) -> Result<(), Failure> {
    let (mut fresh, mut again) = (Vec::new(), Vec::new());
    for _ in 0..bounds.rounds {
        let dir = tempfile::Builder::new().prefix("lace-bench-").tempdir()?;
        fresh.push(start_server(dir.path())?);
        again.push(start_server(dir.path())?);
    }
    report.times("controller: cold start to first answer", &again).aim(150.0);
    report.times("controller: first start ever, keys and tables made", &fresh).aim(150.0);
    Ok(())
}

fn start_server(dir: &Path) -> Result<Duration, Failure> {
    let listen = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    let link = format!("127.0.0.1:{}", free_port()?);
    let begun = Instant::now();
    let child = Command::new(lace())
        .args(["server", "--listen", &listen.to_string(), "--link", &link, "--space", "10.231.0.0/16"])
        .arg("--state")
        .arg(dir.join("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let child = Ending(child);
    until_answers(listen, "/healthz", Duration::from_secs(20))?;
    let took = begun.elapsed();
    drop(child);
    Ok(took)
}

/// A child that ends with its scope.
pub struct Ending(pub Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The roles without any node.
pub async fn at_rest(world: &World, report: &mut Report) -> Result<(), Failure> {
    memory(world, 0, report).await
}

/// The roles with so many nodes, after a rest.
pub async fn memory(world: &World, nodes: usize, report: &mut Report) -> Result<(), Failure> {
    tokio::time::sleep(REST).await;
    for (role, name, aim) in [("server", "controller", 64.0), ("agent", "agent", 16.0)] {
        let value = rss_anon_mib(world.pid(role)?).ok_or_else(|| format!("{role} has ended"))?;
        report.values(format!("{name}: RssAnon with {nodes} nodes"), MIB, vec![value]).aim(aim);
    }
    Ok(())
}

/// The agent is killed; until its successor's session is open, with all nodes in the first frame, and what it took.
pub async fn agent_again(world: &World, nodes: u32, report: &mut Report) -> Result<(), Failure> {
    let mut follower = world.follow(None).await?;
    let former = world.pid("agent")?;
    let pid = rustix::process::Pid::from_raw(former).ok_or("no pid of the agent")?;
    let begun = Instant::now();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
    follower.hears("host.connected", 1).await?;
    report.times(format!("{nodes} nodes: agent killed to its successor's session"), &[begun.elapsed()]);
    tokio::time::sleep(REST).await;
    let agent = world.pid("agent")?;
    let value = rss_anon_mib(agent).ok_or("the agent's successor has ended")?;
    report.values(format!("agent: RssAnon with {nodes} nodes that it found"), MIB, vec![value]).aim(16.0);
    let (spent, _) = cpu_seconds(agent).unwrap_or_default();
    report.values(format!("{nodes} nodes: CPU of the agent's successor, {REST:?} after"), S, vec![spent]);
    Ok(())
}
