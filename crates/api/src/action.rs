//! Actions of packages: what a service can do beside running, asked of its nodes by name.
//!
//! An action that may begin only where something is so asks its nodes first; then it begins on all of them, or on none. Such
//! actions come one after the other: what was answered still holds when they begin.

use crate::ask::WaitAsk;
use crate::caller::Caller;
use crate::deed::Deed;
use crate::refusal::{Answer, Refusal};
use crate::scene::Scene;
use crate::state::ApiState;
use crate::task::{Wish, none, tasks};
use crate::wait;
use lace_model::document::{ActionRun, SecretRef, Verb};
use lace_model::manifest::nearest;
use lace_model::package::{Action, Package, RENEW_PASSWORD, Value, resolve_parameters};
use lace_model::secret::TASK_PREFIX;
use lace_model::task::{NodeTask, TaskState};
use lace_model::{Code, Digest, Name, Problem, ServicePath, Span, TargetPath, TaskId};
use lace_planner::LiveService;
use lace_store::{Batch, Expect, SecretValue};
use lace_wire::api::Accepted;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An action that its host was not told of within this time is not begun later.
pub(crate) const WITHIN: Span = Span::secs(20);
/// Time for the file that is asked first.
pub(crate) const QUESTION_TIMEOUT: Span = Span::secs(10);
/// All answers are there after that, or the action does not begin.
const ANSWERS_WITHIN_MS: u64 = 25_000;

/// Which of a question's answers have to be good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quorum {
    All,
    Any,
}

/// An action, with what it is of.
struct Wanted {
    name: Name,
    action: Action,
    tree: Digest,
    env: BTreeMap<String, String>,
    /// Variables that nobody shall see.
    secret: BTreeMap<String, String>,
}

impl Wanted {
    fn run(&self, name: Name, file: &str, timeout: Span) -> Wish {
        let (env, file) = (self.env.clone(), file.to_owned());
        let run = ActionRun { name, tree: self.tree, file, timeout, env, secrets: BTreeMap::new() };
        Wish { verb: Verb::Action(Box::new(run)), within: WITHIN }
    }

    /// Seals the values that nobody shall see, for each task apart: they go when it has ended.
    fn seal(&self, tasks: &mut [NodeTask], batch: &mut Batch) {
        for task in tasks {
            let Verb::Action(run) = &mut task.verb else { continue };
            let app = &task.path.family.app;
            for (number, (variable, value)) in self.secret.iter().enumerate() {
                let name = format!("{TASK_PREFIX}{}_{number}", task.id.0.simple());
                batch.secret_put(app, &name, SecretValue::new(value.clone().into_bytes()), true);
                let secret = SecretRef { app: app.clone(), name, version: 1 };
                run.secrets.insert(variable.clone(), secret);
            }
        }
    }

    fn questions(&self) -> impl Iterator<Item = (Quorum, &str)> {
        let all = self.action.if_all.as_deref().map(|file| (Quorum::All, file));
        all.into_iter().chain(self.action.if_any.as_deref().map(|file| (Quorum::Any, file)))
    }
}

/// Begins an action on the nodes under a target.
pub(crate) async fn order(
    state: &ApiState,
    caller: &Caller,
    target: &TargetPath,
    name: &str,
    said: &BTreeMap<String, String>,
) -> Answer<Accepted> {
    let scene = Scene::load(state, target).await?;
    let live = scene.one_service(target)?;
    if name == RENEW_PASSWORD && said.is_empty() {
        return crate::secret::renew(state, caller, &target.app, password(live)?).await;
    }
    let wanted = wanted(state, live, name, said)?;
    let asks = wanted.questions().next().is_some();
    let _turn = asks.then(|| state.turns.take(&live.service.path)).transpose()?;
    if asks {
        refuse_busy(state, &live.service.path)?;
    }
    for (quorum, file) in wanted.questions() {
        ask(state, caller, target, (&wanted, quorum, file)).await?;
    }
    // Read again: time went by.
    let scene = Scene::load(state, target).await?;
    let mut found = on_nodes(state, caller, &scene, target, &wanted)?;
    let deed = Deed::light(format!("action {name}"), target);
    let mut batch = deed.held(caller, &scene.reads);
    wanted.seal(&mut found, &mut batch);
    Ok(deed.order(state, caller, found, batch).await?)
}

/// The secret that holds the password of what a service provides.
fn password(live: &LiveService) -> Answer<&str> {
    let used = live.wanted().and_then(|revision| revision.spec.package.as_ref());
    let secret = used.and_then(|package| package.passwords.values().next());
    secret.map(String::as_str).ok_or_else(|| {
        let text = format!("{} has no password that Lace made", live.service.path);
        Refusal::new(Code::Conflict, text).hint("its package provides nothing that wants one")
    })
}

fn wanted(
    state: &ApiState,
    live: &LiveService,
    name: &str,
    said: &BTreeMap<String, String>,
) -> Answer<Wanted> {
    let path = &live.service.path;
    let used = live.wanted().and_then(|revision| revision.spec.package.as_ref());
    let used = used.ok_or_else(|| {
        Refusal::new(Code::Conflict, format!("{path} is not made of a package, so it has no actions"))
            .hint(format!("run a command in its nodes: lace exec {path} -- CMD"))
    })?;
    let package = crate::package::pinned(state.store.blobs(), &used.tree)?;
    let action = found(&package, name)?.clone();
    let values = resolve_parameters(&action.parameters, said).map_err(|lines| {
        Problem::new(Code::Usage, format!("action {name} of {path}: {}", lines.join("; ")))
            .hint(format!("lace package show {}", used.key()))
    })?;
    let variable = |name: &str| format!("LACE_PARAMETER_{}", name.to_uppercase());
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let is_secret = |name: &str| action.parameters.get(name).is_some_and(|parameter| parameter.secret);
    let (secret, open): (Vec<_>, Vec<_>) = values.iter().partition(|(name, _)| is_secret(name));
    let said = |of: Vec<(&String, &Value)>| -> BTreeMap<String, String> {
        of.into_iter().map(|(name, value)| (variable(name), text(value))).collect()
    };
    let (env, secret) = (said(open), said(secret));
    Ok(Wanted { name: Name::new(name)?, action, tree: used.tree, env, secret })
}

fn found<'a>(package: &'a Package, name: &str) -> Answer<&'a Action> {
    let asked = package.actions.iter().find(|(known, _)| known.as_str() == name);
    asked.map(|(_, action)| action).ok_or_else(|| {
        let known = package.actions.keys().map(Name::as_str);
        let hint = if package.actions.is_empty() { "it has none".into() } else { nearest(name, known) };
        Refusal::not_found(format_args!("action {name:?} of package {}", package.key())).hint(hint)
    })
}

/// The action's tasks: on nodes of its roles, on one of them where that is enough.
fn on_nodes(
    state: &ApiState,
    caller: &Caller,
    scene: &Scene,
    target: &TargetPath,
    wanted: &Wanted,
) -> Answer<Vec<NodeTask>> {
    let wish = wanted.run(wanted.name.clone(), &wanted.action.file, wanted.action.timeout);
    able(tasks(state, caller, scene, target, &wish)?, target, &wanted.action)
}

fn able(mut tasks: Vec<NodeTask>, target: &TargetPath, action: &Action) -> Answer<Vec<NodeTask>> {
    tasks.retain(|task| Package::is_for(&action.roles, &task.path.family.family));
    if action.once {
        tasks.truncate(1);
    }
    if tasks.is_empty() { Err(none(target)) } else { Ok(tasks) }
}

/// Asks the nodes whether the action may begin.
async fn ask(
    state: &ApiState,
    caller: &Caller,
    target: &TargetPath,
    (wanted, quorum, file): (&Wanted, Quorum, &str),
) -> Answer<()> {
    let scene = Scene::load(state, target).await?;
    let wish = wanted.run(wanted.name.clone(), file, QUESTION_TIMEOUT);
    let asked = able(tasks(state, caller, &scene, target, &wish)?, target, &wanted.action)?;
    let mut batch = Batch::new(Some(caller.name.clone()));
    for task in &asked {
        batch.put(task, Expect::Absent);
    }
    scene.reads.require(&mut batch, &BTreeSet::new());
    state.store.commit_async(batch).await?;
    judge(&answers(state, &asked).await?, quorum, &wanted.name, target)
}

/// What became of questions, when all are answered or the time for them is over.
pub(crate) async fn answers(state: &ApiState, asked: &[NodeTask]) -> Answer<Vec<NodeTask>> {
    let ids: Vec<TaskId> = asked.iter().map(|task| task.id).collect();
    let read = || ids.iter().filter_map(|id| state.store.get::<NodeTask>(&id.to_string()).transpose());
    let read = || read().map(|row| Ok(row?.value)).collect::<Answer<Vec<NodeTask>>>();
    let within = WaitAsk { wait_ms: Some(ANSWERS_WITHIN_MS) };
    wait::until(state, within, read, |tasks| !tasks.iter().any(|t| t.state.is_open())).await
}

fn judge(answers: &[NodeTask], quorum: Quorum, name: &Name, target: &TargetPath) -> Answer<()> {
    let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|task| task.state == TaskState::Done);
    if !good.is_empty() && (quorum == Quorum::Any || bad.is_empty()) {
        return Ok(());
    }
    let said = |task: &&NodeTask| {
        let cause = task.cause.as_deref().unwrap_or("it does not answer");
        format!("{}: {cause}", task.path.short())
    };
    let text = format!("action {name} of {target} does not begin now");
    Err(Problem::new(Code::Conflict, text)
        .details(bad.iter().map(said))
        .hint(format!("see how it stands: lace status {target}"))
        .into())
}

/// What has begun may not have come to its node yet.
pub(crate) fn refuse_busy(state: &ApiState, path: &ServicePath) -> Answer<()> {
    let rows = state.store.snapshot(|view| view.list::<NodeTask>(""))?;
    let mut open = rows.into_iter().map(|row| row.value).filter(|task| task.state.is_open());
    let busy = open.find(|t| matches!(t.verb, Verb::Action(_)) && t.path.family.service_path() == *path);
    match busy {
        None => Ok(()),
        Some(task) => {
            let text = format!("{} of {} is under way", task.verb, task.path.short());
            Err(Refusal::new(Code::Conflict, text).hint("try again when it has ended: lace op list"))
        }
    }
}

/// Services whose nodes are being asked whether an action may begin. One at a time for each: two that asked at once would
/// both be told yes.
#[derive(Clone, Debug, Default)]
pub struct Turns(Arc<Mutex<BTreeSet<ServicePath>>>);

impl Turns {
    fn all(&self) -> MutexGuard<'_, BTreeSet<ServicePath>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self, path: &ServicePath) -> Answer<Turn> {
        if self.all().insert(path.clone()) {
            return Ok(Turn { turns: self.clone(), path: path.clone() });
        }
        let text = format!("another action or change of {path} is just beginning");
        Err(Refusal::new(Code::Conflict, text).hint("try again in a moment"))
    }
}

/// The turn of one; it ends when dropped.
#[must_use]
pub(crate) struct Turn {
    turns: Turns,
    path: ServicePath,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.all().remove(&self.path);
    }
}
