//! The overview: is all well, and if not, what.

use crate::operation::{Under, under_way};
use crate::page::Noun;
use crate::squares;
use crate::visit::Visit;
use crate::words::{self, Markup, State};
use askama::Template;
use axum::response::Response;
use lace_model::event::Event;
use lace_model::{Millis, Problem};
use lace_wire::api::{AppStatus, AppSummary, Health, HostView, Status};

/// Applications whose trouble is told in words; the others are in the table with their state.
const TROUBLED_MAX: usize = 20;
/// Events shown.
const EVENTS_SHOWN: usize = 12;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    now: Millis,
    worst: Health,
    sentence: String,
    apps: Vec<AppSummary>,
    ready: u32,
    wanted: u32,
    hosts: usize,
    connected: usize,
    running: Vec<Under>,
    alarms: Vec<Alarm>,
    map: Option<Markup>,
    events: Vec<Event>,
}

/// One thing that wants a look.
struct Alarm {
    mark: Markup,
    page: String,
    subject: String,
    message: String,
}

/// `GET /`.
pub async fn show(visit: Visit) -> Response {
    visit.page("Overview", Noun::Overview, load(&visit).await).await
}

async fn load(visit: &Visit) -> Result<Overview, Problem> {
    let apps: Vec<AppSummary> = visit.get("/v1/apps").await?;
    // A token for some applications sees no hosts: the page goes without.
    let hosts: Option<Vec<HostView>> = visit.get("/v1/hosts").await.ok();
    let mut events: Vec<Event> = visit.get(&format!("/v1/events?limit={EVENTS_SHOWN}")).await?;
    events.sort_by_key(|e| std::cmp::Reverse(e.seq));
    let mut alarms = hosts.as_deref().map(silent_hosts).unwrap_or_default();
    for app in
        apps.iter().filter(|a| a.health >= Health::Degraded && a.health != Health::Stopped).take(TROUBLED_MAX)
    {
        let status: Status = visit.about("/v1/status", app.name.as_str()).await?;
        alarms.extend(status.apps.iter().flat_map(troubles));
    }
    let worst =
        apps.iter().map(|a| a.health).filter(|h| *h != Health::Stopped).max().unwrap_or(Health::Healthy);
    Ok(Overview {
        now: visit.now,
        worst: if alarms.is_empty() { worst } else { worst.max(Health::Degraded) },
        sentence: sentence(&apps),
        ready: apps.iter().map(|a| a.ready).sum(),
        wanted: apps.iter().map(|a| a.wanted).sum(),
        connected: hosts.iter().flatten().filter(|h| h.liveness.connected).count(),
        hosts: hosts.as_ref().map_or(0, Vec::len),
        map: hosts.as_deref().map(squares::of_hosts),
        running: under_way(visit).await?,
        apps,
        alarms,
        events,
    })
}

fn sentence(apps: &[AppSummary]) -> String {
    let healthy = apps.iter().filter(|a| a.health == Health::Healthy).count();
    match apps.len() {
        0 => "nothing is deployed yet".into(),
        1 if healthy == 1 => "the one application is as wanted".into(),
        n if n == healthy => format!("all {n} applications are as wanted"),
        n => format!("{healthy} of {n} applications are healthy"),
    }
}

fn silent_hosts(hosts: &[HostView]) -> Vec<Alarm> {
    let silent: Vec<_> = hosts.iter().filter(|h| words::of_host(h).0 <= State::Poor).collect();
    let alarm = |h: &&HostView| {
        let (state, word) = words::of_host(h);
        let name = h.host.name.to_string();
        let message = format!("{} nodes are on it", h.nodes);
        Alarm { mark: state.mark(word), page: format!("/hosts/{name}"), subject: name, message }
    };
    silent.iter().take(TROUBLED_MAX).map(alarm).collect()
}

fn troubles(app: &AppStatus) -> Vec<Alarm> {
    let troubled = |h: Health| h >= Health::Degraded && h != Health::Stopped;
    let families = app.families.iter().filter(|f| troubled(f.health));
    let alarm = |f: &lace_wire::api::FamilyStatus| Alarm {
        mark: words::health(&f.health),
        page: words::family_page(&f.path),
        subject: format!("{}/{}", f.path.app, words::family_short(&f.path)),
        message: f.message.clone(),
    };
    families.map(alarm).collect()
}
