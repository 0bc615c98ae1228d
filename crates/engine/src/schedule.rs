//! Scheduled tasks: which are due, as jobs.

use crate::world::World;
use lace_model::application::{Overlap, TaskSpec};
use lace_model::event::NewEvent;
use lace_model::job::{Job, JobOrigin, JobState, LOGS_KEPT, LOGS_KEPT_MS};
use lace_model::{AppName, JobId, Millis, ServicePath};
use lace_store::Batch;
use std::collections::{BTreeMap, BTreeSet};

/// The next moment after `after` (both in milliseconds since the Unix epoch) at which a task is due.
pub(crate) fn next_due(task: &TaskSpec, after: Millis) -> Option<Millis> {
    let zone: chrono_tz::Tz = task.timezone.as_deref().unwrap_or("UTC").parse().ok()?;
    let cron: croner::Cron = task.schedule.parse().ok()?;
    let after = chrono::DateTime::from_timestamp_millis(i64::try_from(after).ok()?)?.with_timezone(&zone);
    let next = cron.find_next_occurrence(&after, false).ok()?;
    u64::try_from(next.timestamp_millis()).ok()
}

impl World {
    /// Queues jobs for tasks that became due since `since`. Moments that passed while no controller ran are left out.
    pub(crate) fn queue_due(&mut self, since: Millis, batch: &mut Batch) {
        let due: Vec<_> = self
            .services
            .values()
            .filter(|s| !s.deleting)
            .flat_map(|s| {
                s.spec
                    .tasks
                    .iter()
                    .flatten()
                    .map(|(name, task)| (s.path.clone(), s.revision, name.to_string(), task.clone()))
            })
            .filter_map(|(path, revision, name, task)| {
                next_due(&task, since).filter(|at| *at <= self.now).map(|at| (path, revision, name, task, at))
            })
            .collect();
        for (path, revision, name, task, at) in due {
            let Some(revision) = self.revisions.get(&path).and_then(|r| r.get(&revision)).cloned() else {
                continue;
            };
            let (states, why): (&[JobState], _) = match task.overlap {
                Overlap::Allow => (&[], ""),
                Overlap::Skip => (&[JobState::Queued, JobState::Running], "its former run still goes on"),
                Overlap::Queue => (&[JobState::Queued], "a run of it waits already"),
            };
            if self.task_has(&path, &name, states) {
                let message = format!("task {name} left out: {why}");
                batch.event(NewEvent::new("task.skipped", &path, message));
                continue;
            }
            let id = JobId::derive(&self.seed, &format!("task/{path}/{name}/{at}"));
            if !self.jobs.contains_key(&id) {
                self.queue_job(id, &revision, task.command, JobOrigin::Task { name, due: at }, batch);
            }
        }
    }

    /// Is a run of the task in one of these states?
    fn task_has(&self, service: &ServicePath, task: &str, states: &[JobState]) -> bool {
        self.jobs.values().any(|j| {
            states.contains(&j.state)
                && j.service.as_ref() == Some(service)
                && matches!(&j.origin, JobOrigin::Task { name, .. } if name == task)
        })
    }

    /// Jobs whose logs stay on their hosts: the last few runs of each task, of each service's `before` steps, of what people
    /// ran in a service or beside all, and of builds, for a time. A build is a person's job with a release and no service.
    pub(crate) fn logs_kept(&self) -> BTreeSet<JobId> {
        type Line<'a> = (&'a AppName, Option<&'a ServicePath>, &'a str);
        let mut ended: BTreeMap<Line<'_>, Vec<(Millis, JobId)>> = BTreeMap::new();
        for job in self.jobs.values() {
            // No task is called like these.
            let name = match (&job.origin, &job.service) {
                (JobOrigin::Task { name, .. }, _) => name.as_str(),
                (JobOrigin::Person, None) if !job.spec.release.is_empty() => "a build",
                (JobOrigin::Person, _) => "a run",
                (JobOrigin::Before { .. }, _) => "before a revision",
            };
            let Some(at) = job.ended_at.filter(|at| self.now.saturating_sub(*at) < LOGS_KEPT_MS) else {
                continue;
            };
            let is_there = match &job.service {
                Some(service) => self.services.get(service).is_some_and(|s| !s.deleting),
                None => self.apps.get(&job.app).is_some_and(|app| !app.deleting),
            };
            if is_there && job.started_at.is_some() {
                ended.entry((&job.app, job.service.as_ref(), name)).or_default().push((at, job.id));
            }
        }
        let newest = |mut runs: Vec<(Millis, JobId)>| {
            runs.sort_unstable_by(|a, b| b.cmp(a));
            runs.into_iter().take(LOGS_KEPT).map(|(_, id)| id)
        };
        ended.into_values().flat_map(newest).collect()
    }

    /// Has a queued run of a task to wait for the former one to end? Unless its runs may overlap.
    pub(crate) fn waits_for_former_run(&self, job: &Job) -> bool {
        let (JobOrigin::Task { name, .. }, Some(service)) = (&job.origin, &job.service) else {
            return false;
        };
        let spec = self.services.get(service).and_then(|s| s.spec.tasks.as_ref());
        let may_overlap = spec.is_some_and(|tasks| {
            tasks.iter().any(|(n, t)| n.as_str() == name && t.overlap == Overlap::Allow)
        });
        !may_overlap && self.task_has(service, name, &[JobState::Running])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(schedule: &str, zone: Option<&str>, after: Millis) -> Option<Millis> {
        let task = TaskSpec {
            command: vec!["true".into()],
            schedule: schedule.into(),
            overlap: Overlap::Skip,
            timezone: zone.map(Into::into),
        };
        next_due(&task, after)
    }

    #[test]
    fn three_at_night_in_stockholm_is_one_in_utc_in_summer() {
        // 2026-07-01T00:00:00Z
        let midnight = 1_782_864_000_000;
        assert_eq!(due("0 3 * * *", Some("Europe/Stockholm"), midnight), Some(midnight + 3_600_000));
        assert_eq!(due("0 3 * * *", None, midnight), Some(midnight + 3 * 3_600_000));
    }

    #[test]
    fn a_bad_pattern_or_zone_is_never_due() {
        assert_eq!(due("not a pattern", None, 0), None);
        assert_eq!(due("0 3 * * *", Some("Europe/Atlantis"), 0), None);
    }
}
