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
    let (exit, http) = (code.exit_status(), code.http_status());
    Page { code, exit, http, meaning: code.meaning(), remedy: code.remedy() }
}
