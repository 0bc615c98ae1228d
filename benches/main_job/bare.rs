//! What OTP does without anybody's help: the same releases as plain processes on loopback addresses, started, killed and
//! upgraded by hand. No isolation, no limits, nobody who watches: the peer of what Lace does with them.

use crate::idle::Ending;
use crate::probe::{free_port, pss_mib, run_time, until_answers};
use crate::report::{MIB, Report};
use crate::{Bounds, Failure};
use lace_beam::link::Settings;
use lace_beam::{Call, Identity, Link, Term};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// The line of a killed runtime whose application starts elsewhere.
pub const FAILOVER: &str = "bare OTP: killed, another node answers";
/// The line of a runtime that takes its application over again.
pub const TAKEOVER: &str = "bare OTP: killed, started by hand, runs it again";
/// The line of the release handler's steps.
pub const HOT: &str = "bare OTP: a hot upgrade by its steps alone";

const COOKIE: &str = "only-for-this-run";
/// The longest that anything here is waited for.
const WITHIN: Duration = Duration::from_secs(60);
const VOTERS: usize = 3;

/// The line of so many runtimes.
pub fn many_line(nodes: u32) -> String {
    format!("{nodes} bare erl boots, each connected to all")
}

/// The line of their memory.
pub fn memory_line(nodes: u32) -> String {
    format!("{nodes} bare erl: PSS of each")
}

/// A place for runtimes of one release, and what they share.
pub struct Bare<'a> {
    files: &'a Path,
    release: PathBuf,
    name: &'static str,
    port: u16,
}

impl<'a> Bare<'a> {
    /// Of the release in a directory, whose script has that name.
    pub fn of(files: &'a Path, release: &Path, name: &'static str) -> Result<Self, Failure> {
        Ok(Self { files, release: release.to_owned(), name, port: free_port()? })
    }

    fn node(&self, n: usize) -> String {
        format!("{}@127.0.0.{}", self.name, 10 + n)
    }

    /// Starts one; its port for HTTP is the answer's second part.
    pub fn start(&self, n: usize, config: Option<&Path>) -> Result<(Ending, u16), Failure> {
        let home = self.files.join(format!("bare-{}-{n}", self.name));
        fs::create_dir_all(&home)?;
        let http = free_port()?;
        let mut command = Command::new(self.release.join("bin").join(self.name));
        command
            .arg("foreground")
            .env("HOME", &home)
            .env("LACE_NODE_NAME", self.node(n))
            .env("LACE_COOKIE", COOKIE)
            .env("ERL_DIST_PORT", self.port.to_string())
            .env("ERL_FLAGS", format!("-kernel inet_dist_use_interface {{127,0,0,{}}}", 10 + n))
            .env("PORT", http.to_string())
            .current_dir(&home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(config) = config {
            command.env("LACE_SYS_CONFIG", config);
        }
        Ok((Ending(command.spawn()?), http))
    }

    /// A hidden connection to one, as soon as it listens.
    async fn link(&self, n: usize) -> Result<Link, Failure> {
        let me = Identity { node: "lace@bench.lace.internal".to_owned(), cookie: COOKIE.to_owned() };
        let at = SocketAddr::from(([127, 0, 0, (10 + n) as u8], self.port));
        let deadline = Instant::now() + WITHIN;
        loop {
            if let Ok(stream) = TcpStream::connect(at).await {
                stream.set_nodelay(true)?;
                if let Ok(link) = Link::connect(stream, &me, &self.node(n), &Settings::default()).await {
                    return Ok(link);
                }
            }
            if Instant::now() > deadline {
                return Err(format!("{} does not answer", self.node(n)).into());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Has one connect to another; whoever does not come is looked for again.
    async fn connect(&self, link: &Link, to: usize) {
        let to = Term::atom(&self.node(to));
        let _ = link.call(Call::new("net_kernel", "connect_node", vec![to])).await;
    }

    /// kernel's `distributed` with the first node before the others.
    fn config(&self, n: usize) -> Result<PathBuf, Failure> {
        let all: Vec<_> = (1..=VOTERS).map(|n| format!("'{}'", self.node(n))).collect();
        let others: Vec<_> = (1..=VOTERS).filter(|other| *other != n).map(|n| all[n - 1].as_str()).collect();
        let text = format!(
            "[{{kernel,[{{distributed,[{{{},0,[{},{{{}}}]}}]}},{{sync_nodes_optional,[{}]}},\
             {{sync_nodes_timeout,5000}},{{net_ticktime,8}}]}}].\n",
            self.name,
            all[0],
            all[1..].join(","),
            others.join(","),
        );
        let path = self.files.join(format!("peers-{n}.config"));
        fs::write(&path, text)?;
        Ok(path)
    }
}

/// A distributed application when its node dies, and when that node is started again by hand.
pub async fn failover(
    files: &Path,
    release: &Path,
    bounds: &Bounds,
    report: &mut Report,
) -> Result<(), Failure> {
    let bare = Bare::of(files, release, "ball")?;
    let configs: Vec<_> = (1..=VOTERS).map(|n| bare.config(n)).collect::<Result<_, _>>()?;
    let start = |n: usize| bare.start(n, Some(&configs[n - 1])).map(|(ending, _)| ending);
    let mut nodes: Vec<_> = (1..=VOTERS).map(start).collect::<Result<_, _>>()?;
    let second = bare.link(2).await?;
    let first = bare.node(1);
    let (mut over, mut back) = (Vec::new(), Vec::new());
    for _ in 0..bounds.long_rounds {
        until(async || runner(&second).await.is_some_and(|name| name == first)).await?;
        let began = Instant::now();
        drop(nodes.remove(0));
        until(async || runner(&second).await.is_some_and(|name| name != first)).await?;
        over.push(began.elapsed());
        nodes.insert(0, start(1)?);
        until(async || runner(&second).await.is_some_and(|name| name == first)).await?;
        back.push(began.elapsed());
    }
    report.times(FAILOVER, &over);
    report.times(TAKEOVER, &back);
    Ok(())
}

/// Whom a node names as the one that runs it.
async fn runner(link: &Link) -> Option<String> {
    let call = Call::new("ball_srv", "ask", Vec::new()).within(Duration::from_millis(500));
    Some(link.call(call).await.ok()?.as_tuple()?.first()?.as_atom()?.to_owned())
}

async fn until(is_so: impl AsyncFn() -> bool) -> Result<(), Failure> {
    let deadline = Instant::now() + WITHIN;
    while !is_so().await {
        if Instant::now() > deadline {
            return Err(format!("a bare runtime is not as it should be after {} s", WITHIN.as_secs()).into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// The release handler's steps in one runtime, the new release's files in place already.
pub async fn hot(
    files: &Path,
    [old, new]: [&Path; 2],
    bounds: &Bounds,
    report: &mut Report,
) -> Result<(), Failure> {
    let mut took = Vec::new();
    for round in 0..bounds.long_rounds {
        let root = files.join(format!("bare-root-{round}"));
        run_time(Command::new("cp").arg("-r").arg(old).arg(&root))?;
        for part in ["lib/counter-2.0.0", "releases/2.0.0"] {
            run_time(Command::new("cp").arg("-r").arg(new.join(part)).arg(root.join(part)))?;
        }
        let bare = Bare::of(files, &root, "counter")?;
        let (_node, _) = bare.start(1, None)?;
        let link = bare.link(1).await?;
        let is_up = || Call::new("counter", "value", Vec::new());
        until(async || link.call(is_up()).await.is_ok()).await?;
        let version = || Term::charlist("2.0.0");
        let rel = root.join("releases/2.0.0/counter.rel").display().to_string();
        let began = Instant::now();
        for (step, words) in [
            ("set_unpacked", vec![Term::charlist(&rel), Term::List(Vec::new())]),
            ("check_install_release", vec![version()]),
            ("install_release", vec![version()]),
            ("make_permanent", vec![version()]),
        ] {
            let said = link.call(Call::new("release_handler", step, words).within(WITHIN)).await?;
            let word = said.as_tuple().and_then(<[Term]>::first).unwrap_or(&said);
            if word.as_atom() != Some("ok") {
                return Err(format!("{step}: {said:?}").into());
            }
        }
        took.push(began.elapsed());
    }
    report.times(HOT, &took);
    Ok(())
}

/// So many runtimes at once, until each sees all others.
pub async fn many(files: &Path, release: &Path, nodes: u32, report: &mut Report) -> Result<(), Failure> {
    let bare = Bare::of(files, release, "ball")?;
    let began = Instant::now();
    let mut all = Vec::new();
    for n in 1..=nodes as usize {
        all.push(bare.start(n, None)?);
    }
    let mut links = Vec::new();
    for (n, (_, http)) in (1..).zip(&all) {
        until_answers(SocketAddr::from(([127, 0, 0, 1], *http)), "/up", WITHIN)?;
        // OTP connects everybody whom the other one knows.
        let link = bare.link(n).await?;
        bare.connect(&link, 1).await;
        links.push(link);
    }
    // Who connects in the same moment as others may be left out (global's prevention of overlapping partitions): somebody
    // has to connect him again.
    until(async || {
        let mut are_whole = true;
        for (n, link) in (1..).zip(&links) {
            let seen = link.call(Call::new("erlang", "nodes", Vec::new())).await;
            let seen = seen.ok().and_then(|seen| Some(seen.as_list()?.to_vec())).unwrap_or_default();
            let lacks = |other: &usize| *other != n && !seen.contains(&Term::atom(&bare.node(*other)));
            for other in (1..=nodes as usize).filter(lacks) {
                are_whole = false;
                bare.connect(link, other).await;
            }
        }
        are_whole
    })
    .await?;
    report.times(many_line(nodes), &[began.elapsed()]);
    let sizes = all.iter().filter_map(|(node, _)| pss_mib(node.0.id() as i32)).collect();
    report.values(memory_line(nodes), MIB, sizes);
    Ok(())
}
