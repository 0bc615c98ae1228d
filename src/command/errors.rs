//! `lace errors`: a page for each code of failure.

use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::{Code, Problem};
use serde::Serialize;

/// `lace errors`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace errors cannot-place")]
pub struct ErrorsArgs {
    /// The code, as JSON answers name it, or an exit status
    pub code: Option<String>,
}

/// A page of the manual of failures.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    /// The code.
    pub code: Code,
    /// The exit status of a command that ends with it.
    pub exit: u8,
    /// The status of an HTTP answer with it.
    pub http: u16,
    /// What it means.
    pub meaning: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// Runs `lace errors`.
pub fn run(args: ErrorsArgs, s: &mut Session) -> Outcome {
    let mut pages: Vec<Page> = Code::ALL.into_iter().map(page).collect();
    let Some(wanted) = args.code else {
        s.out.list(&pages, &["code", "exit", "http", "meaning"], |page| {
            vec![name(page.code).into(), page.exit.into(), page.http.into(), page.meaning.into()]
        });
        return Ok(Exit::DONE);
    };
    pages.retain(|page| name(page.code) == wanted || page.exit.to_string() == wanted);
    if pages.is_empty() {
        return Err(Problem::not_found(format_args!("code {wanted:?}")).hint("lace errors"));
    }
    for page in &pages {
        s.out.item(page, |page| {
            let Page { exit, http, meaning, remedy, .. } = page;
            format!("{}\n  exit status {exit}, HTTP {http}\n  {meaning}\n  {remedy}", name(page.code))
        });
    }
    Ok(Exit::DONE)
}

/// The text form of a code.
pub fn name(code: Code) -> String {
    let value = serde_json::to_value(code).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

fn page(code: Code) -> Page {
    let (meaning, remedy) = words(code);
    Page { code, exit: code.exit_status(), http: code.http_status(), meaning, remedy }
}

fn words(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::Error => (
            "something failed that has no code of its own",
            "read the message; the controller's log has more",
        ),
        Code::Usage => (
            "the words of the command or the request are off",
            "add --help to the command: it ends with an example",
        ),
        Code::InvalidManifest => (
            "the manifest has mistakes; nothing was changed",
            "mend the lines that are named; `lace schema` describes every key",
        ),
        Code::FailedReverted => (
            "the new revision failed, and the former one runs again",
            "read the last log lines that are shown, mend the release, deploy again",
        ),
        Code::FailedNotReverted => (
            "the new revision failed, and no former one took its place",
            "`lace why TARGET` says what holds it; `lace rollback TARGET` goes back by hand",
        ),
        Code::StillWatching => (
            "the time was over before the state was reached; the work goes on",
            "`lace op wait ID` goes on watching; --timeout says for how long",
        ),
        Code::CannotPlace => (
            "no host can take what was asked for",
            "`lace why TARGET` names every host and what it lacks; ask for less, or add a host",
        ),
        Code::NotAuthenticated => (
            "there are no credentials, or they are not valid any more",
            "`lace login URL`; `lace context list` shows where commands go",
        ),
        Code::NotAllowed => (
            "the token does not allow this",
            "ask an admin for a token with a higher role: `lace token create`",
        ),
        Code::NotFound => ("there is no such thing", "`lace status` lists what runs; each noun has a `list`"),
        Code::Conflict => {
            ("it changed meanwhile, or is in use", "look at it again (`lace plan`) and repeat the command")
        }
        Code::Budget => ("the budget does not allow it", "ask for less, or raise the budget"),
        Code::Unreachable => (
            "no controller answers",
            "`lace up` starts one on this machine; `lace context list` shows where commands go",
        ),
        Code::ChangesPending => {
            ("`plan --exit-code` found something that would change", "`lace apply` makes it so")
        }
        Code::TooLarge => (
            "it is larger than the limit that the message names",
            "send less: leave build products out of a release, or split it",
        ),
        Code::DiskFull => (
            "the disk is over 90 % full: new work is refused, deleting still works",
            "`lace release delete` old releases, or make room on the host",
        ),
        Code::Preflight => (
            "the release cannot run on the host: something that it needs is missing there",
            "build it on the host's system, or install what the message names",
        ),
        Code::UnsafeArchive => (
            "the archive or tree holds something that is refused: paths that leave it, devices, setuid",
            "make it again without what the message names; nothing was kept",
        ),
        Code::NodeUnreachable => (
            "the node, or its host, does not answer",
            "`lace why NODE` and `lace host list` say since when; nodes go on without a controller",
        ),
    }
}
