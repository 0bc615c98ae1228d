//! What an application costs, and would cost: the rows that the planner's forecast goes by.

use crate::refusal::Answer;
use crate::state::ApiState;
use lace_model::AppName;
use lace_model::family::{Family, Service};
use lace_model::host::Host;
use lace_model::job::{Job, JobState};
use lace_model::money::Cost;
use lace_model::object::revision_key;
use lace_model::revision::Revision;
use lace_planner::{Edit, Estate, forecast};
use lace_store::{Result, Row, View};

/// The cost of an edit of an application beside what it costs now. An edit of nothing tells what has settled by itself.
///
/// # Errors
/// The store does not answer.
pub(crate) async fn of_edit(state: &ApiState, app: &AppName, edit: &Edit) -> Answer<Cost> {
    let (name, now, seed) = (app.clone(), state.now(), state.seed());
    let mut estate =
        state.store.snapshot_async(move |view| Ok(Estate { now, seed, ..read(view, &name)? })).await?;
    let is_away = |host: &&Host| !state.liveness.liveness(host.id).connected;
    estate.away = estate.hosts.iter().filter(is_away).map(|host| host.id).collect();
    Ok(forecast(app, &estate, edit))
}

fn read(view: &View<'_>, app: &AppName) -> Result<Estate> {
    let below = format!("{app}/");
    let families = values(view.list::<Family>(&below)?);
    let is_here = |job: &Job| job.state == JobState::Running && job.host.is_some();
    let mut estate = Estate {
        hosts: values(view.list("")?),
        machines: values(view.list("")?),
        pools: values(view.list("")?),
        providers: values(view.list("")?),
        targets: values(view.list("")?),
        jobs: values(view.list("")?).into_iter().filter(is_here).collect(),
        families: families.into_iter().map(|family: Family| (family.path.clone(), family)).collect(),
        ..Estate::default()
    };
    revisions(view, &below, &mut estate)?;
    Ok(estate)
}

/// Those that nodes have, and the wanted ones of the application; each is read once.
fn revisions(view: &View<'_>, below: &str, estate: &mut Estate) -> Result<()> {
    let of_nodes = estate
        .targets
        .iter()
        .flat_map(|target| target.nodes.iter().map(|node| (target.family.service_path(), node.revision)));
    let services: Vec<Service> = values(view.list(below)?);
    let wanted = services.into_iter().map(|service| (service.path, service.revision));
    let all: std::collections::BTreeSet<_> = of_nodes.chain(wanted).collect();
    for (service, number) in all {
        if let Some(row) = view.get::<Revision>(&revision_key(&service, number))? {
            estate.revisions.entry(service).or_default().insert(number, row.value);
        }
    }
    Ok(())
}

fn values<T>(rows: Vec<Row<T>>) -> Vec<T> {
    rows.into_iter().map(|row| row.value).collect()
}
