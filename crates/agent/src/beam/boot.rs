//! A boot that never ends. OTP's controller of distributed applications does two things without a deadline: it exchanges
//! what it knows with every connected peer before anything is started (`dist_ac:wait_dacs/4`), and it takes a lock of
//! `global` before it says whether it is this node that starts the application. Where a connection was lost and made again
//! meanwhile, as when partitions heal or `global` prevents overlapping ones, the peer's answer is lost with it, or the lock
//! stays, and nobody tells the runtime that its peer was away. Only another boot helps, and costs nothing: a runtime that
//! boots has no copy and no visitors.

use super::line::Line;
use crate::hands::Hands;
use lace_beam::{Call, Link, Term};
use lace_model::document::NodeEntry;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks; the exchange takes some milliseconds.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Peers that boot themselves answer when they are as far, which takes them this long at most.
const PATIENCE: Duration = Duration::from_secs(8);

/// What is known of one boot.
#[derive(Default)]
pub struct Boot {
    looked: Option<Instant>,
    waits_since: Option<Instant>,
}

impl Boot {
    /// Why it will never end, if so. Cheap to ask often.
    pub async fn hangs(&mut self, hands: &Hands, entry: &NodeEntry) -> Option<String> {
        let application = entry.spec.beam.as_ref()?.failover.as_ref()?;
        let now = Instant::now();
        if self.looked.is_some_and(|looked| now < looked + LOOK_EVERY) {
            return None;
        }
        self.looked = Some(now);
        let waits = match hands.lines.line(entry.id) {
            Line::Open(link) => {
                waits_for_peers(&link).await.unwrap_or(false) || waits_for_word(&link, application).await
            }
            Line::Young | Line::Broken(_) => false,
        };
        self.waits_since = waits.then(|| self.waits_since.unwrap_or(now));
        let since = self.waits_since?;
        (now >= since + PATIENCE).then(|| {
            format!("its boot waited for {} s for the answer of a peer that was lost", PATIENCE.as_secs())
        })
    }
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
