//! Is a BEAM node ready? Booted, its applications run, and it sees the members of its family that are up.
//!
//! Asked over the agent's own line to the runtime; where there is none for long, the release's own tool is the bridge.
//! The same question makes the node connect to those that it does not see yet, so that the mesh closes.

use super::config::{atom, atoms};
use super::line::{Line, Sight};
use super::{base_name, node_name};
use crate::context::Peer;
use crate::hands::Hands;
use lace_beam::{Call, CallError, Link, Term};
use lace_machine::{ExecSpec, NodeHandle};
use lace_model::document::NodeEntry;
use lace_model::release::ReleaseKind;
use std::time::Duration;

/// Between two questions while it is not ready, and when it is.
pub const INTERVALS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// For one answer: `mix` starts a runtime of its own for it, and sharing global names waits for all members.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The word in an answer that says yes.
const READY: &str = "lace_ready";
/// The word that says what is missing.
const WAITS: &str = "lace_waits";

/// What a node lacks to be ready.
#[derive(Debug, PartialEq, Eq)]
pub struct Lacks {
    /// In words.
    pub what: String,
    /// It has booted and its applications run: it only does not see a member that is up.
    pub peers_only: bool,
    /// It sees them all, and only does not share their global names yet.
    pub names_only: bool,
}

impl From<String> for Lacks {
    fn from(what: String) -> Self {
        Self { what, peers_only: false, names_only: false }
    }
}

/// Asks once. A node that is `joining` also waits until it shares the global names of the others.
pub async fn ask(hands: &Hands, entry: &NodeEntry, node: &NodeHandle, joining: bool) -> Result<(), Lacks> {
    // Without a whole mesh `global` shares nothing, and would never answer.
    let joining = joining && entry.spec.beam.as_ref().is_some_and(|beam| beam.connect_all);
    match hands.lines.line(entry.id) {
        Line::Open(link) => by_line(hands, entry, &link, joining).await,
        Line::Young => Err("waits for its runtime to listen".to_owned().into()),
        Line::Broken(_) => by_tool(hands, entry, node, joining).await,
    }
}

async fn by_line(hands: &Hands, entry: &NodeEntry, link: &Link, joining: bool) -> Result<(), Lacks> {
    let call = |module, function| link.call(Call::new(module, function, vec![]));
    let asked = tokio::try_join!(
        call("init", "get_status"),
        call("erlang", "nodes"),
        call("application", "which_applications"),
    );
    let (state, nodes, running) = asked.map_err(|error: CallError| error.to_string())?;
    let first = |term: &Term| Some(term.as_tuple()?.first()?.as_atom()?.to_owned());
    let seen: Vec<_> = nodes.as_list().unwrap_or_default().iter().filter_map(Term::as_atom).collect();
    let others = others(hands, entry);
    let unseen: Vec<_> = others.iter().filter(|name| !seen.contains(&name.as_str())).collect();
    unseen.iter().for_each(|name| hands.lines.connect(entry.id, name, Sight::Seen));
    reach(hands, entry, link).await.map_err(|error| error.to_string())?;
    let running: Vec<_> = running.as_list().unwrap_or_default().iter().filter_map(first).collect();
    let beam = entry.spec.beam.as_ref();
    let wanted = beam.map(|beam| beam.applications.as_slice()).unwrap_or_default();
    let absent: Vec<_> = wanted.iter().filter(|name| !running.contains(name)).cloned().collect();
    let state = first(&state).unwrap_or_default();
    if state != "started" {
        return Err(format!("waits for its boot to end ({state})").into());
    }
    if !absent.is_empty() {
        return Err(format!("waits for applications {}", absent.join(" ")).into());
    }
    if !unseen.is_empty() {
        let names: Vec<_> = unseen.iter().map(|name| name.as_str()).collect();
        let what = format!("waits for nodes {}", names.join(" ").chars().take(300).collect::<String>());
        return Err(Lacks { what, peers_only: true, names_only: false });
    }
    if joining {
        let Some(sync) = hands.lines.sync(entry.id) else {
            return Err("waits for its runtime to listen".to_owned().into());
        };
        let shared = tokio::time::timeout(TIMEOUT, sync).await;
        shared.unwrap_or_else(|_| Err("no answer yet".to_owned())).map_err(|error| {
            let what = format!("waits for global names: {error}");
            Lacks { what, peers_only: false, names_only: true }
        })?;
    }
    Ok(())
}

/// Connects a gateway to those of the other clusters. A cluster is ready without them.
async fn reach(hands: &Hands, entry: &NodeEntry, link: &Link) -> Result<(), CallError> {
    let gateways = gateways(hands, entry);
    if gateways.is_empty() {
        return Ok(());
    }
    let hidden = link.call(Call::new("erlang", "nodes", vec![Term::atom("hidden")])).await?;
    let reached: Vec<_> = hidden.as_list().unwrap_or_default().iter().filter_map(Term::as_atom).collect();
    for name in gateways.iter().filter(|name| !reached.contains(&name.as_str())) {
        hands.lines.connect(entry.id, name, Sight::Hidden);
    }
    Ok(())
}

async fn by_tool(hands: &Hands, entry: &NodeEntry, node: &NodeHandle, joining: bool) -> Result<(), Lacks> {
    let Some(argv) = question(hands, entry, joining) else { return Ok(()) };
    let command = ExecSpec::new(argv).with(super::no_dump());
    let asked = crate::node::ask(node, move |node| node.output_within(&command, TIMEOUT));
    let (exit, out, err) = tokio::time::timeout(TIMEOUT, asked)
        .await
        .map_err(|_| "the node's tool does not answer".to_owned())??;
    let said = format!("{} {}", String::from_utf8_lossy(&out), String::from_utf8_lossy(&err));
    judge(&said).unwrap_or_else(|| Err(format!("the node does not answer yet ({})", exit.reason).into()))
}

fn judge(said: &str) -> Option<Result<(), Lacks>> {
    if said.contains(READY) {
        return Some(Ok(()));
    }
    let (_, rest) = said.split_once(WAITS)?;
    let words: Vec<_> =
        rest.split(['{', '}', ',', '[', ']', '\'', '"', '\n', ' ', ':']).filter(|w| !w.is_empty()).collect();
    let what = format!("waits for {}", words.join(" ").chars().take(300).collect::<String>());
    Some(Err(Lacks { what, peers_only: words.first() == Some(&"started"), names_only: false }))
}

/// The words that ask, through the release's start script.
fn question(hands: &Hands, entry: &NodeEntry, joining: bool) -> Option<Vec<String>> {
    let beam = entry.spec.beam.as_ref()?;
    let script = entry.spec.start.first()?;
    let others = others(hands, entry);
    let (verb, expression) = match entry.spec.kind {
        ReleaseKind::Relx => ("eval", erlang(&others, &beam.applications, joining)),
        ReleaseKind::Mix => ("rpc", elixir(&others, &beam.applications, joining)),
        ReleaseKind::Generic => return None,
    };
    Some(vec![script.clone(), verb.to_owned(), expression])
}

/// The node's own name.
pub fn own_name(entry: &NodeEntry) -> Option<String> {
    let beam = entry.spec.beam.as_ref()?;
    let base = base_name(beam, &entry.path.family.service_path());
    Some(node_name(&base, beam.names, &Peer::at(&entry.path, entry.address)))
}

/// The members of its cluster that are up and that it should see.
pub fn others(hands: &Hands, entry: &NodeEntry) -> Vec<String> {
    match &entry.spec.beam {
        Some(beam) if beam.join || beam.failover.is_some() => {
            kin(hands, entry, |other| beam.is_near(entry.path.index, other))
        }
        _ => Vec::new(),
    }
}

/// Those that a node may see beside: the family makes its mesh itself.
pub fn allowed(hands: &Hands, entry: &NodeEntry) -> Vec<String> {
    match &entry.spec.beam {
        Some(beam) if !beam.join && beam.failover.is_none() => kin(hands, entry, |_| true),
        _ => Vec::new(),
    }
}

/// The gateways of other clusters that it should be connected to out of sight: those that are up, where it is one.
pub fn gateways(hands: &Hands, entry: &NodeEntry) -> Vec<String> {
    match &entry.spec.beam {
        Some(beam) if beam.is_gateway(entry.path.index) => kin(hands, entry, |other| {
            beam.is_gateway(other) && beam.cluster_of(other) != beam.cluster_of(entry.path.index)
        }),
        _ => Vec::new(),
    }
}

/// The names of other members that are up, by their index.
fn kin(hands: &Hands, entry: &NodeEntry, wanted: impl Fn(u32) -> bool) -> Vec<String> {
    let Some(beam) = &entry.spec.beam else { return Vec::new() };
    let base = base_name(beam, &entry.path.family.service_path());
    let topic = hands.topic(&entry.path.family.app);
    let members = topic.iter().flat_map(|topic| &topic.members);
    let up = members.filter(|m| m.up && m.path.index > 0 && m.path.family == entry.path.family);
    let others = up.filter(|m| m.mesh == entry.mesh && m.path != entry.path && wanted(m.path.index));
    let mut names: Vec<_> =
        others.map(|m| node_name(&base, beam.names, &Peer::at(&m.path, m.address))).collect();
    names.sort();
    names
}

/// One line: some scripts read no further.
fn erlang(others: &[String], applications: &[String], joining: bool) -> String {
    let (others, applications) = (atoms(others), atoms(applications));
    let sync = if joining { "global:sync(), " } else { "" };
    format!(
        "case {{{others} -- nodes(), {applications} -- [element(1,A)||A<-application:which_applications()], \
         element(1,init:get_status())}} of {{[],[],started}} -> {sync}{READY}; {{[],L,started}} -> {{{WAITS},applications,L}}; \
         {{L,_,S}} -> [spawn(fun() -> net_kernel:connect_node(N) end)||N<-L], {{{WAITS},S,L}} end"
    )
}

fn elixir(others: &[String], applications: &[String], joining: bool) -> String {
    let list = |names: &[String]| {
        let quoted: Vec<_> =
            names.iter().map(|name| format!(":\"{}\"", atom(name).trim_matches('\''))).collect();
        format!("[{}]", quoted.join(","))
    };
    let (others, applications) = (list(others), list(applications));
    let sync = if joining { "if l == [], do: :global.sync(); " } else { "" };
    format!(
        "l = {others} -- Node.list(); for n <- l, do: spawn(fn -> Node.connect(n) end); \
         a = {applications} -- for({{a, _, _}} <- :application.which_applications(), do: a); \
         s = if a == [], do: elem(:init.get_status(), 0), else: :applications; {sync}\
         IO.puts(if l == [] and a == [] and s == :started, do: \"{READY}\", \
         else: \"{WAITS} \" <> inspect({{s, l, a}}))"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_all_tools_are_understood() {
        let table: [(&str, Option<Result<(), &str>>); 6] = [
            ("lace_ready\n", Some(Ok(()))),
            ("{ok, lace_ready}", Some(Ok(()))),
            ("{lace_waits,started,['ball@10.0.0.2']}", Some(Err("waits for started ball@10.0.0.2"))),
            ("{lace_waits,applications,[court]}\n", Some(Err("waits for applications court"))),
            ("lace_waits {:starting, [:\"a@b\"], []}\n", Some(Err("waits for starting a@b"))),
            ("ball: node does not answer", None),
        ];
        for (said, expected) in table {
            let judged = judge(said).map(|r| r.map_err(|lacks| lacks.what));
            assert_eq!(judged, expected.map(|r| r.map_err(str::to_owned)), "{said}");
        }
    }
}
