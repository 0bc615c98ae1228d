//! The controller's own lines to adopted nodes: hidden connections that only look.

use futures::future::BoxFuture;
use lace_agent::{Credentials, link_to, over};
use lace_api::AdoptedNodes;
use lace_beam::link::Settings;
use lace_beam::vm::Sampler;
use lace_beam::vm::alarm::Alarms;
use lace_beam::{Call, Identity, Link, Term, epmd};
use lace_model::adopted::{Adopted, AdoptedTls, parts, secret_name, tls_secret_name};
use lace_model::event::NewEvent;
use lace_model::family::Application;
use lace_model::node::NodeAlarm;
use lace_model::vm::VmSample;
use lace_model::{Code, NodePath, Problem};
use lace_store::{Batch, Expect, Store};
use lace_wire::api::AdoptRequest;
use lace_wire::beam::{BeamAsk, BeamReport};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Our name in every cluster: one atom in each runtime, for good.
const OUR_NAME: &str = "lace@controller.lace.internal";
/// Names, epmd and connection together.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Rows are read again at this interval, and when something was adopted.
const READ_EVERY: Duration = Duration::from_secs(5);
/// Between two looks at the numbers.
const SAMPLE_EVERY: Duration = Duration::from_secs(10);
/// For one look.
const SAMPLE_WITHIN: Duration = Duration::from_secs(5);
/// Between two tries to connect.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(15));

/// All lines to adopted nodes.
pub struct Keeper {
    store: Store,
    wake: Notify,
    kept: Mutex<BTreeMap<NodePath, Kept>>,
}

struct Kept {
    row: Adopted,
    line: Result<Link, String>,
    sample: Option<VmSample>,
    alarms: Vec<NodeAlarm>,
    work: JoinHandle<()>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.work.abort();
    }
}

impl Keeper {
    /// Begins to look at what is adopted.
    pub fn begin(store: Store) -> Arc<Self> {
        let keeper = Arc::new(Self { store, wake: Notify::new(), kept: Mutex::default() });
        tokio::spawn(keeper.clone().follow());
        keeper
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<NodePath, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn follow(self: Arc<Self>) {
        loop {
            if let Err(error) = self.read() {
                tracing::warn!(%error, "adopted nodes cannot be read");
            }
            let _ = tokio::time::timeout(READ_EVERY, self.wake.notified()).await;
        }
    }

    /// Lines for new rows, none for those that went. Rows go with their application.
    fn read(self: &Arc<Self>) -> lace_store::Result<()> {
        let rows: Vec<Adopted> = self.store.list::<Adopted>("")?.into_iter().map(|row| row.value).collect();
        let mut wanted = BTreeMap::new();
        for row in rows {
            if self.store.get::<Application>(row.path.family.app.as_str())?.is_some() {
                wanted.insert(row.path.clone(), row);
                continue;
            }
            let mut batch = Batch::new(None);
            batch.delete::<Adopted>(&row.path.to_string(), Expect::Any);
            self.store.commit(batch)?;
        }
        let mut kept = self.kept();
        kept.retain(|path, kept| wanted.get(path) == Some(&kept.row));
        for (path, row) in wanted {
            kept.entry(path).or_insert_with(|| {
                let work = tokio::spawn(self.clone().look_at(row.clone()));
                let line = Err("is being connected to".to_owned());
                Kept { row, line, sample: None, alarms: Vec::new(), work }
            });
        }
        Ok(())
    }

    fn change(&self, path: &NodePath, change: impl FnOnce(&mut Kept)) {
        if let Some(kept) = self.kept().get_mut(path) {
            change(kept);
        }
    }

    async fn look_at(self: Arc<Self>, row: Adopted) {
        let mut wait = TRY_AGAIN.0;
        loop {
            let why = match self.connect(&row).await {
                Ok(link) => {
                    wait = TRY_AGAIN.0;
                    self.change(&row.path, |kept| kept.line = Ok(link.clone()));
                    tokio::select! {
                        why = link.closed() => why.to_string(),
                        () = self.sample_often(&row, &link) => String::new(),
                    }
                }
                Err(problem) => problem.message,
            };
            self.change(&row.path, |kept| kept.line = Err(why));
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(TRY_AGAIN.1);
        }
    }

    async fn connect(&self, row: &Adopted) -> Result<Link, Problem> {
        let sealed = |name: &str| {
            let found = self.store.secret_get(&row.path.family.app, name, None);
            found.map(|found| found.map(|(value, _)| value)).map_err(|e| away(e.to_string()))
        };
        let cookie = sealed(&secret_name(row.path.index))?
            .ok_or_else(|| away("its cookie is gone: adopt it again".into()))?;
        let cookie = String::from_utf8_lossy(cookie.expose()).into_owned();
        let tls = sealed(&tls_secret_name(row.path.index))?;
        let tls = tls.map(|value| serde_json::from_slice::<AdoptedTls>(value.expose()));
        let tls = tls.transpose().map_err(|e| away(format!("its certificates cannot be read: {e}")))?;
        open(&row.name, AdoptRequest { cookie, port: row.port, tls }).await
    }

    async fn sample_often(&self, row: &Adopted, link: &Link) {
        let mut levels = Alarms::default();
        let mut sampler = None;
        loop {
            if sampler.is_none() {
                sampler = Sampler::prepare(link).await.ok();
            }
            if let Some(Ok(sample)) = match &sampler {
                Some(sampler) => Some(sampler.sample(link, SAMPLE_WITHIN).await),
                None => None,
            } {
                // No limit of memory is known of a machine that is not ours.
                let changes = levels.look(&sample, 0);
                self.sampled(row, sample, changes);
            }
            tokio::time::sleep(SAMPLE_EVERY).await;
        }
    }

    fn sampled(&self, row: &Adopted, sample: VmSample, changes: Vec<lace_beam::vm::alarm::Change>) {
        let mut batch = Batch::new(None);
        self.change(&row.path, |kept| {
            let before = kept.alarms.clone();
            over::changed(&mut kept.alarms, changes.clone());
            kept.sample = Some(sample);
            let subject = row.path.to_string();
            for alarm in kept.alarms.iter().filter(|alarm| !before.contains(alarm)) {
                batch.event(NewEvent::new("node.alarm", &subject, alarm.to_string()));
            }
            for alarm in before.iter().filter(|old| kept.alarms.iter().all(|new| new.what != old.what)) {
                let text = format!("far from its limit of {} again", alarm.what);
                batch.event(NewEvent::new("node.calm", &subject, text));
            }
        });
        if !changes.is_empty()
            && let Err(error) = self.store.commit(batch)
        {
            tracing::warn!(%error, "an alarm of an adopted node is not kept");
        }
    }
}

fn away(why: String) -> Problem {
    Problem::new(Code::NodeUnreachable, why)
}

/// Connects to a node where its name says that it is.
async fn open(name: &str, how: AdoptRequest) -> Result<Link, Problem> {
    let (alive, host) = parts(name).ok_or_else(|| away(format!("{name:?} is no node name")))?;
    let credentials = how.tls.map(|tls| Credentials::of(&tls.authority, tls.certificate.as_deref()));
    let credentials = credentials.transpose().map_err(|why| Problem::new(Code::Usage, why))?;
    let connecting = async {
        let port = match how.port {
            Some(port) => port,
            None => {
                let asked = TcpStream::connect((host, epmd::PORT)).await;
                let epmd = asked.map_err(|e| away(format!("the epmd of {host}: {e}")))?;
                let found = epmd::port_of(epmd, alive).await;
                let found = found.map_err(|e| away(format!("the epmd of {host}: {e}")))?;
                found.ok_or_else(|| away(format!("the epmd of {host} does not know {alive}")))?
            }
        };
        let stream = TcpStream::connect((host, port)).await;
        let stream = stream.map_err(|e| away(format!("{host}:{port}: {e}")))?;
        let me = Identity { node: OUR_NAME.to_owned(), cookie: how.cookie };
        link_to(stream, credentials, &me, name, Settings::default()).await.map_err(away)
    };
    let in_time = tokio::time::timeout(CONNECT_WITHIN, connecting).await;
    in_time.map_err(|_| away(format!("{name} does not answer within {} s", CONNECT_WITHIN.as_secs())))?
}

async fn look(name: String, how: AdoptRequest) -> Result<Vec<String>, Problem> {
    let hint = match how.tls {
        Some(_) => {
            "is the cookie right, do its certificates name the part behind the @, and is it reached from here?"
        }
        None => {
            "is the cookie right, can this controller reach the node's ports, and does it speak TLS (--tls)?"
        }
    };
    let link = open(&name, how).await.map_err(|problem| problem.hint(hint))?;
    let nodes = link.call(Call::new("erlang", "nodes", Vec::new())).await;
    let nodes = nodes.map_err(|error| away(error.to_string()))?;
    let others = nodes.as_list().unwrap_or_default().iter().filter_map(Term::as_atom).map(str::to_owned);
    let mut names: Vec<String> = others.collect();
    names.sort();
    names.insert(0, name);
    Ok(names)
}

async fn answer(link: Result<Link, String>, plan: BeamReport, ask: BeamAsk) -> Result<Vec<u8>, Problem> {
    let json = |value: Result<Vec<u8>, serde_json::Error>| {
        value.map_err(|error| Problem::new(Code::Error, error.to_string()))
    };
    if let BeamAsk::Report = ask {
        return json(serde_json::to_vec(&over::describe(plan, link).await));
    }
    let link = link.map_err(|why| away(format!("its runtime cannot be spoken to: {why}")))?;
    match ask {
        BeamAsk::Call(call) => json(serde_json::to_vec(&over::call(&link, &call).await?)),
        BeamAsk::Top { most } => json(serde_json::to_vec(&over::top(&link, None, most).await?)),
        BeamAsk::Dump => {
            let report = over::describe(plan, Ok(link.clone())).await;
            Ok(over::dump(&link, &report, Vec::new()).await.into_bytes())
        }
        BeamAsk::Report => Ok(Vec::new()),
    }
}

impl AdoptedNodes for Keeper {
    fn look(&self, name: String, request: AdoptRequest) -> BoxFuture<'static, Result<Vec<String>, Problem>> {
        Box::pin(look(name, request))
    }

    fn ask(&self, path: NodePath, ask: BeamAsk) -> BoxFuture<'static, Result<Vec<u8>, Problem>> {
        let kept = self.kept();
        let none = || Err("it has only just been adopted".to_owned());
        let line = kept.get(&path).map_or_else(none, |kept| kept.line.clone());
        let mut plan = BeamReport::default();
        if let Some(this) = kept.get(&path) {
            plan.name = this.row.name.clone();
            // All that were adopted with it were one cluster.
            let others = kept.values().filter(|k| k.row.path.family == path.family && k.row.path != path);
            plan.planned = others.map(|kept| kept.row.name.clone()).collect();
            (plan.sample, plan.alarms) = (this.sample.clone(), this.alarms.clone());
        }
        Box::pin(answer(line, plan, ask))
    }

    fn sample(&self, path: &NodePath) -> Option<VmSample> {
        self.kept().get(path)?.sample.clone()
    }

    fn nudge(&self) {
        self.wake.notify_one();
    }
}
