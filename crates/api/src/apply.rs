//! Plans and applies: one diff, shown or done. What changes is the planner's decision; this room reads and commits.

use crate::ask::{At, Doc};
use crate::caller::Caller;
use crate::deed::Deed;
use crate::reads::{self, Depth, Reads};
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use lace_model::application::{ApplicationSpec, ApplyRequest};
use lace_model::change::Plan;
use lace_model::family::Service;
use lace_model::host::Host;
use lace_model::pool::Pool;
use lace_model::route::usual_host;
use lace_model::{AppName, Name, ServicePath};
use lace_planner::{ApplyFacts, ApplyOutcome, Choice, LiveApplication, LiveService, apply};
use lace_store::{SecretValue, View};
use lace_wire::api::Accepted;
use std::collections::{BTreeMap, BTreeSet};

/// `POST /v1/apps/{app}/plan`.
pub(crate) async fn plan(
    State(state): State<ApiState>,
    caller: Caller,
    At(app): At<AppName>,
    Doc(request): Doc<ApplyRequest>,
) -> Answer<Json<Plan>> {
    let ApplyOutcome { mut plan, edit, .. } = decide(&state, &caller, &app, request).await?.outcome;
    plan.cost = Some(crate::cost::of_edit(&state, &app, &edit).await?);
    Ok(Json(plan))
}

/// `POST /v1/apps/{app}/apply`.
pub(crate) async fn make(
    State(state): State<ApiState>,
    caller: Caller,
    At(app): At<AppName>,
    Doc(request): Doc<ApplyRequest>,
) -> Answer<Json<Accepted>> {
    // What only deletes must work on a full disk, too.
    let shrinks = request.prune && request.spec.services.is_empty();
    let delete_data = request.delete_data;
    let Decision { outcome, reads } = decide(&state, &caller, &app, request).await?;
    let deed = if shrinks { Deed::light("apply", &app) } else { Deed::new("apply", &app) };
    let _turns = crate::change::refuse_to_cut(&state, &caller, &outcome.edit).await?;
    let mut batch = deed.batch(&caller);
    for name in &outcome.generate_secrets {
        let value = crate::secret::generate(&state, name)?;
        batch.secret_put(&app, name, SecretValue::new(value), true);
    }
    // Not tried again: the plan that the person may have seen no longer holds.
    let deleted = if delete_data { crate::volume::deleted_by(&outcome.edit) } else { Vec::new() };
    let mut accepted = deed.done(&state, &caller, outcome.edit, &reads, batch).await?;
    if let Some(words) = crate::volume::erase(&state, &deleted).await? {
        accepted.message = format!("{}; {words}", accepted.message);
    }
    Ok(Json(accepted))
}

/// `GET /v1/apps/{app}/export`.
pub(crate) async fn export(
    State(state): State<ApiState>,
    At(app): At<AppName>,
) -> Answer<Json<ApplicationSpec>> {
    let name = app.clone();
    let live = state
        .store
        .snapshot_async(move |view| reads::live(view, &name, Depth::Wanted, &mut Reads::default()))
        .await?;
    if live.app.is_none() {
        return Err(Refusal::not_found(format_args!("application {app}")));
    }
    let services = live.services.into_iter().map(|(name, live)| (name, live.service.spec)).collect();
    Ok(Json(ApplicationSpec { services }))
}

struct Decision {
    outcome: ApplyOutcome,
    reads: Reads,
}

async fn decide(state: &ApiState, caller: &Caller, app: &AppName, request: ApplyRequest) -> Answer<Decision> {
    if request.app != *app {
        return Err(Refusal::usage(format!("the body speaks of {}, the path of {app}", request.app)));
    }
    crate::app::may_be_called(app)?;
    let mut names: BTreeSet<Name> =
        request.spec.services.values().filter_map(|s| Some(s.release.as_ref()?.name.clone())).collect();
    let mut packages: BTreeSet<Name> =
        request.spec.services.values().filter_map(|s| Some(s.package.as_ref()?.name.clone())).collect();
    crate::provider::refuse_reserved(app)?;
    let read_of = app.clone();
    let has_doors = request.spec.services.values().any(|s| s.routes.as_ref().is_some_and(|r| !r.is_empty()));
    let (mut live, reads, estate, doors) = state
        .store
        .snapshot_async(move |view| {
            let mut reads = Reads::default();
            let mut live = reads::live(view, &read_of, Depth::Wanted, &mut reads)?;
            // Those that run decide with, where the file says nothing of them.
            let run = live.services.values().filter_map(LiveService::wanted).map(|r| r.spec.release.as_str());
            names.extend(run.filter_map(|text| Name::new(text.split_once('@')?.0).ok()));
            let wanted = live.services.values().filter_map(LiveService::wanted);
            packages.extend(wanted.filter_map(|r| Some(r.spec.package.as_ref()?.name.clone())));
            live.releases = reads::releases(view, &names)?;
            live.packages = reads::packages(view, &packages, &mut reads)?;
            let doors = if has_doors { doors(view, &mut reads)? } else { Default::default() };
            Ok((live, reads, estate(view)?, doors))
        })
        .await?;
    add_secrets(state, app, &mut live)?;
    let (now, seed) = (state.now(), state.seed());
    let may_isolate = caller.may_isolate().is_ok();
    let facts = ApplyFacts { now, actor: caller.name.clone(), seed, may_isolate, doors, ..estate };
    Ok(Decision { outcome: apply(&live, &request, &facts)?, reads })
}

/// All ways in, and whose they are: no other service may change while somebody takes one.
fn doors(view: &View<'_>, reads: &mut Reads) -> lace_store::Result<BTreeMap<String, ServicePath>> {
    let mut doors = BTreeMap::new();
    for service in reads.list::<Service>(view, "")? {
        let usual = usual_host(&service.path);
        let routes = service.spec.routes.iter().flatten();
        doors.extend(routes.map(|route| (route.door(&usual), service.path.clone())));
    }
    Ok(doors)
}

/// What there is of hosts and pools.
fn estate(view: &View<'_>) -> lace_store::Result<ApplyFacts> {
    let hosts: Vec<Host> = view.list::<Host>("")?.into_iter().map(|row| row.value).collect();
    let pools: Vec<Pool> = view.list::<Pool>("")?.into_iter().map(|row| row.value).collect();
    let of_hosts = hosts.iter().flat_map(|host| host.attributes.keys().cloned());
    let attributes = pools.iter().flat_map(|pool| pool.known().into_keys()).chain(of_hosts).collect();
    let pools = pools.into_iter().map(|pool| pool.name).collect();
    Ok(ApplyFacts {
        choice: Some(Choice { pools, attributes }),
        hosts: hosts.into_iter().map(|host| host.capacity).collect(),
        ..ApplyFacts::default()
    })
}

/// Adds the newest versions of the application's secrets.
pub(crate) fn add_secrets(state: &ApiState, app: &AppName, live: &mut LiveApplication) -> Answer<()> {
    let secrets = state.store.secret_list(Some(app))?;
    live.secrets = secrets.into_iter().map(|s| (s.name, s.version)).collect();
    Ok(())
}
