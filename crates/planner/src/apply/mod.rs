//! The one diff of `lace plan` and `lace apply`: a manifest against what lives.
//!
//! The file owns what it says. What it leaves out keeps its live value, and where a hand has changed that, the line
//! is drift. A new revision comes only where what the nodes run differs; count, placement and rollout rules do not roll.

mod condition;
mod copies;
mod diff;
mod doors;
mod isolation;
mod links;
mod live;
mod merge;
mod needs;
pub(crate) mod package;
mod prune;
mod revise;
mod service;
pub(crate) mod tls;

pub use live::{ApplyFacts, ApplyOutcome, Choice, LiveApplication, LiveService};
pub use revise::{authority_name, cookie_name};

use crate::edit::Edit;
use lace_model::application::ApplyRequest;
use lace_model::change::{Action, Change, Plan};
use lace_model::event::NewEvent;
use lace_model::family::Application;
use lace_model::{Code, Digest, Problem};

pub use lace_model::manifest::COUNT_MAX;

use revise::Making;

/// What comes together while a manifest is compared.
struct Work<'a> {
    live: &'a LiveApplication,
    request: &'a ApplyRequest,
    facts: &'a ApplyFacts,
    changes: Vec<Change>,
    edit: Edit,
    generate: Vec<String>,
    problems: Vec<Problem>,
}

/// What a manifest changes: the plan to show, and the objects to write.
///
/// # Errors
/// All mistakes of the request at once: the first one's code and message, the others as details. `Conflict` where a plan
/// was pinned and the world has changed since, or where something of the application is being deleted.
pub fn apply(
    live: &LiveApplication,
    request: &ApplyRequest,
    facts: &ApplyFacts,
) -> Result<ApplyOutcome, Problem> {
    let (request, unfit) = package::with_roles(live, request);
    let mut work = Work {
        live,
        request: &request,
        facts,
        changes: Vec::new(),
        edit: Edit::default(),
        generate: Vec::new(),
        problems: unfit,
    };
    application(&mut work);
    needs::check(&mut work);
    doors::check(&mut work);
    for (name, spec) in &request.spec.services {
        service::service(&mut work, name, spec);
    }
    if request.prune {
        prune::prune(&mut work);
    }
    finish(work)
}

fn application(work: &mut Work) {
    let name = &work.request.app;
    match &work.live.app {
        Some(app) if app.deleting => work.problems.push(
            Problem::new(Code::Conflict, format!("application {name} is being deleted"))
                .hint(format!("wait until it is gone: `lace wait {name} --for gone`")),
        ),
        Some(_) => {}
        None => {
            let created_at = work.facts.now;
            work.edit.application = Some(Application::new(name.clone(), created_at));
            work.changes.push(Change {
                service: None,
                action: Action::Create,
                field: String::new(),
                from: None,
                to: Some(name.to_string()),
                effect: None,
            });
        }
    }
}

fn finish(work: Work) -> Result<ApplyOutcome, Problem> {
    if let Some(problem) = all_of(work.problems) {
        return Err(problem);
    }
    let digest = digest(work.live, work.request);
    if work.request.plan.is_some_and(|pinned| pinned != digest) {
        return Err(Problem::new(Code::Conflict, "the world has changed since this plan was made")
            .hint("make a new one: `lace plan --out FILE`"));
    }
    let plan = Plan { app: work.request.app.clone(), changes: work.changes, digest, cost: None };
    let mut edit = work.edit;
    if !edit.is_empty() {
        let count = plan.changes.iter().filter(|c| c.action != Action::Drift).count();
        let event = NewEvent::new("app.applied", &plan.app, format!("{count} changes"));
        edit.events.push(event.by(&work.facts.actor));
    }
    Ok(ApplyOutcome { plan, edit, generate_secrets: work.generate })
}

fn all_of(problems: Vec<Problem>) -> Option<Problem> {
    let mut problems = problems.into_iter();
    let first = problems.next()?;
    let others: Vec<String> = problems
        .map(|p| p.hint.map_or_else(|| p.message.clone(), |hint| format!("{} ({hint})", p.message)))
        .collect();
    if others.is_empty() {
        return Some(first);
    }
    let lines = std::iter::once(first.message.clone()).chain(others);
    Some(Problem { details: first.details.clone(), ..first.clone() }.details(lines))
}

/// Pins everything that the outcome depends on, time and person aside.
fn digest(live: &LiveApplication, request: &ApplyRequest) -> Digest {
    let services: Vec<_> = live
        .services
        .values()
        .map(|s| {
            (&s.service, s.families.values().collect::<Vec<_>>(), s.wanted().map(|r| (r.digest, &r.bad)))
        })
        .collect();
    let releases: Vec<_> = request
        .spec
        .services
        .values()
        .filter_map(|s| live.release(s.release.as_ref()?))
        .map(|r| (&r.name, &r.version, r.tree))
        .collect();
    let named = request.spec.services.values().filter_map(|s| live.package(s.package.as_ref()?));
    let packages: Vec<_> = named.map(|package| package.tree).collect();
    let asked = (&request.app, &request.spec, request.prune, request.delete_data);
    Digest::of_value(&(&live.app, services, (releases, packages), &live.secrets, asked))
}
