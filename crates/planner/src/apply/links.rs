//! Links: a service uses what another one of the application provides.

use super::{LiveService, Making, package};
use lace_model::application::ServiceSpec;
use lace_model::manifest::nearest;
use lace_model::package::{LinkUse, Package, StoredPackage, Value, password_of, resolve};
use lace_model::revision::RevisionSpec;
use lace_model::{Code, Name, Problem, ServiceName};
use std::collections::{BTreeMap, BTreeSet};

/// What a service links, resolved. What the file does not say stays as it is.
pub(super) fn of(making: &Making, problems: &mut Vec<Problem>) -> BTreeMap<String, LinkUse> {
    // A statement about links alone names no package: the pinned one knows which there may be.
    let pinned = making.base.and_then(|base| base.package.as_ref()).filter(|_| making.says.links.is_some());
    let pinned = pinned.and_then(|used| making.live.packages.iter().find(|known| known.tree == used.tree));
    if let Some(own) = making.package.or(pinned) {
        problems.extend(missing(making, &own.spec));
    }
    let (Some(said), base) = (&making.says.links, making.base) else {
        return making.base.map(|base| base.links.clone()).unwrap_or_default();
    };
    let mut links = BTreeMap::new();
    for (name, service) in said {
        let kept = base.and_then(|base| base.links.get(name)).filter(|link| link.service == *service);
        match link(making, name, service) {
            Ok(link) => drop(links.insert(name.clone(), link)),
            // The package of what is there already may be away: it goes on as it is.
            Err(problem) => match kept.filter(|_| problem.code == Code::NotFound) {
                Some(kept) => drop(links.insert(name.clone(), kept.clone())),
                None => problems.push(problem),
            },
        }
    }
    links
}

/// Links that its own package asks for, or does not know.
fn missing(making: &Making, own: &Package) -> Vec<Problem> {
    let none = BTreeMap::new();
    let said = making.merged.links.as_ref().unwrap_or(&none);
    let path = format!("{}/{}", making.app, making.name);
    let wanted =
        own.consumes.iter().filter(|(name, consumed)| consumed.required && !said.contains_key(*name));
    let wanted = wanted.map(|(name, consumed)| {
        let text =
            format!("{path}: package {} is nothing without a link {name} ({})", own.name, consumed.interface);
        Problem::new(Code::Usage, text).hint(format!("write links = {{ {name} = \"SERVICE\" }}"))
    });
    let unknown = said.keys().filter(|name| !own.consumes.contains_key(*name)).map(|name| {
        let text = format!("{path}: package {} uses no link {name}", own.name);
        Problem::new(Code::Usage, text).hint(nearest(name, own.consumes.keys().map(String::as_str)))
    });
    wanted.chain(unknown).collect()
}

fn link(making: &Making, name: &str, service: &ServiceName) -> Result<LinkUse, Problem> {
    let path = format!("{}/{}: links.{name}", making.app, making.name);
    let nothing = || {
        let problem =
            Problem::not_found(format!("service {}/{service} with a package, for {path}", making.app));
        problem.hint("link a service of a package that provides something: lace package show NAME")
    };
    let (stored, settings) = provider(making, service).ok_or_else(nothing)?;
    let package = &stored.spec;
    let wanted =
        making.package.and_then(|own| own.spec.consumes.get(name)).map(|consumed| &consumed.interface);
    let interface = match (wanted, &package.provides.keys().collect::<Vec<_>>()[..]) {
        (Some(wanted), _) => wanted,
        (None, [only]) => only,
        (None, provided) => {
            let text = format!("{path}: {service} provides {} interfaces, not one", provided.len());
            return Err(Problem::new(Code::Usage, text));
        }
    };
    let Some(provided) = package.provides.get(interface) else {
        let text = format!("{path}: {service} does not provide {interface}");
        let known = package.provides.keys().map(Name::as_str);
        return Err(Problem::new(Code::Usage, text).hint(nearest(interface.as_str(), known)));
    };
    let port = package.ports.get(&provided.port);
    let roles = [Some(&provided.roles), port.map(|port| &port.roles)];
    let roles = roles.into_iter().flatten().find(|roles| !roles.is_empty());
    let all: BTreeSet<Name> = package.roles.keys().cloned().collect();
    let ports = package.ports.keys().filter_map(|name| Some((name.clone(), package.port(name, &settings)?)));
    Ok(LinkUse {
        service: service.clone(),
        interface: interface.clone(),
        port: package.port(&provided.port, &settings).unwrap_or_default(),
        ports: if package.ports.len() > 1 { ports.collect() } else { BTreeMap::new() },
        families: roles.cloned().unwrap_or(all),
        password: provided.password.then(|| password_of(service)),
    })
}

/// The package that a service of the application has then, with its settings.
fn provider<'a>(
    making: &Making<'a>,
    service: &ServiceName,
) -> Option<(&'a StoredPackage, BTreeMap<String, Value>)> {
    let nothing = ServiceSpec::default();
    let live = making.live.services.get(service).filter(|live| !live.service.deleting);
    let base = live.and_then(LiveService::wanted).map(|revision| &revision.spec);
    let says = making.beside.get(service);
    let named = package::of(making.live, base, says.unwrap_or(&nothing), "").ok()?;
    let pinned = base.and_then(|base| base.package.as_ref()).map(|package| package.tree);
    let stored =
        named.or_else(|| making.live.packages.iter().find(|package| Some(package.tree) == pinned))?;
    let settings = says.and_then(|says| says.settings.clone());
    let settings = settings.or_else(|| live.and_then(|live| live.service.spec.settings.clone()));
    // What is wrong with them is said of that service.
    let settings = resolve(&stored.spec.settings, &settings.unwrap_or_default()).unwrap_or_default();
    Some((stored, settings))
}

/// Secrets that a revision has for its own passwords and those of its links.
pub(super) fn secrets(spec: &RevisionSpec) -> BTreeSet<String> {
    spec.passwords().cloned().collect()
}
