//! Which services must be healthy first: they must exist, and not need one another in a circle.

use super::{Work, merge};
use lace_model::application::ServiceSpec;
use lace_model::{Code, FamilyPath, Problem, ServiceName};
use std::collections::BTreeSet;

/// Refuses needs that can never be met.
pub(super) fn check(work: &mut Work) {
    let services: Vec<&ServiceName> = work.request.spec.services.keys().collect();
    for name in services {
        for need in needs_of(work, name) {
            if spec_of(work, &need).is_none() {
                let problem =
                    Problem::not_found(format!("service {}/{need}, which {name} needs", work.request.app));
                work.problems.push(problem.hint("add it to the manifest, or take it out of `needs`"));
            }
        }
        if reaches(work, name, name, &mut BTreeSet::new()) {
            let text = format!("service {}/{name} needs itself, directly or by others", work.request.app);
            work.problems.push(Problem::new(Code::Usage, text).hint("take one of them out of `needs`"));
        }
    }
}

fn spec_of<'a>(work: &Work<'a>, name: &ServiceName) -> Option<&'a ServiceSpec> {
    let live = work.live.services.get(name).filter(|l| !l.service.deleting).map(|l| &l.service.spec);
    work.request.spec.services.get(name).or(live)
}

fn needs_of(work: &Work, name: &ServiceName) -> Vec<ServiceName> {
    let said = work.request.spec.services.get(name).and_then(|s| s.needs.clone());
    let live = work.live.services.get(name).and_then(|l| l.service.spec.needs.clone());
    said.or(live).unwrap_or_default()
}

fn reaches(work: &Work, from: &ServiceName, goal: &ServiceName, seen: &mut BTreeSet<ServiceName>) -> bool {
    needs_of(work, from)
        .into_iter()
        .any(|need| need == *goal || seen.insert(need.clone()) && reaches(work, &need, goal, seen))
}

/// The families of the services that are needed.
pub(super) fn families(work: &Work, needs: &[ServiceName]) -> BTreeSet<FamilyPath> {
    let of = |name: &ServiceName| {
        let live = work.live.services.get(name);
        let mut families: BTreeSet<_> = live.into_iter().flat_map(|l| l.families.keys().cloned()).collect();
        if let Some(spec) = work.request.spec.services.get(name)
            && (families.is_empty() || !spec.families.is_empty())
        {
            families.extend(merge::families(name, spec).into_keys());
        }
        families
            .into_iter()
            .map(|f| FamilyPath::new(work.request.app.clone(), name.clone(), f))
            .collect::<Vec<_>>()
    };
    needs.iter().flat_map(of).collect()
}
