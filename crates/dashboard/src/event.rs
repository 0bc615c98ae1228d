//! Events: what happened, the newest first, narrowed down by what it was about and by its sort.

use crate::page::Noun;
use crate::visit::Visit;
use askama::Template;
use axum::extract::Query;
use axum::response::Response;
use lace_model::event::Event;
use lace_model::{Millis, Problem};
use serde::Deserialize;

/// Events asked for; those of other sorts are left out after that.
const ASKED: usize = 500;
/// Events of one page.
const SHOWN: usize = 200;

#[derive(Template)]
#[template(path = "event-list.html")]
struct Events {
    now: Millis,
    filter: Filter,
    events: Vec<Event>,
}

/// `?subject=shop&kind=node`.
#[derive(Default, Deserialize)]
pub struct Filter {
    #[serde(default)]
    subject: String,
    #[serde(default)]
    kind: String,
}

/// `GET /events`.
pub async fn list(visit: Visit, Query(filter): Query<Filter>) -> Response {
    visit.page("Events", Noun::Events, load(&visit, filter).await).await
}

async fn load(visit: &Visit, filter: Filter) -> Result<Events, Problem> {
    let subject = filter.subject.trim();
    let narrowed =
        if subject.is_empty() { String::new() } else { format!("&subject={}", crate::api::encoded(subject)) };
    let mut events: Vec<Event> = visit.get(&format!("/v1/events?limit={ASKED}{narrowed}")).await?;
    events.retain(|e| filter.kind.is_empty() || e.kind.starts_with(filter.kind.trim()));
    events.sort_by_key(|e| std::cmp::Reverse(e.seq));
    events.truncate(SHOWN);
    Ok(Events { now: visit.now, filter, events })
}
