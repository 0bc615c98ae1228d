//! Erlang and Elixir runtimes: asked over their host's own line to them.

use crate::adopted;
use crate::ask::{Ask, Doc, TargetAsk};
use crate::caller::Caller;
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use crate::stream::{Place, gather};
use crate::world::World;
use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use lace_model::target::Want;
use lace_model::vm::VmTop;
use lace_model::{Code, NodePath, Problem, TargetPath};
use lace_store::Batch;
use lace_wire::api::{BeamCallRequest, BeamNode};
use lace_wire::beam::{ANSWER_BYTES_MAX, BeamAnswer, BeamAsk, BeamReport};
use lace_wire::stream::StreamRequest;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// For a report: the agent asks with less patience.
const REPORT_WITHIN: Duration = Duration::from_secs(5);
/// For calls, walks and dumps: the agent's own patience is shorter.
const ASK_WITHIN: Duration = Duration::from_secs(60);
/// Nodes asked at a time for one status.
const ASKED_AT_ONCE: usize = 32;
/// A dump, or an answer as text and as JSON with what was printed.
const BYTES_MAX: usize = 8 * ANSWER_BYTES_MAX;

/// `GET /v1/beam`: every runtime by its own words and by the plan.
pub(crate) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<TargetAsk>,
) -> Answer<Json<Vec<BeamNode>>> {
    let target = ask.required()?;
    let world = World::load(&state, Some(&target), &caller).await?;
    let beam = |path: &NodePath| {
        let revision = world.revisions.get(&path.family.service_path());
        revision.is_some_and(|revision| revision.spec.beam.is_some())
    };
    let wanted = world
        .planned()
        .filter(|(path, node)| node.want == Want::Run && target.covers_node(path) && beam(path));
    let places: Vec<_> =
        wanted.map(|(path, node)| (path, Place { host: node.host, node: node.id })).collect();
    let adopted = adopted::under(&state, &target)?;
    if places.is_empty() && adopted.is_empty() {
        return Err(Refusal::not_found(format_args!("Erlang or Elixir node in {target}"))
            .hint("a release becomes one with beam = {} in its service"));
    }
    let asked = stream::iter(places).map(|(path, place)| {
        let state = &state;
        async move {
            let report = within(REPORT_WITHIN, question(state, place, BeamAsk::Report)).await;
            let report = report.and_then(|bytes| read(&bytes)).unwrap_or_else(in_trouble);
            BeamNode { path, report }
        }
    });
    let mut nodes: Vec<BeamNode> = asked.buffered(ASKED_AT_ONCE).collect().await;
    let asked = stream::iter(adopted).map(|one| {
        let asked = within(REPORT_WITHIN, state.adopted.ask(one.path.clone(), BeamAsk::Report));
        async move {
            let report = asked.await.and_then(|bytes| read(&bytes)).unwrap_or_else(in_trouble);
            BeamNode { path: one.path, report }
        }
    });
    nodes.extend(asked.buffered(ASKED_AT_ONCE).collect::<Vec<_>>().await);
    Ok(Json(nodes))
}

fn in_trouble(problem: Problem) -> BeamReport {
    BeamReport { trouble: Some(problem.message), ..BeamReport::default() }
}

/// `POST /v1/beam/call`.
pub(crate) async fn call(
    State(state): State<ApiState>,
    caller: Caller,
    Doc(request): Doc<BeamCallRequest>,
) -> Answer<Json<BeamAnswer>> {
    let node = Asked::of(&state, &caller, &request.target)?;
    let mut batch = Batch::new(Some(caller.name.clone()));
    batch.audit("beam call", &request.target.to_string(), "done");
    state.store.commit_async(batch).await?;
    let asked = node.answer(&state, BeamAsk::Call(request.call));
    Ok(Json(read(&within(ASK_WITHIN, asked).await?)?))
}

/// `?target=&most=`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopAsk {
    target: TargetPath,
    most: Option<usize>,
}

/// `GET /v1/beam/top`.
pub(crate) async fn top(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<TopAsk>,
) -> Answer<Json<VmTop>> {
    let node = Asked::of(&state, &caller, &ask.target)?;
    let asked = node.answer(&state, BeamAsk::Top { most: ask.most.unwrap_or(10) });
    Ok(Json(read(&within(ASK_WITHIN, asked).await?)?))
}

/// `GET /v1/beam/dump`.
pub(crate) async fn dump(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<TargetAsk>,
) -> Answer<Response> {
    let node = Asked::of(&state, &caller, &ask.required()?)?;
    let text = within(ASK_WITHIN, node.answer(&state, BeamAsk::Dump)).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// Who is asked: a node of ours by its host, an adopted one by the controller itself.
enum Asked {
    Ours(Place),
    Adopted(NodePath),
}

impl Asked {
    fn of(state: &ApiState, caller: &Caller, target: &TargetPath) -> Answer<Self> {
        match adopted::at(state, caller, target)? {
            Some(path) => Ok(Self::Adopted(path)),
            None => Place::of_node(state, caller, target).map(Self::Ours),
        }
    }

    async fn answer(self, state: &ApiState, ask: BeamAsk) -> Result<Vec<u8>, Problem> {
        match self {
            Self::Ours(place) => question(state, place, ask).await,
            Self::Adopted(path) => state.adopted.ask(path, ask).await,
        }
    }
}

async fn within<T>(
    patience: Duration,
    asked: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let no = |_| Problem::new(Code::NodeUnreachable, "its host did not answer in time");
    tokio::time::timeout(patience, asked).await.map_err(no)?
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|e| Problem::new(Code::Error, format!("the host's answer: {e}")))
}

/// Asks, and gathers what is said until the end.
async fn question(state: &ApiState, place: Place, ask: BeamAsk) -> Result<Vec<u8>, Problem> {
    let request = StreamRequest::Beam { node: place.node, ask };
    gather(state, place.host, request, BYTES_MAX).await.map(|(answer, _)| answer)
}
