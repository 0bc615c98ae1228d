//! One service of a manifest: its revision, its families, its lines in the plan.

use super::diff::{self, Difference};
use super::revise::{Making, check_size};
use super::{COUNT_MAX, LiveService, Work, condition, copies, doors, isolation, merge, needs, package, tls};
use crate::edit::goal_of;
use lace_model::application::{FamilySpec, ServiceSpec};
use lace_model::change::{Action, Change};
use lace_model::family::{Family, Service, StateKind};
use lace_model::revision::{Limits, Revision, RevisionSpec};
use lace_model::{Code, Digest, FamilyName, FamilyPath, Problem, ServiceName, ServicePath};
use std::collections::{BTreeMap, BTreeSet};

/// Compares a service and notes what is to be written.
pub(super) fn service(work: &mut Work, name: &ServiceName, says: &ServiceSpec) {
    let live = work.live.services.get(name);
    if live.is_some_and(|l| l.service.deleting) {
        let problem =
            Problem::new(Code::Conflict, format!("service {}/{name} is being deleted", work.request.app));
        return work.problems.push(problem.hint("wait until it is gone, then apply again"));
    }
    let nothing = ServiceSpec::default();
    let merged = merge::service(live.map_or(&nothing, |l| &l.service.spec), says);
    let base = live.and_then(LiveService::wanted).map(|r| &r.spec);
    let app = &work.request.app;
    let package = match package::of(work.live, base, says, &format!("{app}/{name}")) {
        Ok(package) => package,
        Err(problem) => return work.problems.push(problem),
    };
    let filled = package.map_or_else(|| merged.clone(), |package| package::fill(&merged, &package.spec));
    let beside = &work.request.spec.services;
    let making = Making { app, name, live: work.live, says, merged: &filled, base, beside, package };
    let made = match making.make() {
        Ok(made) => made,
        Err(problems) => return work.problems.extend(problems),
    };
    let mut sizes: Vec<&Limits> =
        merge::families(name, &filled).keys().map(|f| made.spec.limits_of(f)).collect();
    sizes.dedup();
    sizes.into_iter().for_each(|limits| check_size(work, name, limits));
    let problems = isolation::check(work, &making, &made.spec);
    work.problems.extend(problems);
    // Those who use a service have its password, too.
    let new = made.generate.into_iter().filter(|name| !work.generate.contains(name)).collect::<Vec<_>>();
    work.generate.extend(new);
    let plan = Compared { name, live, says, merged, filled, spec: made.spec };
    plan.write(work);
}

struct Compared<'a> {
    name: &'a ServiceName,
    live: Option<&'a LiveService>,
    says: &'a ServiceSpec,
    merged: ServiceSpec,
    /// The same, with what its package says where nobody else does.
    filled: ServiceSpec,
    spec: RevisionSpec,
}

impl Compared<'_> {
    fn write(&self, work: &mut Work) {
        let path = ServicePath { app: work.request.app.clone(), service: self.name.clone() };
        let number = self.revision(work, &path);
        let families = self.families(work, number);
        let refused =
            self.live.map(|live| tls::refuse_switch(live, &self.spec, &families.iter().collect::<Vec<_>>()));
        work.problems.extend(refused.and_then(Result::err));
        work.problems.extend(copies::refuse_beside(&self.spec, &families).err());
        self.tell(work, &families, number);
        for family in &families {
            work.edit.goals.push(goal_of(family));
            let before = self.live.and_then(|l| l.families.get(&family.path.family));
            if before != Some(family) {
                work.edit.families.push(family.clone());
            }
        }
        let last = self.live.map_or(0, |l| l.service.revision_last).max(number);
        let service = Service {
            path,
            revision: number,
            revision_last: last,
            spec: self.merged.clone(),
            deleting: false,
            pushes: self.live.and_then(|live| live.service.pushes.clone()),
        };
        if self.live.map(|l| &l.service) != Some(&service) {
            work.edit.services.push(service);
        }
    }

    /// The number of the wanted revision: a new one only where its content differs. One that failed is tried again.
    fn revision(&self, work: &mut Work, path: &ServicePath) -> u64 {
        let digest = Digest::of_value(&self.spec);
        if let Some(wanted) = self.live.and_then(LiveService::wanted).filter(|r| r.digest == digest) {
            if wanted.bad.is_some() {
                work.edit.revisions.push(Revision { bad: None, ..wanted.clone() });
            }
            return wanted.number;
        }
        let number = self.live.map_or(0, |l| l.service.revision_last) + 1;
        work.edit.revisions.push(Revision {
            service: path.clone(),
            number,
            digest,
            spec: self.spec.clone(),
            created_at: work.facts.now,
            created_by: work.facts.actor.clone(),
            note: "apply".into(),
            bad: None,
        });
        number
    }

    fn families(&self, work: &mut Work, revision: u64) -> Vec<Family> {
        let mut names: BTreeMap<FamilyName, FamilySpec> = merge::families(self.name, &self.filled);
        let live = self.live.map(|l| &l.families);
        for name in live.into_iter().flatten().filter(|(_, f)| !f.deleting).map(|(name, _)| name) {
            names.entry(name.clone()).or_default();
        }
        names.iter().map(|(name, spec)| self.family(work, name, spec, revision)).collect()
    }

    fn family(&self, work: &mut Work, name: &FamilyName, merged: &FamilySpec, revision: u64) -> Family {
        let path = FamilyPath::new(work.request.app.clone(), self.name.clone(), name.clone());
        let silent = FamilySpec::default();
        let says = self.says.families.get(name).unwrap_or(&silent);
        let live = self.live.and_then(|l| l.families.get(name));
        let mut family = live.cloned().unwrap_or_else(|| fresh(path.clone(), &self.filled, merged));
        if family.deleting {
            let problem = Problem::new(Code::Conflict, format!("family {path} is being deleted"));
            work.problems.push(problem.hint("wait until it is gone, then apply again"));
        }
        family.scale = says.scale.or(family.scale);
        // Under scaling the count is only the start.
        let scaled = live.is_some() && family.scale.is_some();
        family.count = says.count.filter(|_| !scaled).unwrap_or(family.count);
        if let Some(policy) = family.scale.filter(|policy| policy.min > policy.max) {
            let text = format!("{path}: scale: min {} is more than max {}", policy.min, policy.max);
            work.problems.push(Problem::new(Code::Usage, text));
        }
        family.select = says.select.unwrap_or(family.select);
        family.per_host = says.per_host.or(family.per_host);
        family.pools = says.pools.clone().unwrap_or(family.pools);
        if let Some(condition) = &says.condition {
            family.condition = Some(condition.clone()).filter(|text| !text.trim().is_empty());
        }
        // What was good when it was said stays: the host that it speaks of may have gone meanwhile.
        if live.is_none_or(|l| l.pools != family.pools || l.condition != family.condition) {
            condition::check(work, &family);
        }
        family.rollout = self.says.rollout.clone().unwrap_or(family.rollout);
        family.state = self.filled.state.unwrap_or_else(|| match &self.spec.package {
            // The package has said it when the service was made of it.
            Some(_) => family.state,
            None => usual_state(!self.spec.volumes.is_empty()),
        });
        if live.is_none() || self.says.needs.is_some() {
            family.needs = needs::families(work, self.merged.needs.as_deref().unwrap_or_default());
        }
        family.revision = revision;
        family.aborted = None;
        work.problems.extend(
            self.counts(&family)
                .map(|problem| Problem { message: format!("{path}: {}", problem.message), ..problem }),
        );
        if family.count > COUNT_MAX {
            let text = format!(
                "{path}: {} nodes are more than the {COUNT_MAX} that a family may have",
                family.count
            );
            work.problems.push(Problem::new(Code::Usage, text));
        }
        family
    }

    /// Why its role does not allow so many nodes.
    fn counts(&self, family: &Family) -> Option<Problem> {
        let scaled = family.scale.map(|policy| [policy.min, policy.max]);
        let asked = scaled.iter().flatten().chain([&family.count]);
        let name = &family.path.family;
        let problem = asked.filter_map(|count| package::check_count(&self.spec, name, *count).err()).next();
        problem.or_else(|| package::check_beside(&self.spec, family).err())
    }

    fn tell(&self, work: &mut Work, families: &[Family], number: u64) {
        let Some(live) = self.live else {
            let nodes: u32 = families.iter().filter(|f| f.running).map(|f| f.count).sum();
            let title = self.spec.title();
            let what = if title.is_empty() { self.spec.start.join(" ") } else { title };
            let effect = Some(format!("starts {}", nodes_of(nodes)));
            return self.line(work, Action::Create, Difference::whole(Some(what)), effect);
        };
        self.tell_revision(work, live, families, number);
        for family in families {
            match live.families.get(&family.path.family) {
                Some(before) => self.tell_family(work, before, family),
                None => {
                    let effect = family.running.then(|| format!("starts {}", nodes_of(family.count)));
                    let field = format!("family.{}", family.path.family);
                    let whole = Difference { field, ..Difference::whole(Some(family.count.to_string())) };
                    self.line(work, Action::Create, whole, effect);
                }
            }
        }
        let names = |spec: &ServiceSpec| {
            spec.tasks.as_ref().map(|t| t.keys().map(ToString::to_string).collect::<Vec<_>>().join(", "))
        };
        if self.says.tasks.is_some() && self.says.tasks != live.service.spec.tasks {
            self.tell_statement(work, live, "tasks", names);
        }
        if self.says.routes.is_some() && self.says.routes != live.service.spec.routes {
            let app = work.request.app.clone();
            self.tell_statement(work, live, "routes", |spec| doors::shown(&app, self.name, spec));
        }
        let maintained = |spec: &ServiceSpec| spec.maintenance.as_ref().is_some_and(|m| m.on);
        if self.says.maintenance.is_some() && self.says.maintenance != live.service.spec.maintenance {
            let word = |spec: &ServiceSpec| Some(if maintained(spec) { "on" } else { "off" }.to_owned());
            self.tell_statement(work, live, "maintenance", word);
        }
    }

    /// What is said of the service and is no matter of its revision.
    fn tell_statement(
        &self,
        work: &mut Work,
        live: &LiveService,
        field: &str,
        shown: impl Fn(&ServiceSpec) -> Option<String>,
    ) {
        let (from, to) = (shown(&live.service.spec), shown(self.says));
        let difference = Difference { field: field.into(), root: field.into(), from, to };
        self.line(work, Action::Update, difference, None);
    }

    fn tell_revision(&self, work: &mut Work, live: &LiveService, families: &[Family], number: u64) {
        let Some(wanted) = live.wanted() else { return };
        let nodes: u32 = families.iter().filter(|f| f.running).map(|f| f.count).sum();
        let mut effect = Some(format!("rolls {}", nodes_of(nodes)));
        for difference in diff::revisions(&wanted.spec, &self.spec) {
            self.line(work, Action::Update, difference, effect.take());
        }
        let aborted = live.families.values().any(|f| f.aborted == Some(number));
        if wanted.number == number && (wanted.bad.is_some() || aborted) {
            let cause = wanted.bad.clone().unwrap_or_else(|| "aborted".into());
            let from = Some(format!("{number} ({cause})"));
            let difference = Difference {
                field: "revision".into(),
                root: "revision".into(),
                from,
                to: Some(number.to_string()),
            };
            self.line(work, Action::Update, difference, Some("is tried again".into()));
        }
        self.tell_drift(work, wanted, live);
    }

    /// Fields that were applied once, that the file does not mention now, and that a hand has changed since.
    fn tell_drift(&self, work: &mut Work, wanted: &Revision, live: &LiveService) {
        let app = &work.request.app;
        let applied = &live.service.spec;
        let base = Some(&wanted.spec);
        // As it was then: a package that came since is news, no drift.
        let pinned = wanted.spec.package.as_ref().map(|package| package.tree);
        let package = work.live.packages.iter().find(|package| Some(package.tree) == pinned);
        let filled = package.map_or_else(|| applied.clone(), |package| package::fill(applied, &package.spec));
        let merged = &filled;
        let (live, says, beside) = (work.live, applied, &work.request.spec.services);
        let making = Making { app, name: self.name, live, says, merged, base, beside, package };
        let Ok(declared) = making.make() else { return };
        let said: BTreeSet<String> =
            diff::revisions(&wanted.spec, &self.spec).into_iter().map(|d| d.field).collect();
        let newest = applied.release.as_ref().is_some_and(|r| r.version.is_none());
        for drift in diff::revisions(&declared.spec, &wanted.spec) {
            let is_newer_release = newest && matches!(drift.root.as_str(), "release" | "start");
            let is_secret = drift.root == "secrets";
            if !said.contains(&drift.field) && !is_newer_release && !is_secret && !self.states(&drift.root) {
                self.line(work, Action::Drift, drift, None);
            }
        }
    }

    fn states(&self, root: &str) -> bool {
        let families = || self.says.families.values();
        match root {
            "cpu" => families().any(|f| f.cpu.is_some()),
            "memory" => families().any(|f| f.memory.is_some()),
            "disk" => families().any(|f| f.disk.is_some()),
            "pids" => families().any(|f| f.pids.is_some()),
            field => serde_json::to_value(self.says).is_ok_and(|v| v.get(field).is_some()),
        }
    }

    fn tell_family(&self, work: &mut Work, before: &Family, after: &Family) {
        let name = &after.path.family;
        if let Some(count) = diff::family_field(name, "count", &before.count, &after.count) {
            let effect = match (after.running, after.count.cmp(&before.count)) {
                (false, _) => None,
                (_, std::cmp::Ordering::Less) => {
                    Some(format!("stops {}", nodes_of(before.count - after.count)))
                }
                _ => Some(format!("starts {}", nodes_of(after.count - before.count))),
            };
            self.line(work, Action::Update, count, effect);
        }
        let others = [
            diff::family_field(name, "select", &before.select, &after.select),
            diff::family_field(name, "per_host", &before.per_host, &after.per_host),
            diff::family_field(name, "pools", &before.pools, &after.pools),
            diff::family_field(name, "where", &before.condition, &after.condition),
            diff::family_field(name, "rollout", &before.rollout, &after.rollout),
            diff::family_field(name, "scale", &before.scale, &after.scale),
            diff::family_field(name, "state", &before.state, &after.state),
            diff::family_field(name, "needs", &before.needs, &after.needs),
        ];
        for difference in others.into_iter().flatten() {
            self.line(work, Action::Update, difference, None);
        }
        let says = self.says.families.get(name).and_then(|f| f.count);
        let applied = self.live.and_then(|l| l.service.spec.families.get(name)).and_then(|f| f.count);
        if let (None, Some(applied), None) = (says, applied, before.scale)
            && let Some(drift) = diff::family_field(name, "count", &applied, &before.count)
        {
            self.line(work, Action::Drift, drift, None);
        }
    }

    fn line(&self, work: &mut Work, action: Action, what: Difference, effect: Option<String>) {
        let service = Some(self.name.clone());
        work.changes.push(Change {
            service,
            action,
            field: what.field,
            from: what.from,
            to: what.to,
            effect,
        });
    }
}

impl Difference {
    fn whole(to: Option<String>) -> Self {
        Self { field: String::new(), root: String::new(), from: None, to }
    }
}

/// What nobody said: data on a host's disk does not move with its node, which would find an empty volume elsewhere.
fn usual_state(has_volumes: bool) -> StateKind {
    if has_volumes { StateKind::Pinned } else { StateKind::Replaceable }
}

fn fresh(path: FamilyPath, service: &ServiceSpec, family: &FamilySpec) -> Family {
    Family {
        path,
        count: family.count.unwrap_or_else(|| family.scale.map_or(1, |policy| policy.min.max(1))),
        running: true,
        revision: 0,
        restart: 0,
        replace: BTreeMap::new(),
        rollout: service.rollout.clone().unwrap_or_default(),
        paused: false,
        aborted: None,
        promoted: None,
        promoted_step: None,
        hot: None,
        select: family.select.unwrap_or_default(),
        per_host: family.per_host,
        pools: family.pools.clone().unwrap_or_default(),
        condition: family.condition.clone().filter(|text| !text.trim().is_empty()),
        scale: family.scale,
        state: StateKind::default(),
        needs: BTreeSet::new(),
        hosts: BTreeSet::new(),
        deleting: false,
        force_at: None,
    }
}

pub(super) fn nodes_of(count: u32) -> String {
    if count == 1 { "1 node".into() } else { format!("{count} nodes") }
}
