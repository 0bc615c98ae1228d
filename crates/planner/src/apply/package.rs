//! A service made of a package: what the package says where the file says nothing, and what the two cannot be together.

use super::{LiveApplication, LiveService, Making};
use lace_model::application::{ApplyRequest, FamilySpec, ServiceSpec};
use lace_model::family::Family;
use lace_model::manifest::nearest;
use lace_model::package::{
    Package, PackageRef, PackageUse, ReleaseWish, RoleBounds, StoredPackage, Value, Verb, password_of,
    resolve,
};
use lace_model::revision::{RevisionSpec, VolumeSpec};
use lace_model::rollout::Strategy;
use lace_model::{Code, FamilyName, Name, Problem, ServiceName};
use std::collections::BTreeMap;

/// The package that a service has from now on. `None`: none, or the one that it has, with the settings that it has.
pub(super) fn of<'a>(
    live: &'a LiveApplication,
    base: Option<&RevisionSpec>,
    says: &ServiceSpec,
    path: &str,
) -> Result<Option<&'a StoredPackage>, Problem> {
    let pinned = base.and_then(|base| base.package.as_ref());
    let refuse = |text: String, hint: &str| Err(Problem::new(Code::Conflict, text).hint(hint));
    match (&says.package, base, pinned) {
        (Some(wanted), Some(_), None) => {
            let text = format!("{path} runs without a package, and cannot become one of package {wanted}");
            return refuse(text, "make another service of the package, then delete this one");
        }
        (Some(wanted), _, Some(pinned)) if wanted.name != pinned.name => {
            let text =
                format!("{path} is made of package {}, and cannot become one of {wanted}", pinned.name);
            return refuse(text, "make another service of the package, then delete this one");
        }
        (None, _, None) if says.settings.is_some() => {
            let text = format!("{path} has settings, and no package that they could be of");
            return Err(Problem::new(Code::Usage, text).hint("name the package: package = \"NAME\""));
        }
        _ => {}
    }
    if pinned.is_some() && says.start.is_some() {
        let text = format!("{path} has a command, and a package that says what runs");
        return Err(Problem::new(Code::Usage, text).hint("leave the command out"));
    }
    let wanted = match (&says.package, pinned) {
        (Some(wanted), _) => wanted.clone(),
        (None, Some(pinned)) if says.settings.is_some() => {
            if let Some(same) = live.packages.iter().find(|package| package.tree == pinned.tree) {
                return Ok(Some(same));
            }
            PackageRef { name: pinned.name.clone(), version: Some(pinned.version.clone()) }
        }
        _ => return Ok(None),
    };
    let problem = || Problem::not_found(format!("package {wanted}, of which {path} is made"));
    let found = live.package(&wanted).ok_or_else(|| problem().hint("lace package list"))?;
    Ok(Some(found))
}

/// The request with every role of its packages as a family; and what names families that are no role.
pub(super) fn with_roles(live: &LiveApplication, request: &ApplyRequest) -> (ApplyRequest, Vec<Problem>) {
    let (mut request, mut problems) = (request.clone(), Vec::new());
    for (name, says) in &mut request.spec.services {
        let base = live.services.get(name).and_then(LiveService::wanted).map(|r| &r.spec);
        // What is wrong with the package is said where the service is compared.
        let found = of(live, base, says, "").unwrap_or_default().map(|package| roles_of(&package.spec));
        let pinned = || base.and_then(|base| base.package.as_ref()).map(|package| package.roles.clone());
        if let Some(roles) = found.or_else(pinned) {
            let path = format!("{}/{name}", request.app);
            problems.extend(give_roles(name, says, &roles, &path));
        }
    }
    (request, problems)
}

fn roles_of(package: &Package) -> BTreeMap<Name, RoleBounds> {
    package.roles.iter().map(|(name, role)| (name.clone(), role.bounds())).collect()
}

/// What stands in the service itself is its only role's.
fn give_roles(
    service: &ServiceName,
    says: &mut ServiceSpec,
    roles: &BTreeMap<Name, RoleBounds>,
    path: &str,
) -> Vec<Problem> {
    if let ([only], Some(own)) = (&roles.keys().collect::<Vec<_>>()[..], says.families.get(service).cloned())
        && !roles.contains_key(service)
    {
        says.families.remove(service);
        says.families.entry((*only).clone()).or_insert(own);
    }
    let unknown = says.families.keys().filter(|family| !roles.contains_key(*family)).map(|family| {
        let text = format!("{path}: its package has no role {family}");
        Problem::new(Code::Usage, text).hint(nearest(family.as_str(), roles.keys().map(Name::as_str)))
    });
    let problems = unknown.collect();
    for role in roles.keys() {
        says.families.entry(role.clone()).or_default();
    }
    problems
}

/// The service as it is with what its package says where nobody else does.
pub(super) fn fill(merged: &ServiceSpec, package: &Package) -> ServiceSpec {
    let mut filled = merged.clone();
    for (name, role) in &package.roles {
        let said = merged.families.get(name).cloned().unwrap_or_default();
        let family = FamilySpec {
            // Under scaling the policy says how many there are at first.
            count: said.count.or_else(|| said.scale.is_none().then_some(role.count)),
            cpu: said.cpu.or(role.cpu),
            memory: said.memory.or(role.memory),
            disk: said.disk.or(role.disk),
            pids: said.pids.or(role.pids),
            ..said
        };
        filled.families.insert(name.clone(), family);
    }
    filled.state = merged.state.or(Some(package.state));
    filled
}

/// Lays a package under a revision: what the file has said of these fields goes first.
pub(super) fn lay(spec: &mut RevisionSpec, making: &Making, stored: &StoredPackage) -> Vec<Problem> {
    let (package, said) = (&stored.spec, making.merged);
    let path = format!("{}/{}", making.app, making.name);
    let settings = match resolve(&package.settings, said.settings.as_ref().unwrap_or(&BTreeMap::new())) {
        Ok(settings) => settings,
        Err(lines) => {
            let problem = |line| Problem::new(Code::Usage, format!("{path}: {line}"));
            let hint = format!("lace package show {}", package.key());
            return lines.into_iter().map(|line| problem(line).hint(hint.clone())).collect();
        }
    };
    let asked = |checked: &Option<_>| checked.as_ref().and_then(|asked| package.asked(asked, &settings));
    spec.check = said.check.clone().or_else(|| asked(&package.check));
    spec.live = said.live.clone().or_else(|| asked(&package.live));
    spec.stop = said.stop.clone().unwrap_or_else(|| package.stop.clone());
    spec.stop_command = said.stop_command.clone().or_else(|| package.command(Verb::Stop));
    spec.volumes = volumes(said, package);
    let home = spec.volumes.iter().find(|volume| package.volumes.contains_key(&volume.name));
    spec.start = package.start(spec.isolation, home.map(|volume| volume.at.as_str()));
    let guarded = package.provides.iter().filter(|(_, provided)| provided.password);
    let passwords = guarded.map(|(name, _)| (name.clone(), password_of(making.name))).collect();
    spec.package = Some(Box::new(PackageUse { passwords, ..used(stored, settings) }));
    release(spec, package, &path).into_iter().collect()
}

fn used(stored: &StoredPackage, settings: BTreeMap<String, Value>) -> PackageUse {
    let package = &stored.spec;
    let ports = package.ports.keys().filter_map(|name| Some((name.clone(), package.port(name, &settings)?)));
    PackageUse {
        name: package.name.clone(),
        version: package.version.clone(),
        tree: stored.tree,
        roles: roles_of(package),
        ports: ports.collect(),
        settings,
        templates: package.templates.clone(),
        passwords: BTreeMap::new(),
        notify: package.scripts.get(&Verb::Notify).cloned(),
        drain: package.scripts.get(&Verb::Drain).cloned(),
        reload: package.reload.clone(),
        metrics: package.metrics.clone(),
        image: package.image.packages.clone(),
    }
}

/// Those of the package; one that the file says under the same name is the file's, and others are beside them.
fn volumes(said: &ServiceSpec, package: &Package) -> Vec<VolumeSpec> {
    let mut volumes: BTreeMap<&Name, VolumeSpec> = BTreeMap::new();
    for (name, storage) in &package.volumes {
        let (size, at) = (storage.size, storage.at.clone());
        volumes.insert(name, VolumeSpec { name: name.clone(), size, at, backup: None, keep: None });
    }
    volumes.extend(said.volumes.iter().flatten().map(|volume| (&volume.name, volume.clone())));
    volumes.into_values().collect()
}

fn release(spec: &RevisionSpec, package: &Package, path: &str) -> Option<Problem> {
    let problem = |text: String| Problem::new(Code::Usage, format!("{path}: {text}"));
    match (package.release, spec.tree.is_some()) {
        (ReleaseWish::None, true) => {
            let text = format!("package {} takes no release", package.name);
            Some(problem(text).hint("leave the release out"))
        }
        (ReleaseWish::Required, false) => {
            let text = format!("package {} is nothing without a release", package.name);
            Some(problem(text).hint("give it one: release = { path = \".\" }"))
        }
        _ => None,
    }
}

/// Refuses a number of nodes that a role does not allow.
///
/// # Errors
/// `Usage`, where both revisions would be more nodes of a role than there may be.
pub(super) fn check_beside(spec: &RevisionSpec, family: &Family) -> Result<(), Problem> {
    let Some(package) = &spec.package else { return Ok(()) };
    let Some(bounds) = package.roles.get(&family.path.family) else { return Ok(()) };
    if family.rollout.strategy != Strategy::BlueGreen || family.count.saturating_mul(2) <= bounds.max {
        return Ok(());
    }
    let text = format!(
        "rollout.strategy = \"blue-green\" has both revisions at once, and the role {} of package {} has {bounds}",
        family.path.family, package.name
    );
    Err(Problem::new(Code::Usage, text).hint("use rollout = { strategy = \"rolling\" }"))
}

/// `Usage`, with what it allows.
pub(crate) fn check_count(spec: &RevisionSpec, family: &FamilyName, count: u32) -> Result<(), Problem> {
    let Some(package) = &spec.package else { return Ok(()) };
    let Some(bounds) = package.roles.get(family) else { return Ok(()) };
    if (bounds.min..=bounds.max).contains(&count) {
        return Ok(());
    }
    let text = format!("{count} nodes: the role {family} of package {} has {}", package.name, bounds);
    Err(Problem::new(Code::Usage, text))
}
