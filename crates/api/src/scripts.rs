//! How the scripts of a service's code stand on each of its nodes.
//!
//! It is what the action `scripts` of the service's package says, asked as a look: no task, nothing stored, and viewers may.

use crate::ask::{Ask, TargetAsk};
use crate::caller::Caller;
use crate::refusal::{Answer, Refusal};
use crate::state::ApiState;
use crate::stream::{Place, gather};
use crate::world::World;
use axum::Json;
use axum::extract::State;
use futures::{StreamExt, stream};
use lace_model::manifest::nearest;
use lace_model::package::words_of;
use lace_model::target::Want;
use lace_model::{Code, Name, NodePath, Problem, ServicePath, TargetPath};
use lace_wire::api::{NodeScripts, SCRIPTS, ScriptState};
use lace_wire::stream::StreamRequest;
use std::collections::BTreeMap;
use std::time::Duration;

/// For one node.
const WITHIN: Duration = Duration::from_secs(5);
/// Nodes asked at a time.
const ASKED_AT_ONCE: usize = 32;
/// Most that a node may say.
const BYTES_MAX: usize = 16 << 10;
/// Most scripts of a node.
const SCRIPTS_MAX: usize = 64;

/// `GET /v1/scripts`.
pub(crate) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Ask(ask): Ask<TargetAsk>,
) -> Answer<Json<Vec<NodeScripts>>> {
    let target = ask.required()?;
    let world = World::load(&state, Some(&target), &caller).await?;
    let files = files(&state, &world, &target)?;
    let asked = |path: &NodePath| files.get(&path.family.service_path()).cloned();
    let wanted = world.planned().filter(|(path, node)| node.want == Want::Run && target.covers_node(path));
    let mut places: Vec<_> = wanted
        .filter_map(|(path, node)| Some((asked(&path)?, path, Place { host: node.host, node: node.id })))
        .collect();
    places.sort_by(|a, b| a.1.cmp(&b.1));
    let answers = stream::iter(places).map(|(file, path, place)| ask_node(&state, path, place, file));
    Ok(Json(answers.buffered(ASKED_AT_ONCE).collect().await))
}

/// The file to run, by service.
fn files(state: &ApiState, world: &World, target: &TargetPath) -> Answer<BTreeMap<ServicePath, String>> {
    let mut found = BTreeMap::new();
    for (path, revision) in &world.revisions {
        let Some(used) = &revision.spec.package else { continue };
        let package = crate::package::pinned(state.store.blobs(), &used.tree)?;
        let action = package.actions.iter().find(|(name, _)| name.as_str() == SCRIPTS);
        if let Some((_, action)) = action {
            found.insert(path.clone(), action.file.clone());
        } else if target.service.is_some() {
            let known = package.actions.keys().map(Name::as_str);
            return Err(Refusal::not_found(format_args!("action {SCRIPTS:?} of package {}", used.key()))
                .hint(nearest(SCRIPTS, known)));
        }
    }
    if found.is_empty() {
        return Err(Refusal::new(
            Code::Conflict,
            format!("{target} has no scripts that tell how they stand"),
        )
        .hint("package generic has: lace package show generic"));
    }
    Ok(found)
}

async fn ask_node(state: &ApiState, path: NodePath, place: Place, file: String) -> NodeScripts {
    let request = StreamRequest::Exec {
        node: place.node,
        argv: words_of(SCRIPTS, &file),
        env: BTreeMap::new(),
        terminal: None,
        stdin: false,
    };
    let late = |_| Problem::new(Code::NodeUnreachable, "its host did not answer in time");
    let said = tokio::time::timeout(WITHIN, gather(state, place.host, request, BYTES_MAX)).await;
    match said.map_err(late).flatten() {
        Ok((bytes, 0)) => NodeScripts { path, scripts: read(&bytes), trouble: None },
        Ok((_, status)) => {
            NodeScripts { path, scripts: Vec::new(), trouble: Some(format!("it ended with status {status}")) }
        }
        Err(problem) => NodeScripts { path, scripts: Vec::new(), trouble: Some(problem.message) },
    }
}

/// Lines of a script's name and how it stands.
fn read(bytes: &[u8]) -> Vec<ScriptState> {
    let text = String::from_utf8_lossy(bytes);
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs
        .take(SCRIPTS_MAX)
        .map(|(name, state)| ScriptState { name: name.into(), state: state.into() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_name_and_a_state() {
        let read = read(b"init.sh stopped (return code 0)\n\nrun.sh never started\nodd");
        let states: Vec<_> = read.iter().map(|s| (s.name.as_str(), s.state.as_str())).collect();
        assert_eq!(states, [("init.sh", "stopped (return code 0)"), ("run.sh", "never started")]);
    }
}
