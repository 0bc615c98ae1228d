//! What a file says, laid over what was applied before.

use lace_model::application::{FamilySpec, ServiceSpec};
use lace_model::{FamilyName, ServiceName};
use std::collections::BTreeMap;

macro_rules! lay_over {
    ($kind:ident, $old:ident, $new:ident, [$($field:ident),* $(,)?] $(, $rest:ident: $value:expr)?) => {
        $kind { $($field: $new.$field.clone().or_else(|| $old.$field.clone()),)* $($rest: $value)? }
    };
}

/// The fields of `new` where it says something, those of `old` elsewhere. Maps count as a whole, families one by one.
pub(super) fn service(old: &ServiceSpec, new: &ServiceSpec) -> ServiceSpec {
    let mut families = old.families.clone();
    for (name, spec) in &new.families {
        let before = families.get(name).cloned().unwrap_or_default();
        families.insert(name.clone(), family(&before, spec));
    }
    let merged = lay_over!(
        ServiceSpec,
        old,
        new,
        [
            release, package, settings, links, start, stop_command, env, secrets, files, templates, firewall, volumes, isolation, beam,
            bootstrap, bootstrap_with, bootstrap_each_start, before, check, live, stop, restart, rollout,
            state, needs, tasks,
            routes, maintenance,
        ],
        families: families
    );
    // Whom a command joins belongs to the command.
    let of = if new.bootstrap.is_some() { new } else { old };
    let (with, each_start) = (of.bootstrap_with.clone(), of.bootstrap_each_start);
    ServiceSpec { bootstrap_with: with, bootstrap_each_start: each_start, ..merged }
}

fn family(old: &FamilySpec, new: &FamilySpec) -> FamilySpec {
    lay_over!(
        FamilySpec,
        old,
        new,
        [count, cpu, memory, disk, pids, select, per_host, pools, condition, scale]
    )
}

/// The families of a service; a bare one has one, named after it.
pub(super) fn families(service: &ServiceName, spec: &ServiceSpec) -> BTreeMap<FamilyName, FamilySpec> {
    if spec.families.is_empty() {
        return BTreeMap::from([(service.clone(), FamilySpec::default())]);
    }
    spec.families.clone()
}
