//! Ways in from outside: each belongs to one service of the whole installation.

use super::Work;
use lace_model::application::ServiceSpec;
use lace_model::route::{PAGE_BYTES_MAX, ROUTES_MAX, RouteSpec, host_name, path_prefix, usual_host};
use lace_model::{AppName, Code, Name, Problem, ServiceName, ServicePath};
use std::collections::{BTreeMap, BTreeSet};

/// Names of a service's ways in.
pub(super) fn shown(app: &AppName, service: &ServiceName, spec: &ServiceSpec) -> Option<String> {
    let usual = usual_host(&ServicePath { app: app.clone(), service: service.clone() });
    let routes = spec.routes.as_ref()?;
    Some(routes.iter().map(|r| format!("{} to :{}", r.door(&usual), r.port)).collect::<Vec<_>>().join(", "))
}

/// Refuses what is no way in, and what is another's.
pub(super) fn check(work: &mut Work) {
    let mut problems = Vec::new();
    let mut taken: BTreeMap<String, ServicePath> = work.facts.doors.clone();
    let app = &work.request.app;
    taken.retain(|_, owner| owner.app != *app);
    for (name, live) in &work.live.services {
        if work.request.spec.services.get(name).is_none_or(|says| says.routes.is_none()) {
            let usual = usual_host(&live.service.path);
            let routes = live.service.spec.routes.iter().flatten();
            taken.extend(routes.map(|route| (route.door(&usual), live.service.path.clone())));
        }
    }
    for (name, says) in &work.request.spec.services {
        let path = ServicePath { app: app.clone(), service: name.clone() };
        let long = says.maintenance.as_ref().and_then(|m| m.page.as_ref()).map_or(0, String::len);
        if long > PAGE_BYTES_MAX {
            let text = format!("the page of {path} has {long} bytes; at most {PAGE_BYTES_MAX} are allowed");
            problems.push(Problem::new(Code::Usage, text));
        }
        let routes = says.routes.as_deref().unwrap_or_default();
        if routes.len() > ROUTES_MAX {
            let text = format!("{path} has {} routes; at most {ROUTES_MAX} are allowed", routes.len());
            problems.push(Problem::new(Code::Usage, text));
        }
        let families = families_of(work, name, says);
        for route in routes {
            problems.extend(parts(&families, &path, route).err());
            problems.extend(claim(&mut taken, &path, route).err());
        }
    }
    work.problems.extend(problems);
}

/// The families that a service has by now, or will have.
fn families_of(work: &Work, name: &ServiceName, says: &ServiceSpec) -> BTreeSet<Name> {
    let mut known: BTreeSet<Name> = says.families.keys().cloned().collect();
    let live = work.live.services.get(name);
    known.extend(live.into_iter().flat_map(|live| live.families.keys().cloned()));
    if known.is_empty() {
        known.insert(name.clone());
    }
    known
}

/// Weights are for families that are there, and somebody gets something.
fn parts(families: &BTreeSet<Name>, path: &ServicePath, route: &RouteSpec) -> Result<(), Problem> {
    let door = route.door(&usual_host(path));
    if let Some(unknown) = route.families.keys().find(|family| !families.contains(*family)) {
        let known = families.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
        let text = format!("the route {door} leads to the family {unknown}, which {path} does not have");
        return Err(Problem::new(Code::Usage, text).hint(format!("it has {known}")));
    }
    if !route.families.is_empty() && route.families.values().all(|part| *part == 0) {
        return Err(Problem::new(
            Code::Usage,
            format!("no family of the route {door} gets a part of the requests"),
        )
        .hint("give one of them more than 0"));
    }
    Ok(())
}

fn claim(
    taken: &mut BTreeMap<String, ServicePath>,
    path: &ServicePath,
    route: &RouteSpec,
) -> Result<(), Problem> {
    let bad = |what: String| Problem::new(Code::Usage, format!("a route of {path}: {what}"));
    if let Some(host) = &route.host
        && host_name(host).map_err(bad)? != *host
    {
        return Err(bad(format!("{host:?} has to be written in small letters")));
    }
    if path_prefix(&route.path).map_err(bad)? != route.path {
        return Err(bad(format!("{:?} has to be written without a slash at its end", route.path)));
    }
    if route.port == 0 || route.listen == Some(0) {
        return Err(bad("a port is a number from 1 to 65535".into()));
    }
    if route.listen.is_some() && (route.host.is_some() || route.path != "/") {
        return Err(bad("TCP has no host name and no path: leave out one or the other".into()));
    }
    let door = route.door(&usual_host(path));
    match taken.insert(door.clone(), path.clone()) {
        Some(owner) if owner == *path => Err(bad(format!("{door} is said twice"))),
        Some(owner) => Err(Problem::new(Code::Conflict, format!("{door} belongs to {owner}"))
            .hint(format!("take it away there first: `lace route remove {owner} {door}`"))),
        None => Ok(()),
    }
}
