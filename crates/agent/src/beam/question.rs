//! What people and programs ask of a runtime, answered over its line.

use super::line::Line;
use super::ready::{allowed, gateways, others, own_name};
use crate::hands::Hands;
use lace_beam::link::{Answer, Class};
use lace_beam::term::json::json;
use lace_beam::term::parse::{parse, parse_list};
use lace_beam::term::print::print;
use lace_beam::vm::{TOP_MAX, report};
use lace_beam::{Call, CallError, Link, Term};
use lace_model::document::{EntryBody, EntryId, NodeEntry};
use lace_model::vm::VmTop;
use lace_model::{Code, NodeId, Problem};
use lace_wire::beam::{
    ANSWER_BYTES_MAX, BeamAnswer, BeamApplication, BeamCall, BeamOutcome, BeamReport, CALL_WITHIN_MS,
    CALL_WITHIN_MS_MAX, OUTPUT_BYTES_MAX,
};
use std::time::{Duration, Instant};

/// For a report: five small calls.
const REPORT_WITHIN: Duration = Duration::from_secs(3);
/// A walk over all processes.
const TOP_WITHIN: Duration = Duration::from_secs(10);
/// For one part of a dump.
const DUMP_WITHIN: Duration = Duration::from_secs(10);

/// The entry of a BEAM node of this host.
pub fn entry(hands: &Hands, id: NodeId) -> Result<NodeEntry, Problem> {
    let found = hands.held.read(|state| match &state.entries.get(&EntryId::Node(id))?.body {
        EntryBody::Node(node) => Some(NodeEntry::clone(node)),
        _ => None,
    });
    let found = found.ok_or_else(|| Problem::new(Code::NotFound, format!("{id} is not on this host")))?;
    if found.spec.beam.is_none() {
        let problem = usage(format!("{} is no Erlang or Elixir node", found.path));
        return Err(problem.hint("beam = {} in the manifest makes one of a release"));
    }
    Ok(found)
}

fn usage(message: String) -> Problem {
    Problem::new(Code::Usage, message)
}

fn link(hands: &Hands, id: NodeId) -> Result<Link, Problem> {
    let no = |why: &str| {
        Problem::new(Code::NodeUnreachable, format!("its runtime cannot be spoken to: {why}"))
            .hint("lace logs shows what it says")
    };
    match hands.lines.line(id) {
        Line::Open(link) => Ok(link),
        Line::Young => Err(no("it has only just been started")),
        Line::Broken(why) => Err(no(&why)),
    }
}

/// Calls a function.
pub async fn call(hands: &Hands, id: NodeId, asked: &BeamCall) -> Result<BeamAnswer, Problem> {
    entry(hands, id)?;
    let link = link(hands, id)?;
    let home = link.home();
    let wrong = |what: &str, error: &dyn std::fmt::Display| usage(format!("{what}: {error}"));
    let module = name("module", &asked.module)?;
    let function = name("function", &asked.function)?;
    let arguments = parse_list(&asked.arguments, Some(&home)).map_err(|e| wrong("arguments", &e))?;
    let within = asked.within_ms.unwrap_or(CALL_WITHIN_MS).min(CALL_WITHIN_MS_MAX);
    let call = Call::new(&module, &function, arguments).within(Duration::from_millis(within));
    let began = Instant::now();
    let Answer { result, output, output_is_cut } = link.answer(call.printing(OUTPUT_BYTES_MAX)).await;
    let took_us = began.elapsed().as_micros() as u64;
    let (outcome, term, stack) = match result {
        Ok(term) => (BeamOutcome::Returned, term, None),
        Err(CallError::Raised(raised)) => (class(raised.class), raised.reason, raised.stack),
        Err(error) => return Err(failed(&error, within)),
    };
    let text = print(&term, Some(&home));
    if text.len() > ANSWER_BYTES_MAX {
        return Err(failed(&CallError::Large(format!("{} bytes of text", text.len())), within));
    }
    let stack = stack.map(|stack| print(&stack, Some(&home)));
    let value = json(&term, Some(&home));
    Ok(BeamAnswer { outcome, term: text, value, stack, output, output_is_cut, took_us })
}

/// An atom: written as one, or as any text where that is no term (`Elixir.Game`).
fn name(what: &str, text: &str) -> Result<String, Problem> {
    match parse(text, None) {
        Ok(Term::Atom(atom)) => Ok(atom.0),
        Err(_) if text.starts_with(|c: char| c.is_alphabetic()) => Ok(text.to_owned()),
        _ => Err(usage(format!("the {what} {text:?} is no atom"))),
    }
}

fn class(class: Class) -> BeamOutcome {
    match class {
        Class::Error => BeamOutcome::Error,
        Class::Exit => BeamOutcome::Exit,
        Class::Throw => BeamOutcome::Throw,
    }
}

fn failed(error: &CallError, within_ms: u64) -> Problem {
    match error {
        CallError::Deadline => Problem::new(
            Code::NodeUnreachable,
            format!("no answer within {within_ms} ms: the call was ended"),
        )
        .hint("--timeout gives it more"),
        CallError::Large(_) => Problem::new(Code::TooLarge, error.to_string()).hint("ask for a part of it"),
        CallError::Arguments(_) => usage(error.to_string()),
        _ => Problem::new(Code::NodeUnreachable, error.to_string()),
    }
}

/// Who it is, what it runs, whom it sees; also of one that cannot be spoken to.
pub async fn describe(hands: &Hands, id: NodeId) -> Result<BeamReport, Problem> {
    let entry = entry(hands, id)?;
    let (sample, alarms) = hands.lines.numbers(id);
    let plan = BeamReport {
        name: own_name(&entry).unwrap_or_default(),
        planned: others(hands, &entry),
        allowed: allowed(hands, &entry),
        gateways: gateways(hands, &entry),
        cluster: entry
            .spec
            .beam
            .as_ref()
            .filter(|b| b.cluster_size > 0)
            .map(|b| b.cluster_of(entry.path.index) + 1),
        failover: entry.spec.beam.as_ref().and_then(|beam| beam.failover.clone()),
        sample,
        alarms,
        ..BeamReport::default()
    };
    let asked = match link(hands, id) {
        Ok(link) => report(&link, REPORT_WITHIN).await.map_err(|error| error.to_string()),
        Err(problem) => Err(problem.message),
    };
    Ok(match asked {
        Err(why) => BeamReport { trouble: Some(why), ..plan },
        Ok(said) => BeamReport {
            state: said.state,
            otp: said.otp,
            nodes: said.nodes,
            hidden: said.hidden,
            applications: said
                .applications
                .into_iter()
                .map(|(name, version)| BeamApplication { name, version })
                .collect(),
            ..plan
        },
    })
}

/// Its largest processes.
pub async fn top(hands: &Hands, id: NodeId, most: usize) -> Result<VmTop, Problem> {
    entry(hands, id)?;
    let link = link(hands, id)?;
    let unreachable = |error: CallError| failed(&error, TOP_WITHIN.as_millis() as u64);
    let ranker = hands.lines.ranker(id, &link).await.map_err(unreachable)?;
    ranker.top(&link, most.clamp(1, TOP_MAX), TOP_WITHIN).await.map_err(unreachable)
}

/// The parts of a dump: the runtime's own descriptions of itself.
const PARTS: [(&str, &str); 5] = [
    ("allocators and limits", "info"),
    ("connections", "dist"),
    ("code", "loaded"),
    ("processes", "procs"),
    ("OTP", "otp_release"),
];

/// A picture of everything in it, as text. A part that fails says so in its place.
pub async fn dump(hands: &Hands, id: NodeId) -> Result<String, Problem> {
    let (report, link) = (describe(hands, id).await?, link(hands, id)?);
    let mut text = format!("# {}\n\n", report.name);
    let summary = serde_json::to_string_pretty(&report).unwrap_or_default();
    text.push_str(&format!("## report\n\n{summary}\n"));
    for (title, item) in PARTS {
        let call = Call::new("erlang", "system_info", vec![Term::atom(item)]).within(DUMP_WITHIN);
        let part = match link.call(call).await {
            Ok(Term::Binary(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
            Ok(term) => term.as_text().unwrap_or_else(|| print(&term, Some(&link.home()))),
            Err(error) => format!("({error})"),
        };
        text.push_str(&format!("\n## {title}\n\n{}\n", part.trim_end()));
    }
    Ok(text)
}
