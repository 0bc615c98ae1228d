//! Ways in from outside: which there are, and where they are reached.

use crate::ask::{Ask, TargetAsk};
use crate::caller::Caller;
use crate::refusal::Answer;
use crate::state::ApiState;
use crate::world::World;
use axum::Json;
use axum::extract::State;
use lace_model::certificate::{Certificate, secret_of};
use lace_model::family::Service;
use lace_model::route::{RouteSpec, RouteTls, usual_host};
use lace_wire::route::RouteView;

/// `GET /v1/routes`.
pub(crate) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<TargetAsk>,
) -> Answer<Json<Vec<RouteView>>> {
    let world = World::load(&state, ask.target.as_ref(), &caller).await?;
    Ok(Json(world.services.values().flat_map(|service| views(&state, &world, service)).collect()))
}

/// Those that the service says, then the usual one.
fn views(state: &ApiState, world: &World, service: &Service) -> Vec<RouteView> {
    let usual = usual_host(&service.path);
    let said = service.spec.routes.as_deref().unwrap_or_default();
    let mut all: Vec<_> =
        said.iter().map(|route| declared(view(state, world, service, route, &usual))).collect();
    let port = world.revisions.get(&service.path).and_then(|r| lace_planner::usual_port(&r.spec));
    let is_said = all.iter().any(|view| view.door == format!("{usual}/"));
    if let Some(port) = port.filter(|_| !is_said) {
        all.push(view(state, world, service, &RouteSpec::new(port), &usual));
    }
    all
}

fn declared(view: RouteView) -> RouteView {
    RouteView { declared: true, ..view }
}

/// The certificate that doors present for it.
fn certificate<'a>(world: &'a World, service: &Service, route: &RouteSpec) -> Option<&'a Certificate> {
    let app = world.apps.get(&service.path.app).filter(|_| route.tls != RouteTls::Off)?;
    let host = route.host.as_ref()?;
    let told = lace_planner::certificates_for(&app.certificates, &[host]);
    let secret = &told.first()?.secret;
    app.certificates.iter().find(|c| secret_of(&c.host) == *secret)
}

fn obtaining(world: &World, service: &Service, route: &RouteSpec) -> Option<String> {
    let app = world.apps.get(&service.path.app)?;
    let known = app.obtaining.iter().find(|o| Some(&o.host) == route.host.as_ref())?;
    Some(lace_planner::obtaining_told(known, world.now))
}

fn view(state: &ApiState, world: &World, service: &Service, route: &RouteSpec, usual: &str) -> RouteView {
    let at = state.config.door;
    let held = certificate(world, service, route);
    let host = route.host.as_deref().unwrap_or(usual);
    let encrypted = state.config.door_tls.filter(|_| held.is_some());
    let url = match (route.listen, at) {
        (None, _) if encrypted.is_some_and(|at| at.port() == 443) => {
            Some(format!("https://{host}{}", route.path))
        }
        (None, _) if encrypted.is_some() => {
            encrypted.map(|at| format!("https://{host}:{}{}", at.port(), route.path))
        }
        (_, None) => None,
        (Some(listen), Some(at)) => Some(format!("tcp://{}:{listen}", at.ip())),
        (None, Some(at)) if at.port() == 80 => Some(format!("http://{host}{}", route.path)),
        (None, Some(at)) => Some(format!("http://{host}:{}{}", at.port(), route.path)),
    };
    RouteView {
        service: service.path.to_string(),
        door: route.door(usual),
        url,
        port: route.port,
        declared: false,
        certificate_until: held.map(|c| c.not_after),
        certificate_issuer: held.map(|c| c.issuer.clone()),
        certificate_source: held.map(|c| c.source.as_str().to_owned()),
        obtaining: obtaining(world, service, route),
        sticky: route.sticky,
        maintenance: service.spec.maintenance.as_ref().is_some_and(|m| m.on),
    }
}
