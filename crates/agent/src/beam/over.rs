//! What a runtime answers over a line to it, whoever keeps the line.

use lace_beam::link::{Answer, Class};
use lace_beam::term::json::json;
use lace_beam::term::parse::{parse, parse_list};
use lace_beam::term::print::print;
use lace_beam::vm::alarm::{Change, Level};
use lace_beam::vm::{Ranker, TOP_MAX, report};
use lace_beam::{Call, CallError, Link, Term};
use lace_model::node::{AlarmLevel, NodeAlarm};
use lace_model::vm::VmTop;
use lace_model::{Code, Problem};
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

fn usage(message: String) -> Problem {
    Problem::new(Code::Usage, message)
}

/// Calls a function.
///
/// # Errors
/// Arguments that are no terms; no answer in time, or a too large one. An exception is an answer.
pub async fn call(link: &Link, asked: &BeamCall) -> Result<BeamAnswer, Problem> {
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

/// Completes what is planned by what the runtime says; or by why it says nothing.
pub async fn describe(plan: BeamReport, link: Result<Link, String>) -> BeamReport {
    let asked = match link {
        Ok(link) => report(&link, REPORT_WITHIN).await.map_err(|error| error.to_string()),
        Err(why) => Err(why),
    };
    match asked {
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
    }
}

/// Its largest processes; a prepared script is used where there is one.
///
/// # Errors
/// No answer in time.
pub async fn top(link: &Link, ranker: Option<Ranker>, most: usize) -> Result<VmTop, Problem> {
    let unreachable = |error: CallError| failed(&error, TOP_WITHIN.as_millis() as u64);
    let ranker = match ranker {
        Some(ranker) => ranker,
        None => Ranker::prepare(link).await.map_err(unreachable)?,
    };
    ranker.top(link, most.clamp(1, TOP_MAX), TOP_WITHIN).await.map_err(unreachable)
}

/// The parts of a dump: the runtime's own descriptions of itself.
const PARTS: [(&str, &str); 5] = [
    ("allocators and limits", "info"),
    ("connections", "dist"),
    ("code", "loaded"),
    ("processes", "procs"),
    ("OTP", "otp_release"),
];

/// Shorter secrets are left in a dump: they are parts of other words.
const SECRET_CHARS_MIN: usize = 6;

/// A picture of everything in it, as text. A part that fails says so in its place. Processes hold what they know, the cookie
/// among it: it is taken out, as are `secrets`.
pub async fn dump(link: &Link, report: &BeamReport, secrets: Vec<String>) -> String {
    let cookie = link.call(Call::new("erlang", "get_cookie", Vec::new())).await;
    let cookie = cookie.ok().and_then(|cookie| cookie.as_atom().map(str::to_owned));
    let mut text = picture(link, report).await;
    for secret in secrets.into_iter().chain(cookie).filter(|secret| secret.len() >= SECRET_CHARS_MIN) {
        text = text.replace(&secret, "(secret)");
    }
    text
}

async fn picture(link: &Link, report: &BeamReport) -> String {
    let mut text = format!("# {}\n\n", report.name);
    let summary = serde_json::to_string_pretty(report).unwrap_or_default();
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
    text
}

/// The alarms after some levels changed.
pub fn changed(alarms: &mut Vec<NodeAlarm>, changes: Vec<Change>) {
    for Change { what, level, count, limit } in changes {
        alarms.retain(|alarm| alarm.what != what);
        let level = match level {
            Level::Calm => continue,
            Level::Warning => AlarmLevel::Warning,
            Level::Critical => AlarmLevel::Critical,
        };
        alarms.push(NodeAlarm { what: what.to_owned(), level, count, limit });
    }
}
