//! Is the process ready, is it alive? One task per question; they end with the process.

use super::bootstrap;
use super::probe::probe;
use crate::beam;
use crate::hands::Hands;
use lace_machine::{Life, NodeHandle};
use lace_model::Millis;
use lace_model::check::Check;
use lace_model::document::NodeEntry;
use lace_model::node::NodeAlarm;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// While not ready a probe comes at least so often: a start should not wait for its check.
const EAGER: Duration = Duration::from_millis(100);
/// A cluster is asked often for so long after it was well, and at this pace then: a cut may last for hours.
const EAGER_FOR: Duration = Duration::from_secs(20);
const PATIENT: Duration = Duration::from_secs(1);
/// So many failures in a row make a BEAM node unready: its tool may be slow on a busy host.
const BEAM_FAILURES: u32 = 3;

/// What the checks found together.
#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    /// Ready.
    Ready,
    /// Not ready, and why.
    Unready(String),
    /// Not alive: shall be restarted.
    Dead(String),
    /// Limits that it is near.
    Alarms(Vec<NodeAlarm>),
}

/// What one task says.
enum Said {
    /// The answer to question N.
    Answer(usize, Result<(), String>),
    Dead(String),
    Alarms(Vec<NodeAlarm>),
}

/// The checks of one process.
pub struct Care {
    said: Option<mpsc::Receiver<Said>>,
    /// The last answer to each question.
    answers: Vec<Option<Result<(), String>>>,
    /// Are all questions but the last answered well? Asked by the last one, where it is the bootstrap.
    others_good: watch::Sender<bool>,
    /// The life of the process that it looks after; none where its PID 1 does not say.
    pub life: Option<Life>,
    /// Aborts its tasks when dropped.
    _tasks: JoinSet<()>,
}

/// What the tasks work with.
#[derive(Clone)]
pub struct Patient {
    pub hands: Arc<Hands>,
    pub entry: Arc<NodeEntry>,
    pub node: NodeHandle,
    started_at: Millis,
    was_ready: bool,
    say: mpsc::Sender<Said>,
}

impl Care {
    /// Of a process that is down.
    pub fn none() -> Self {
        Self {
            said: None,
            answers: Vec::new(),
            others_good: watch::Sender::new(false),
            life: None,
            _tasks: JoinSet::new(),
        }
    }

    /// The same, of the life of a process that PID 1 names.
    pub fn of(mut self, life: Option<Life>) -> Self {
        self.life = life;
        self
    }

    /// Does anything but the process itself decide on readiness?
    pub fn decides(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Begins the checks of a process that started at that moment. `was_ready`: an earlier agent found it so.
    pub fn begin(
        hands: &Arc<Hands>,
        entry: Arc<NodeEntry>,
        node: NodeHandle,
        started_at: Millis,
        was_ready: bool,
    ) -> Self {
        let (say, said) = mpsc::channel(4);
        let patient =
            Patient { hands: hands.clone(), entry: entry.clone(), node, started_at, was_ready, say };
        let mut tasks = JoinSet::new();
        let mut questions = 0;
        if entry.spec.beam.is_some() {
            tasks.spawn(beam::line::keep(patient.clone()));
            tasks.spawn(beam::names::keep(patient.clone()));
            if entry.spec.beam.as_ref().is_some_and(|beam| beam.epmd) {
                tasks.spawn(beam::epmd::keep(patient.clone()));
            }
            if entry.spec.beam.as_ref().is_some_and(|beam| beam.tls) {
                tasks.spawn(beam::tls::keep(patient.clone()));
            }
            tasks.spawn(patient.clone().cluster(questions));
            questions += 1;
            if entry.votes.is_some() {
                tasks.spawn(beam::votes::keep(patient.clone(), questions));
                questions += 1;
            }
        }
        if let Some(check) = entry.spec.check.clone() {
            tasks.spawn(patient.clone().readiness(questions, check));
            questions += 1;
        }
        if let Some(live) = entry.spec.live.clone() {
            tasks.spawn(patient.clone().liveness(live));
        }
        let others_good = watch::Sender::new(questions == 0 || was_ready);
        if bootstrap::is_due(hands, &entry, started_at) {
            tasks.spawn(patient.bootstrap(questions, others_good.subscribe()));
            questions += 1;
        }
        let said = (!tasks.is_empty()).then_some(said);
        let answer = was_ready.then_some(Ok(()));
        Self { said, answers: vec![answer; questions], others_good, life: None, _tasks: tasks }
    }

    /// The next finding; never, where there are no checks.
    pub async fn next(&mut self) -> Finding {
        loop {
            let said = match &mut self.said {
                Some(said) => said.recv().await,
                None => std::future::pending().await,
            };
            match said {
                Some(Said::Dead(cause)) => return Finding::Dead(cause),
                Some(Said::Alarms(alarms)) => return Finding::Alarms(alarms),
                Some(Said::Answer(question, answer)) => {
                    self.answers[question] = Some(answer);
                    if let Some((_, others)) = self.answers.split_last() {
                        let good = others.iter().all(|answer| matches!(answer, Some(Ok(()))));
                        self.others_good.send_if_modified(|was| std::mem::replace(was, good) != good);
                    }
                    if let Some(finding) = together(&self.answers) {
                        return finding;
                    }
                }
                None => self.said = None,
            }
        }
    }
}

/// Ready when all say so; the first "no" is the reason. Nothing while an answer is missing and the others are good.
fn together(answers: &[Option<Result<(), String>>]) -> Option<Finding> {
    if let Some(cause) = answers.iter().flatten().find_map(|answer| answer.as_ref().err()) {
        return Some(Finding::Unready(cause.clone()));
    }
    answers.iter().all(Option::is_some).then_some(Finding::Ready)
}

/// Counts failures in a row.
struct Tally {
    ready: bool,
    failures: u32,
    /// What was said last.
    said: Option<Result<(), String>>,
}

impl Tally {
    /// Of a question that was answered well before, or never.
    fn begin(ready: bool) -> Self {
        Self { ready, failures: 0, said: ready.then_some(Ok(())) }
    }

    /// What one more answer changes: nothing, or what is to be said.
    fn count(&mut self, answer: Result<(), String>, failures_max: u32) -> Option<Result<(), String>> {
        match &answer {
            Ok(()) => {
                self.failures = 0;
                self.ready = true;
            }
            Err(_) => {
                self.failures += 1;
                self.ready &= self.failures < failures_max.max(1);
            }
        }
        let news = self.ready == answer.is_ok() && self.said.as_ref() != Some(&answer);
        if news {
            self.said = Some(answer.clone());
        }
        news.then_some(answer)
    }
}

impl Patient {
    /// False when nobody listens any more.
    pub async fn answer(&self, question: usize, answer: Result<(), String>) -> bool {
        self.say.send(Said::Answer(question, answer)).await.is_ok()
    }

    /// Says which limits it is near.
    pub async fn alarms(&self, alarms: Vec<NodeAlarm>) {
        let _ = self.say.send(Said::Alarms(alarms)).await;
    }

    async fn cluster(self, question: usize) {
        let mut tally = Tally::begin(self.was_ready);
        let mut boot = beam::boot::Boot::default();
        // Whoever has served once is not held back, nor begun again, for names that it does not share.
        let mut was_ever = self.was_ready;
        let mut good_at = tokio::time::Instant::now();
        loop {
            let (eager, calm) = beam::ready::INTERVALS;
            let eager = if good_at.elapsed() < EAGER_FOR { eager } else { PATIENT };
            let asked = beam::ready::ask(&self.hands, &self.entry, &self.node, !was_ever).await;
            if asked.is_ok() {
                (was_ever, good_at) = (true, tokio::time::Instant::now());
            }
            if let Err(lacks) = &asked {
                // Who is ready serves on while another member comes or goes.
                if tally.ready && lacks.peers_only {
                    tokio::time::sleep(eager).await;
                    continue;
                }
                if !was_ever
                    && let Some(cause) = boot.hangs(&self.hands, &self.entry, &self.node, lacks).await
                {
                    let _ = self.say.send(Said::Dead(cause)).await;
                    return;
                }
            }
            let answer = asked.map_err(|lacks| lacks.what);
            let good = answer.is_ok();
            if let Some(answer) = tally.count(answer, BEAM_FAILURES)
                && !self.answer(question, answer).await
            {
                return;
            }
            tokio::time::sleep(if good { calm } else { eager }).await;
        }
    }

    async fn readiness(self, question: usize, check: Check) {
        let mut tally = Tally::begin(self.was_ready);
        let interval = Duration::from_millis(check.interval.0.max(10));
        loop {
            let answer = probe(&check, &self.entry, &self.node).await;
            if let Some(answer) = tally.count(answer, check.failures)
                && !self.answer(question, answer).await
            {
                return;
            }
            tokio::time::sleep(if tally.ready { interval } else { interval.min(EAGER) }).await;
        }
    }

    async fn liveness(self, check: Check) {
        let mut tally = Tally { ready: true, failures: 0, said: None };
        loop {
            tokio::time::sleep(Duration::from_millis(check.interval.0.max(10))).await;
            let answer = probe(&check, &self.entry, &self.node).await;
            let in_grace = crate::clock::now() < self.started_at + check.grace.0;
            if answer.is_err() && in_grace {
                continue;
            }
            if let Some(Err(cause)) = tally.count(answer, check.failures) {
                let _ = self.say.send(Said::Dead(cause)).await;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_success_makes_ready_and_failures_in_a_row_unready() {
        let mut tally = Tally::begin(false);
        let no = || Err("no".to_owned());
        let yes = || Ok(());
        let table = [
            (no(), Some(no())),
            (no(), None),
            (yes(), Some(yes())),
            (yes(), None),
            (no(), None),
            (no(), None),
            (yes(), None),
            (no(), None),
            (no(), None),
            (no(), Some(no())),
            (yes(), Some(yes())),
        ];
        for (n, (answer, expected)) in table.into_iter().enumerate() {
            assert_eq!(tally.count(answer, 3), expected, "answer {n}");
        }
    }

    #[test]
    fn all_questions_have_to_be_answered_well() {
        let no = || Some(Err("no".to_owned()));
        assert_eq!(together(&[Some(Ok(())), None]), None);
        assert_eq!(together(&[None, no()]), Some(Finding::Unready("no".to_owned())));
        assert_eq!(together(&[Some(Ok(())), Some(Ok(()))]), Some(Finding::Ready));
    }
}
