//! Events: a list, or a feed of server-sent events (WHATWG HTML, 9.2) that goes on.
//!
//! Each message has its event's number as `id`, so that a browser comes back with `Last-Event-ID` where it was. A feed
//! ends with a message of the type `problem` where it can no longer be told without a gap: the follower took nothing
//! for too long, or what it asks for is no longer kept.

use crate::ask::Ask;
use crate::caller::Caller;
use crate::door::Held;
use crate::limit::{FOLLOWER_SLOW, HEARTBEAT, PAGE_ROWS_MAX};
use crate::operation::app_of;
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures::Stream;
use lace_model::event::Event;
use lace_model::{Code, Problem};
use serde::Deserialize;
use std::convert::Infallible;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

type Message = axum::response::sse::Event;

/// Events that wait for one follower.
const WAITING_MAX: usize = 64;

/// Events of one answer where no limit is said.
const LIST_USUAL: usize = 100;

/// First parts of subjects that are no applications.
const NO_APPLICATIONS: [&str; 10] =
    ["host", "release", "token", "operation", "controller", "user", "team", "provider", "pool", "package"];

/// `?since&follow&subject&limit`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventAsk {
    /// After this number.
    since: Option<u64>,
    /// Go on.
    #[serde(default)]
    follow: bool,
    /// `shop` covers `shop/game/2`.
    subject: Option<String>,
    /// At most so many, of a list.
    limit: Option<usize>,
}

/// `GET /v1/events`.
pub(crate) async fn list_or_follow(
    State(state): State<ApiState>,
    caller: Caller,
    held: Option<Extension<Held>>,
    Ask(ask): Ask<EventAsk>,
    headers: HeaderMap,
) -> Answer<Response> {
    if let Some(subject) = &ask.subject
        && !caller.sees_all()
        && !caller.is_self(subject)
    {
        let app = app_of(subject).filter(|_| !is_no_application(subject));
        app.map_or_else(|| caller.is_whole(), |app| caller.touches(&app))?;
    }
    if !ask.follow {
        return Ok(Json(list(&state, &caller, &ask)?).into_response());
    }
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()?.parse().ok());
    let newest = *state.store.watch_events().borrow();
    let follower = Follower {
        // A number from before a restore may be beyond what there is now.
        after: last.or(ask.since).unwrap_or(newest).min(newest),
        subject: ask.subject,
        state,
        caller,
        held: held.map(|Extension(held)| held),
    };
    let keep_alive = KeepAlive::new().interval(HEARTBEAT).text("still here");
    Ok(Sse::new(follower.feed()).keep_alive(keep_alive).into_response())
}

fn list(state: &ApiState, caller: &Caller, ask: &EventAsk) -> Answer<Vec<Event>> {
    let limit = ask.limit.unwrap_or(LIST_USUAL).min(PAGE_ROWS_MAX);
    let mut found = match (ask.since, ask.subject.as_deref()) {
        (Some(since), subject) => page(state, subject, since, limit)?,
        (None, Some(subject)) => state.store.events_tail_under(subject, limit)?,
        (None, None) => state.store.events_tail(limit)?,
    };
    found.retain(|event| may_see(caller, event));
    Ok(found)
}

fn page(state: &ApiState, subject: Option<&str>, after: u64, limit: usize) -> Answer<Vec<Event>> {
    Ok(match subject {
        Some(subject) => state.store.events_under(subject, after, limit)?,
        None => state.store.events(after, limit)?,
    })
}

fn is_no_application(subject: &str) -> bool {
    subject.split_once('/').is_some_and(|(first, _)| NO_APPLICATIONS.contains(&first))
}

fn may_see(caller: &Caller, event: &Event) -> bool {
    // What is said of oneself, one hears: what is granted from now on, for example.
    caller.sees_all()
        || caller.is_self(&event.subject)
        || (!is_no_application(&event.subject) && app_of(&event.subject).is_some_and(|app| caller.sees(&app)))
}

/// Someone who wants to hear everything after a number.
struct Follower {
    state: ApiState,
    caller: Caller,
    after: u64,
    subject: Option<String>,
    held: Option<Held>,
}

impl Follower {
    /// The feed. It reads ahead by [`WAITING_MAX`] events and no further.
    fn feed(self) -> impl Stream<Item = Result<Message, Infallible>> {
        let (to, from) = mpsc::channel(WAITING_MAX);
        // The last place is kept for the last message.
        let last = to.clone().try_reserve_owned().ok();
        tokio::spawn(async move {
            if let Err(problem) = self.tell(&to).await
                && let Some(place) = last
            {
                place.send(Ok(closing(&problem)));
            }
        });
        ReceiverStream::new(from)
    }

    /// Tells until the other side has gone; a problem where it can tell no longer.
    async fn tell(mut self, to: &mpsc::Sender<Result<Message, Infallible>>) -> Result<(), Problem> {
        let _held = self.held.take();
        let mut bell = self.state.store.watch_events();
        loop {
            // Read before the page: what comes later rings again.
            let newest = *bell.borrow_and_update();
            let found = page(&self.state, self.subject.as_deref(), self.after, WAITING_MAX);
            let found = found.map_err(|refusal| refusal.problem().clone())?;
            self.gapless(&found)?;
            // Whoever may see it no longer hears it no longer.
            self.caller = self.caller.renewed(&self.state).map_err(|refusal| refusal.problem().clone())?;
            let full = found.len() == WAITING_MAX;
            for event in &found {
                self.after = event.seq;
                if may_see(&self.caller, event) && !send(to, event).await? {
                    return Ok(());
                }
            }
            if full {
                continue;
            }
            self.after = self.after.max(newest);
            tokio::select! {
                rung = bell.changed() => if rung.is_err() { return Ok(()) },
                () = to.closed() => return Ok(()),
            }
        }
    }

    /// Refuses to go on where events are no longer kept. Only the whole feed shows that.
    fn gapless(&self, found: &[Event]) -> Result<(), Problem> {
        let first = found.first().map_or(0, |e| e.seq);
        if self.subject.is_some() || first <= self.after + 1 || self.after == 0 {
            return Ok(());
        }
        let message = format!("events {} to {} are no longer kept", self.after + 1, first - 1);
        Err(Problem::new(Code::Conflict, message).hint(format!("go on with --since {}", first - 1)))
    }
}

/// False where the other side has gone.
async fn send(to: &mpsc::Sender<Result<Message, Infallible>>, event: &Event) -> Result<bool, Problem> {
    let message = Message::default().id(event.seq.to_string()).json_data(event).unwrap_or_default();
    match to.send_timeout(Ok(message), FOLLOWER_SLOW).await {
        Ok(()) => Ok(true),
        Err(mpsc::error::SendTimeoutError::Closed(_)) => Ok(false),
        Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
            let message = format!("the follower took no event for {} s", FOLLOWER_SLOW.as_secs());
            Err(Problem::new(Code::Conflict, message).hint(format!("go on with --since {}", event.seq - 1)))
        }
    }
}

fn closing(problem: &Problem) -> Message {
    Message::default().event("problem").json_data(problem).unwrap_or_default()
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        refusal.problem().clone()
    }
}
