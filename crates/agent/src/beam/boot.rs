//! A boot that never ends. OTP waits without a deadline three times: its controller of distributed applications exchanges
//! what it knows with every connected peer before anything is started (`dist_ac:wait_dacs/4`); it takes a lock of `global`
//! before it says whether it is this node that starts the application; and `global:sync/0` waits for the names of every
//! peer. Where a connection was lost and made again meanwhile, as when partitions heal or `global` prevents overlapping
//! ones, the peer's answer is lost with it, or the lock stays, and nobody tells the runtime that its peer was away. Only
//! another boot helps, and costs nothing as long as the node has no copy: nobody is served by a node that was never ready.
//! Who has the copy keeps it: it leaves all of its peers at once (`global:disconnect/0`, OTP 25.1) and meets them anew.

use super::line::Line;
use super::ready::Lacks;
use crate::hands::Hands;
use lace_beam::{Call, Link, Term};
use lace_machine::NodeHandle;
use lace_model::document::NodeEntry;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks; the exchange takes some milliseconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Peers that boot themselves answer when they are as far, which takes them this long beyond the time that they wait for
/// others of the mesh.
const PATIENCE: Duration = Duration::from_secs(8);
/// Sharing names may take a large cluster some time.
const NAMES_PATIENCE: Duration = Duration::from_secs(25);

/// What is known of one boot.
#[derive(Default)]
pub struct Boot {
    looked: Option<Instant>,
    waits: Option<(Wait, Instant)>,
}

/// What a runtime may wait for without a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Peers,
    Names,
}

impl Boot {
    /// Why it will never end, if so, though the node was never ready. Cheap to ask often.
    pub async fn hangs(
        &mut self,
        hands: &Hands,
        entry: &NodeEntry,
        node: &NodeHandle,
        lacks: &Lacks,
    ) -> Option<String> {
        let beam = entry.spec.beam.as_ref().filter(|beam| beam.failover.is_some())?;
        let now = Instant::now();
        if self.looked.is_some_and(|looked| now < looked + LOOK_EVERY) {
            return None;
        }
        self.looked = Some(now);
        let wait = match hands.lines.line(entry.id) {
            Line::Open(link) => wait_of(&link, entry, lacks).await,
            Line::Young | Line::Broken(_) => None,
        };
        let since = self.waits.filter(|(before, _)| Some(*before) == wait).map_or(now, |(_, since)| since);
        self.waits = wait.map(|wait| (wait, since));
        let (patience, what) = match wait? {
            Wait::Peers => {
                let mesh = Duration::from_millis(beam.sync_timeout.0) + PATIENCE / 2;
                (PATIENCE.max(mesh), "the answer of a peer that was lost")
            }
            Wait::Names => (NAMES_PATIENCE, "the global names of a peer that was lost"),
        };
        if now < since + patience {
            return None;
        }
        if has_copy(node).await {
            if wait == Some(Wait::Names) {
                self.waits = None;
                meets_anew(hands, entry).await;
            }
            return None;
        }
        Some(format!("its boot waited for {} s for {what}", patience.as_secs()))
    }
}

/// Does it have the family's copy, or may it?
pub(super) async fn has_copy(node: &NodeHandle) -> bool {
    let asked = crate::node::ask(node, NodeHandle::status).await;
    asked.map_or(true, |status| status.vote.is_some_and(|vote| vote.in_use))
}

/// Ends all connections of a runtime to its peers in one step, so that none of them takes another for lost. It is connected
/// again by the next question whether it is ready.
async fn meets_anew(hands: &Hands, entry: &NodeEntry) {
    let Line::Open(link) = hands.lines.line(entry.id) else { return };
    let left = link.call(Call::new("global", "disconnect", Vec::new())).await;
    tracing::info!(node = %entry.id, ?left, "has the copy and shares no names: it meets its peers anew");
}

async fn wait_of(link: &Link, entry: &NodeEntry, lacks: &Lacks) -> Option<Wait> {
    if lacks.names_only {
        return Some(Wait::Names);
    }
    let beam = entry.spec.beam.as_ref()?;
    let state = link.call(Call::new("init", "get_status", Vec::new())).await.ok()?;
    if state.as_tuple()?.first()?.as_atom() == Some("started") {
        return None;
    }
    // Without votes OTP itself starts the application, in a boot too, and that may take as long as it takes.
    let is_mute = match beam.failover.as_deref().filter(|_| beam.is_voted()) {
        Some(application) => waits_for_word(link, application).await,
        None => false,
    };
    (is_mute || waits_for_peers(link).await.unwrap_or(false)).then_some(Wait::Peers)
}

/// Is the exchange under way? None where the runtime does not say.
async fn waits_for_peers(link: &Link) -> Option<bool> {
    let call = |module, function, arguments| link.call(Call::new(module, function, arguments));
    let controller = call("erlang", "whereis", vec![Term::atom("dist_ac")]).await.ok()?;
    let stack = vec![controller, Term::atom("current_stacktrace")];
    let said = call("erlang", "process_info", stack).await.ok()?;
    let frames = said.as_tuple()?.get(1)?.as_list()?;
    let is_exchange = |frame: &Term| {
        let Some([module, function, ..]) = frame.as_tuple() else { return false };
        module.as_atom() == Some("dist_ac") && function.as_atom() == Some("wait_dacs")
    };
    Some(frames.iter().any(is_exchange))
}

/// Does nobody say whether the application is to be started here? It never is, while a runtime boots, so the word comes at
/// once; other applications may take their time.
async fn waits_for_word(link: &Link, application: &str) -> bool {
    let info = link.call(Call::new("application", "info", Vec::new())).await;
    info.is_ok_and(|info| is_starting(&info, application))
}

/// Reads `application:info/0`: `[{starting, [{Application, RestartType, StartType, From}]}, ...]`.
fn is_starting(info: &Term, application: &str) -> bool {
    let named = |term: &Term, name: &str| {
        term.as_tuple().is_some_and(|t| t.first().and_then(Term::as_atom) == Some(name))
    };
    let entries = info.as_list().unwrap_or_default();
    let starting = entries.iter().find(|entry| named(entry, "starting"));
    let starting = starting.and_then(|entry| entry.as_tuple()?.get(1)?.as_list()).unwrap_or_default();
    starting.iter().any(|entry| named(entry, application))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_that_waits_is_found() {
        let info =
            "[{loaded,[]},{running,[{kernel,undefined}]},{starting,[{ball,permanent,normal,undefined}]}]";
        let info = lace_beam::term::parse::parse(info, None).expect("a term");
        assert!(is_starting(&info, "ball"));
        assert!(!is_starting(&info, "court"));
        assert!(!is_starting(&Term::atom("ok"), "ball"));
    }
}
