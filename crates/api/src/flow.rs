//! What doors carried lately, by route, family and node.

use crate::ask::{Ask, TargetAsk};
use crate::caller::Caller;
use crate::refusal::Answer;
use crate::state::ApiState;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use lace_model::TargetPath;
use lace_model::traffic::{BUCKETS_MS, Flows, Series};
use lace_wire::flow::{FlowOf, FlowView};
use std::collections::BTreeSet;

/// Said where it took longer than the last bound.
const ABOVE_ALL_MS: u64 = BUCKETS_MS[BUCKETS_MS.len() - 1] + 1;

/// `GET /v1/flows`: what the caller may see, the busiest first.
pub(crate) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<TargetAsk>,
) -> Answer<Json<Vec<FlowView>>> {
    let world = World::load(&state, ask.target.as_ref(), &caller).await?;
    let services: BTreeSet<String> = world.services.keys().map(ToString::to_string).collect();
    let mut views = views(&state.liveness.flows());
    views.retain(|view| services.contains(service_of(view)) && is_asked(ask.target.as_ref(), view));
    Ok(Json(views))
}

fn views(flows: &Flows) -> Vec<FlowView> {
    let sorts =
        [(FlowOf::Route, &flows.routes), (FlowOf::Family, &flows.families), (FlowOf::Node, &flows.nodes)];
    let mut all: Vec<FlowView> = sorts
        .into_iter()
        .flat_map(|(kind, series)| series.iter().map(move |one| view(kind, one, flows.span_ms)))
        .collect();
    all.sort_by(|a, b| {
        (a.kind, b.requests_per_second, &a.name)
            .partial_cmp(&(b.kind, a.requests_per_second, &b.name))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    all
}

fn view(kind: FlowOf, series: &Series, span_ms: u64) -> FlowView {
    let carried = &series.carried;
    let rate = |count: u64| count as f64 * 1_000.0 / span_ms.max(1) as f64;
    let within = |permille| carried.within_ms(permille).map(|ms| ms.min(ABOVE_ALL_MS));
    FlowView {
        kind,
        name: series.name.clone(),
        of: series.of.clone(),
        span_ms,
        requests_per_second: rate(carried.answers()),
        errors_per_second: rate(carried.errors()),
        p50_ms: within(500),
        p99_ms: within(990),
        open: carried.open,
        waiting: carried.waiting,
        received_per_second: rate(carried.received) as u64,
        sent_per_second: rate(carried.sent) as u64,
    }
}

/// `shop/web` of a route's service, a family or a node.
fn service_of(view: &FlowView) -> &str {
    match view.kind {
        FlowOf::Route | FlowOf::Family => &view.of,
        FlowOf::Node => view.of.rsplit_once('/').map_or(view.of.as_str(), |(service, _)| service),
    }
}

/// A target names a part of the name; a route belongs to a whole service.
fn is_asked(target: Option<&TargetPath>, view: &FlowView) -> bool {
    let Some(family) = target.and_then(|t| Some((t.service.as_ref()?, t.family.as_ref()?))) else {
        return true;
    };
    let name = format!("/{}/{}", family.0, family.1);
    match view.kind {
        FlowOf::Route => true,
        FlowOf::Family => view.name.ends_with(&name),
        FlowOf::Node => view.of.ends_with(&name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_model::traffic::Carried;

    #[test]
    fn rows_are_rates_and_the_busiest_comes_first() {
        let series = |name: &str, answers, errors| {
            let mut carried = Carried { classes: [0, answers, 0, 0, errors], ..Carried::default() };
            carried.buckets[1] = answers;
            Series { of: "shop/web".into(), carried, ..Series::named(name) }
        };
        let flows = Flows {
            span_ms: 10_000,
            families: vec![series("shop/web/a", 10, 0), series("shop/web/b", 95, 5)],
            ..Flows::default()
        };
        let rows = views(&flows);
        assert_eq!(
            rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(),
            ["shop/web/b", "shop/web/a"]
        );
        assert_eq!((rows[0].requests_per_second, rows[0].errors_per_second), (10.0, 0.5));
        assert_eq!((rows[0].p50_ms, rows[0].p99_ms), (Some(5), Some(ABOVE_ALL_MS)));
        let target = |text: &str| text.parse::<TargetPath>().expect(text);
        assert!(
            is_asked(Some(&target("shop/web/b")), &rows[0])
                && !is_asked(Some(&target("shop/web/a")), &rows[0])
        );
    }
}
