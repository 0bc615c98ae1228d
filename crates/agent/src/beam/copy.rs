//! The commands by which a node's PID 1 runs the family's distributed application itself: `lace copy ready|start|stop FILE`.
//!
//! Our own executable does it, in the node, over the distribution protocol: nothing of it is in the release, and no agent
//! has to be there. The file lies on the node's tmpfs, for root only. What the order of things is for safety's sake is in
//! PID 1: it counts the copy as running before `start` is begun, and no command outlives its process.

use super::{COOKIE, base_name, node_name, tls};
use crate::context::{Context, Peer};
use crate::spec::Subject;
use lace_beam::link::Settings;
use lace_beam::{Call, Identity, Link, Term};
use lace_machine::{CopySpec, FileSpec};
use lace_model::beam::{Beam, DISTRIBUTION_PORT};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::net::TcpStream;

/// Where the file lies in a node.
pub const FILE: &str = "/run/lace/copy.json";
/// Whatever executable PID 1 is.
const OURSELVES: &str = "/proc/self/exe";
/// The role's word.
const ROLE: &str = "copy";
/// Our name in every cluster, another one than the agent's: both lines may be open.
const OUR_NAME: &str = "lace@pid1.lace.internal";
/// Between two looks at a runtime that boots.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The same where distribution goes over TLS: the runtime logs an error for whoever comes too early.
const TLS_LOOK_EVERY: Duration = Duration::from_millis(250);
/// A runtime that has not booted for so long is asked again by a new command.
const READY_WITHIN: Duration = Duration::from_secs(50);
/// A TCP connection within the node.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// For small questions.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// OTP waits for peers of the mesh that it believes in.
const PERMIT_WITHIN: Duration = Duration::from_secs(20);
/// The variable by which PID 1 names the seats that it does not hear.
const UNHEARD: &str = "LACE_UNHEARD";

/// What the commands have to know.
#[derive(Serialize, Deserialize)]
struct Sheet {
    /// The runtime's node name.
    node: String,
    /// Its address.
    address: Ipv4Addr,
    /// The distributed application.
    application: String,
    /// `net_ticktime`, seconds.
    tick_s: u32,
    /// Node names by seat.
    peers: BTreeMap<u32, String>,
    /// Distribution goes over TLS.
    #[serde(default)]
    tls: bool,
}

/// The file of a node that votes.
pub fn file(subject: &Subject, beam: &Beam, context: &Context) -> Option<FileSpec> {
    let application = beam.failover.clone().filter(|_| subject.votes.is_some())?;
    let base = base_name(beam, &subject.kin.service()?);
    let name = |peer: &Peer| node_name(&base, beam.names, peer);
    let sheet = Sheet {
        node: name(context.me()),
        address: subject.address,
        application,
        tick_s: beam.net_ticktime,
        peers: context.peers().iter().map(|peer| (peer.index, name(peer))).collect(),
        tls: beam.tls,
    };
    let text = serde_json::to_vec(&sheet).unwrap_or_default();
    Some(crate::spec::private(FILE, text))
}

/// What PID 1 is told; none where the node is no backup.
pub fn spec(subject: &Subject) -> Option<CopySpec> {
    let beam = subject.spec.beam.as_ref()?;
    let words = |verb: &str| [OURSELVES, ROLE, verb, FILE].map(str::to_owned).to_vec();
    (subject.index <= beam.backups + 1).then(|| CopySpec {
        ready: words("ready"),
        start: words("start"),
        stop: words("stop"),
        preference: u64::from(beam.takeover && subject.index == 1),
    })
}

/// The role: its words after `copy`.
pub fn main(words: &[String]) -> ExitCode {
    let done = match words {
        [verb, file] => run(verb, file),
        _ => Err("lace copy is begun by a node's PID 1, not by hand".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "{why}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: &str, file: &str) -> Result<(), String> {
    let text = std::fs::read(file).map_err(|e| format!("{file}: {e}"))?;
    let sheet: Sheet = serde_json::from_slice(&text).map_err(|e| format!("{file}: {e}"))?;
    let cookie = std::fs::read_to_string(COOKIE).map_err(|e| format!("{COOKIE}: {e}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let work = async {
        match verb {
            "ready" => tokio::time::timeout(READY_WITHIN, ready(&sheet, &cookie))
                .await
                .map_err(|_| "its runtime has not booted yet".to_owned()),
            "start" => start(&sheet, &cookie).await,
            "stop" => permit(&connect(&sheet, &cookie).await?, &sheet, false).await,
            other => Err(format!("no such verb: {other}")),
        }
    };
    runtime.map_err(|e| e.to_string())?.block_on(work)
}

/// Waits until the runtime has booted.
async fn ready(sheet: &Sheet, cookie: &str) {
    let pause = if sheet.tls { TLS_LOOK_EVERY } else { LOOK_EVERY };
    loop {
        if let Ok(link) = connect(sheet, cookie).await {
            while link.why_closed().is_none() {
                if has_booted(&link).await.is_ok() {
                    return;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        tokio::time::sleep(pause).await;
    }
}

async fn start(sheet: &Sheet, cookie: &str) -> Result<(), String> {
    let link = connect(sheet, cookie).await?;
    has_booted(&link).await?;
    let unheard = std::env::var(UNHEARD).unwrap_or_default();
    for peer in unheard.split(' ').filter_map(|seat| sheet.peers.get(&seat.parse().ok()?)) {
        // OTP would wait for it, for as long as it takes to miss it.
        let call = Call::new("erlang", "disconnect_node", vec![Term::atom(peer)]);
        let _ = link.call(call.within(ANSWER_WITHIN)).await;
    }
    permit(&link, sheet, true).await
}

async fn connect(sheet: &Sheet, cookie: &str) -> Result<Link, String> {
    let connected = TcpStream::connect((sheet.address, DISTRIBUTION_PORT));
    let connected = tokio::time::timeout(CONNECT_WITHIN, connected).await;
    let stream = connected.map_err(|_| "its distribution port does not answer".to_owned())?;
    let stream = stream.map_err(|e| format!("its distribution port: {e}"))?;
    let me = Identity { node: OUR_NAME.to_owned(), cookie: cookie.trim().to_owned() };
    let tick_time = Duration::from_secs(u64::from(sheet.tick_s.max(4)));
    let settings = Settings { tick_time, ..Settings::default() };
    let credentials = sheet.tls.then(tls::credentials_here).transpose()?;
    tls::link(stream, credentials, &me, &sheet.node, settings).await
}

async fn has_booted(link: &Link) -> Result<(), String> {
    let status = link.call(Call::new("init", "get_status", vec![]).within(ANSWER_WITHIN)).await;
    let status = status.map_err(|e| e.to_string())?;
    match status.as_tuple().and_then(|parts| parts.first()?.as_atom()) {
        Some("started") => Ok(()),
        _ => Err("its runtime has not booted".to_owned()),
    }
}

async fn permit(link: &Link, sheet: &Sheet, is: bool) -> Result<(), String> {
    let word = Term::atom(if is { "true" } else { "false" });
    let call = Call::new("application", "permit", vec![Term::atom(&sheet.application), word]);
    match link.call(call.within(PERMIT_WITHIN)).await {
        Ok(answer) if answer.as_atom() == Some("ok") => Ok(()),
        Ok(other) => Err(format!("permit: {}", lace_beam::term::print::print(&other, None))),
        Err(error) => Err(format!("permit: {error}")),
    }
}
