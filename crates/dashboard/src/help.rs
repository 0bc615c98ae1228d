//! Help: the manual, the errors with what to do, the API's doors. All of it is text that lives elsewhere.

use crate::page::{self, Noun};
use crate::visit::Visit;
use crate::words::Markup;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use lace_model::{Code, Problem};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The README, as it is in the repository.
const README: &str = include_str!("../../../README.md");

static MANUAL: LazyLock<String> = LazyLock::new(|| {
    let mut text = String::new();
    html::push_html(&mut text, Parser::new_ext(README, Options::ENABLE_TABLES).filter(|e| !is_link(e)));
    // Below the page's own heading; and what scrolls can be reached by keyboard.
    let lowered = text.replace("h3>", "h4>").replace("h2>", "h3>").replace("h1>", "h2>");
    lowered.replace("<pre>", "<pre tabindex=\"0\">")
});

/// Links of the README lead to files of the repository, which are not here.
fn is_link(event: &Event<'_>) -> bool {
    matches!(event, Event::Start(Tag::Link { .. }) | Event::End(TagEnd::Link))
}

/// The help of one command.
#[derive(Clone, Debug)]
pub struct CommandHelp {
    /// `lace scale`.
    pub name: String,
    /// What `--help` prints.
    pub text: String,
}

#[derive(Template)]
#[template(path = "help.html")]
struct Manual<'a> {
    readme: Markup,
    commands: &'a [CommandHelp],
}

/// `GET /help`.
pub async fn manual(State(dashboard): State<crate::Dashboard>, visit: Visit) -> Response {
    let made = Manual { readme: Markup(MANUAL.clone()), commands: &dashboard.commands };
    visit.page("Help", Noun::Help, Ok::<_, Problem>(made)).await
}

#[derive(Template)]
#[template(path = "help-errors.html")]
struct Errors;

/// `GET /help/errors`.
pub async fn errors(visit: Visit) -> Response {
    visit.page("Errors", Noun::Help, Ok::<_, Problem>(Errors)).await
}

/// What of the OpenAPI document is shown.
#[derive(Deserialize)]
struct Document {
    paths: BTreeMap<String, BTreeMap<String, Door>>,
}

#[derive(Deserialize)]
struct Door {
    #[serde(default)]
    summary: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Vec<Parameter>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    #[serde(rename = "in")]
    place: String,
    #[serde(default)]
    description: Option<String>,
}

#[derive(Template)]
#[template(path = "help-api.html")]
struct Doors {
    document: Document,
}

/// `GET /help/api`.
pub async fn api(visit: Visit) -> Response {
    let document = visit.get("/v1/openapi.json").await;
    visit.page("API", Noun::Help, document.map(|document| Doors { document })).await
}

impl Doors {
    fn says(&self, door: &Door) -> String {
        door.summary.clone().or_else(|| door.description.clone()).unwrap_or_default()
    }
}

fn codes() -> impl Iterator<Item = (String, Code)> {
    Code::ALL.into_iter().map(|code| (page::code_word(code), code))
}
