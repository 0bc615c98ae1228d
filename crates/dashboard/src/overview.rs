//! The overview: is all well, and if not, what.

use crate::operation::{Under, under_way};
use crate::page::Noun;
use crate::squares;
use crate::visit::Visit;
use crate::words::{self, Markup, State};
use askama::Template;
use axum::response::Response;
use lace_model::event::Event;
use lace_model::pool::{Pool, Price};
use lace_model::{Millis, Name, Problem};
use lace_wire::api::{AppStatus, AppSummary, Health, HostView, ServerInfo, Status};
use lace_wire::route::RouteView;
use std::collections::BTreeMap;

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
    /// What an hour of all hosts costs, as far as it is known; a line for each currency.
    costs: Vec<String>,
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
    let pools: Vec<Pool> = visit.get("/v1/pools").await.unwrap_or_default();
    let mut alarms = hosts.as_deref().map(silent_hosts).unwrap_or_default();
    for app in
        apps.iter().filter(|a| a.health >= Health::Degraded && a.health != Health::Stopped).take(TROUBLED_MAX)
    {
        let status: Status = visit.about("/v1/status", app.name.as_str()).await?;
        alarms.extend(status.apps.iter().flat_map(troubles));
    }
    let worst =
        apps.iter().map(|a| a.health).filter(|h| *h != Health::Stopped).max().unwrap_or(Health::Healthy);
    let worst = if alarms.is_empty() { worst } else { worst.max(Health::Degraded) };
    // These want a look, and nothing serves worse for them yet.
    alarms.extend(house(visit).await);
    Ok(Overview {
        now: visit.now,
        worst,
        sentence: sentence(&apps),
        ready: apps.iter().map(|a| a.ready).sum(),
        wanted: apps.iter().map(|a| a.wanted).sum(),
        connected: hosts.iter().flatten().filter(|h| h.liveness.connected).count(),
        hosts: hosts.as_ref().map_or(0, Vec::len),
        map: hosts.as_deref().map(|hosts| squares::of_hosts(hosts, &pools)),
        costs: costs(hosts.as_deref().unwrap_or_default(), &pools),
        running: under_way(visit).await?,
        apps,
        alarms,
        events,
    })
}

fn costs(hosts: &[HostView], pools: &[Pool]) -> Vec<String> {
    let prices: BTreeMap<&Name, &Price> =
        pools.iter().filter_map(|pool| Some((&pool.name, pool.price.as_ref()?))).collect();
    let mut sums: BTreeMap<&str, Price> = BTreeMap::new();
    for price in hosts.iter().filter_map(|view| prices.get(view.host.pool.as_ref()?)) {
        let none = Price { micro_per_hour: 0, ..(*price).clone() };
        let sum = sums.entry(&price.currency).or_insert(none);
        sum.micro_per_hour = sum.micro_per_hour.saturating_add(price.micro_per_hour);
    }
    sums.values().map(Price::to_string).collect()
}

/// What wants a look in the house itself: a restored controller, certificates that end. Who may not see it goes without.
async fn house(visit: &Visit) -> Vec<Alarm> {
    let info: Option<ServerInfo> = visit.get("/v1/server").await.ok();
    let adopts = info.filter(|info| info.adopt).map(|info| Alarm {
        mark: State::Poor.mark("adopt mode"),
        page: "/server".into(),
        subject: "the controller".into(),
        message: format!("was restored; {} nodes are unknown to it", info.unknown_nodes.len()),
    });
    let routes: Vec<RouteView> = visit.get("/v1/routes").await.unwrap_or_default();
    let ending = routes.iter().filter(|route| crate::route::ends_soon(route, visit.now)).map(|route| Alarm {
        mark: State::Poor.mark("certificate ends"),
        page: "/routes".into(),
        subject: route.door.clone(),
        message: crate::route::certificate(route, visit.now),
    });
    adopts.into_iter().chain(ending).take(TROUBLED_MAX).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_hour_costs_what_its_hosts_cost_by_currency() {
        let pool = |name: &str, price: Option<&str>| {
            let price = price.map(|text| Price::said(text, 1).expect("a price"));
            let mut pool = json!({"name": name, "provider": "p", "made_at": 1});
            pool["price"] = json!(price);
            serde_json::from_value::<Pool>(pool).expect("a pool")
        };
        let host = |pool: Option<&str>| {
            let id = "00000000-0000-0000-0000-000000000001";
            let view = json!({
                "host": {
                    "id": id, "name": "h", "capacity": {"cpu": "8", "memory": "32GiB", "slots": 500}, "attributes": {}, "blocks": [],
                    "agent_version": "0", "joined_at": 1, "pool": pool,
                },
                "liveness": {"connected": true, "last_seen": 1, "disk_used_permille": 1},
                "nodes": 0, "cpu_used": 0, "memory_used": 0,
            });
            serde_json::from_value::<HostView>(view).expect("a host")
        };
        let pools = [pool("a", Some("0.01 EUR")), pool("b", Some("0.5")), pool("c", None)];
        let hosts = [Some("a"), Some("a"), Some("b"), Some("c"), Some("gone"), None].map(host);
        assert_eq!(costs(&hosts, &pools), ["0.02 EUR per hour", "0.50 USD per hour"]);
        assert!(costs(&hosts[3..], &pools).is_empty(), "what is not known is not nothing");
    }
}
