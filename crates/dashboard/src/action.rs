//! Actions of a service's package: buttons with typed parameters, and what became of those that were asked for.

use crate::act::target;
use crate::field::{self, Field};
use crate::page;
use crate::visit::Visit;
use crate::words::{self, Markup, State};
use axum::Form;
use axum::response::Response;
use lace_model::document::Verb;
use lace_model::package::{Package, RENEW_PASSWORD};
use lace_model::task::NodeTask;
use lace_model::{Millis, OperationId, Problem, ServicePath};
use lace_wire::api::{Accepted, NodeScripts, VerbRequest};

/// Before the names of parameters in the form.
const PARAMETER: &str = "parameter.";
/// Runs shown, the newest.
const RUNS_SHOWN: usize = 8;
/// Nodes of a run that are shown; what went wrong comes first.
const NODES_SHOWN: usize = 50;
/// Nodes that are asked how their scripts stand; of more, `lace service scripts` tells.
const ASKED_MAX: usize = 100;

/// One action.
pub struct Action {
    pub name: String,
    pub help: String,
    /// On whom: every node, nodes of some roles, one of them.
    pub whom: String,
    pub fields: Vec<Field>,
}

/// What was asked for once, on one node or many.
pub struct Run {
    pub name: String,
    pub operation: Option<OperationId>,
    pub actor: String,
    pub at: Millis,
    pub nodes: Vec<NodeTask>,
    pub count: usize,
    pub ended: usize,
}

/// The actions of a package, those of the script table aside.
pub fn of(package: &Package) -> Vec<Action> {
    let shown = package.actions.iter().filter(|(name, _)| name.as_str() != lace_wire::api::SCRIPTS);
    let mut all: Vec<Action> = shown.map(|(name, action)| one(name.as_str(), action)).collect();
    if package.provides.values().any(|provided| provided.password) {
        all.push(Action {
            name: RENEW_PASSWORD.into(),
            help: "makes another password, for all services that have it".into(),
            whom: "the service".into(),
            fields: Vec::new(),
        });
    }
    all
}

fn one(name: &str, action: &lace_model::package::Action) -> Action {
    let roles: Vec<&str> = action.roles.iter().map(|role| role.as_str()).collect();
    let whom = match (action.once, roles.is_empty()) {
        (true, true) => "one node".to_owned(),
        (true, false) => format!("one node of {}", roles.join(", ")),
        (false, true) => "every node".into(),
        (false, false) => format!("every node of {}", roles.join(", ")),
    };
    let place = format!("act-{name}");
    let field = |(parameter, setting): (&String, _)| Field::of(PARAMETER, &place, parameter, setting, None);
    Action {
        name: name.to_owned(),
        help: action.help.clone(),
        whom,
        fields: action.parameters.iter().map(field).collect(),
    }
}

/// What became of the actions of a service, the newest first.
pub async fn runs(visit: &Visit, service: &ServicePath) -> Result<Vec<Run>, Problem> {
    let tasks: Vec<NodeTask> = visit.about("/v1/tasks", &service.to_string()).await?;
    let mut runs: Vec<Run> = Vec::new();
    for task in tasks {
        let Verb::Action(action) = &task.verb else { continue };
        // The question before an action belongs to no operation.
        if task.operation.is_none() {
            continue;
        }
        let at = runs.iter().position(|run| run.operation == task.operation);
        let at = at.unwrap_or_else(|| {
            runs.push(Run {
                name: action.name.to_string(),
                operation: task.operation,
                actor: task.actor.clone(),
                at: task.created_at,
                nodes: Vec::new(),
                count: 0,
                ended: 0,
            });
            runs.len() - 1
        });
        runs[at].take(task);
    }
    runs.truncate(RUNS_SHOWN);
    runs.iter_mut().for_each(Run::in_order);
    Ok(runs)
}

impl Run {
    fn take(&mut self, task: NodeTask) {
        self.count += 1;
        self.ended += usize::from(!task.state.is_open());
        self.nodes.push(task);
    }

    fn in_order(&mut self) {
        self.nodes
            .sort_by(|a, b| (words::of_task(a.state).0, &a.path).cmp(&(words::of_task(b.state).0, &b.path)));
        self.nodes.truncate(NODES_SHOWN);
    }

    /// The worst of its nodes.
    pub fn state(&self) -> Markup {
        let (state, word) =
            self.nodes.first().map_or((State::Off, "nowhere"), |task| words::of_task(task.state));
        state.mark(word)
    }

    pub fn is_open(&self) -> bool {
        self.ended < self.count
    }

    /// Did a node say something?
    pub fn says(&self) -> bool {
        self.nodes.iter().any(|task| task.cause.is_some() || !task.lines.is_empty())
    }
}

/// How the scripts of a service stand; nothing where it has none.
pub async fn scripts(
    visit: &Visit,
    service: &ServicePath,
    package: &Package,
    nodes: usize,
) -> Option<Vec<NodeScripts>> {
    let has = package.actions.keys().any(|name| name.as_str() == lace_wire::api::SCRIPTS);
    if !has || nodes > ASKED_MAX {
        return None;
    }
    // That they cannot be looked at now is no reason to show nothing.
    visit.about("/v1/scripts", &service.to_string()).await.ok()
}

/// The names of the scripts, in the order in which nodes tell of them.
pub fn script_names(nodes: &[NodeScripts]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for script in nodes.iter().flat_map(|node| &node.scripts) {
        if !names.contains(&script.name) {
            names.push(script.name.clone());
        }
    }
    names
}

/// The light of a script: never started, running, ended well or with a status.
pub fn light(node: &NodeScripts, name: &str) -> Markup {
    let Some(script) = node.scripts.iter().find(|script| script.name == name) else {
        return State::Said.mark("-");
    };
    let state = match script.state.as_str() {
        "never started" => State::Off,
        "running" => State::Moving,
        "stopped (return code 0)" => State::Good,
        text if text.starts_with("stopped") => State::Bad,
        _ => State::Said,
    };
    state.mark(&script.state)
}

/// `POST /act/action`.
pub async fn act(visit: Visit, Form(fields): Form<Vec<(String, String)>>) -> Response {
    page::accepted(order(&visit, &fields).await)
}

async fn order(visit: &Visit, fields: &[(String, String)]) -> Result<Accepted, Problem> {
    let request = VerbRequest::Action {
        target: target(field::one(fields, "target"))?,
        action: field::one(fields, "action").to_owned(),
        parameters: field::said(fields, PARAMETER).collect(),
    };
    visit.post("/v1/verbs", &request).await
}
