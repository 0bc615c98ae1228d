//! One actor per job: a light node whose process runs once. Its files, logs included, stay until its entry goes.

use crate::clock::now;
use crate::hands::Hands;
use crate::held::Record;
use crate::node::{self, NodeEvents, ask};
use crate::spec::{self, Rendered, Subject};
use lace_machine::{Event, Exit, Phase};
use lace_model::document::EntryId;
use lace_model::job::Job;
use lace_model::{JobId, Millis};
use lace_wire::link::frame::{JobEnd, JobReport};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The newest statement about a job.
#[derive(Clone)]
pub struct JobWish {
    /// What it says.
    pub job: Arc<Job>,
    /// The document names the job no more.
    pub dropped: bool,
}

impl JobWish {
    fn ended(&self) -> bool {
        self.dropped || self.job.cancel
    }
}

struct Actor {
    hands: Arc<Hands>,
    id: JobId,
    name: String,
    wish: watch::Receiver<JobWish>,
    started_at: Option<Millis>,
}

/// Starts the actor of a job.
pub fn spawn(hands: Arc<Hands>, wish: JobWish) -> watch::Sender<JobWish> {
    let id = wish.job.id;
    let (wish, wish_in) = watch::channel(wish);
    let actor = Actor { hands, id, name: id.to_string(), wish: wish_in, started_at: None };
    tokio::spawn(actor.live());
    wish
}

impl Actor {
    async fn live(mut self) {
        let ended = self.hands.held.read(|state| state.jobs.get(&self.id).cloned());
        match ended {
            Some(report) => self.hands.outbox.job(report),
            None => {
                let end = self.run().await;
                self.report_end(end);
            }
        }
        self.quieten().await;
        let _ = self.wish.wait_for(|wish| wish.dropped).await;
        while let Err(cause) = node::remove(&self.hands, &self.name).await {
            tracing::warn!(job = %self.id, cause, "not removed yet");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.free_address();
        self.hands.held.commit(vec![Record::Left(EntryId::Job(self.id))]);
        self.hands.outbox.forget_job(self.id);
    }

    /// Runs the job, or goes on with it. Begun once, it is never begun again.
    async fn run(&mut self) -> JobEnd {
        if let Some(events) = node::attach(&self.hands, &self.name).await {
            return self.watch(events).await;
        }
        if self.hands.held.read(|state| state.begun.contains_key(&EntryId::Job(self.id))) {
            return failed("its host went down while it ran");
        }
        if self.wish.borrow().job.ended_at.is_some() {
            return failed("it had ended before this host heard of it");
        }
        let mut wish = self.wish.clone();
        let started = tokio::select! {
            started = self.start() => started,
            _ = wish.wait_for(JobWish::ended) => return failed("cancelled before it started"),
        };
        match started {
            Ok(events) => self.watch(events).await,
            Err(cause) => failed(&cause),
        }
    }

    async fn start(&self) -> Result<NodeEvents, String> {
        let job = self.wish.borrow().job.clone();
        let address = job.address.ok_or("the job has no address")?;
        if !self.hands.owns(address) {
            return Err(format!("{address} is not in this host's blocks of addresses"));
        }
        let layers = spec::layers(&self.hands, &job.spec).await?;
        self.hands.addresses.claim(&address, &self.name, |_| {}).await;
        let Rendered { mut spec, .. } = spec::render(&self.hands, &Subject::job(&job, address), layers)?;
        if let Some(process) = &mut spec.process {
            process.one_shot = true;
        }
        self.hands.held.commit(vec![Record::Begun(EntryId::Job(self.id), now())]);
        // Not to be dropped halfway: a cancellation waits until the node is whole.
        let (hands, name) = (self.hands.clone(), self.name.clone());
        let started = tokio::spawn(async move {
            let seat = hands.starts.acquire().await.map_err(|e| e.to_string())?;
            node::start(&hands, spec, seat).await?;
            hands.wall.nudge();
            node::attach(&hands, &name).await.ok_or_else(|| "the node ended while it started".to_owned())
        });
        started.await.map_err(|e| e.to_string())?
    }

    async fn watch(&mut self, mut events: NodeEvents) -> JobEnd {
        let said = events.status().clone();
        self.started_at = said.started_at_ms.or(Some(now()));
        if said.phase == Phase::Finished {
            return said.last_exit.as_ref().map_or_else(|| failed("it ended"), end_of);
        }
        self.hands.outbox.job(JobReport { job: self.id, started_at: self.started_at, ended: None });
        let mut stopping = false;
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Event::Exited { exit }) => return end_of(&exit),
                    Some(_) => {}
                    None => return failed("the node's PID 1 ended"),
                },
                changed = self.wish.changed() => {
                    let ended = changed.is_err() || self.wish.borrow().ended();
                    if ended && !stopping {
                        stopping = true;
                        let node = events.node.clone();
                        tokio::spawn(async move { ask(&node, |node| node.stop(None, None)).await });
                    }
                }
            }
        }
    }

    fn report_end(&self, end: JobEnd) {
        let report = JobReport { job: self.id, started_at: self.started_at, ended: Some(end) };
        self.hands.held.commit(vec![Record::JobEnded(report.clone())]);
        self.hands.outbox.job(report);
    }

    /// The process is over: its PID 1 need not stay, its files do.
    async fn quieten(&self) {
        if let Some(node) = node::connect(&self.hands, &self.name).await {
            let _ = ask(&node, |node| node.shutdown(Some(Duration::ZERO))).await;
        }
        self.free_address();
    }

    fn free_address(&self) {
        if let Some(address) = self.wish.borrow().job.address {
            self.hands.addresses.free(&address, &self.name);
        }
    }
}

fn failed(cause: &str) -> JobEnd {
    JobEnd { at: now(), exit: None, detail: Some(cause.to_owned()), last_lines: Vec::new() }
}

fn end_of(exit: &Exit) -> JobEnd {
    let said = node::exit(exit);
    let status = exit.code.or(exit.signal.map(|signal| 128 + signal));
    let detail = (status != Some(0)).then(|| exit.reason.clone());
    JobEnd { at: exit.at_ms, exit: status, detail, last_lines: said.last_lines }
}
