//! Jobs: from the queue to a host, and to their end.

use crate::heard::JobNews;
use crate::world::World;
use lace_model::event::NewEvent;
use lace_model::job::{Job, JobOrigin, JobState, NewJob};
use lace_model::revision::Revision;
use lace_model::{FamilyPath, HostId, JobId};
use lace_store::{Batch, Expect};
use std::net::Ipv4Addr;

/// Ended jobs that are kept; older ones go. A job row is a few kilobytes.
const JOBS_KEPT: usize = 2_000;

/// Waits or runs.
pub(crate) fn is_active(job: &Job) -> bool {
    matches!(job.state, JobState::Queued | JobState::Running)
}

impl World {
    /// Queues a job of a service.
    pub(crate) fn queue_job(
        &mut self,
        id: JobId,
        revision: &Revision,
        command: Vec<String>,
        origin: JobOrigin,
        batch: &mut Batch,
    ) {
        let mut spec = revision.spec.clone();
        spec.start = command;
        spec.stop_command = None;
        spec.check = None;
        spec.live = None;
        spec.volumes.clear();
        spec.family_limits.clear();
        let (app, service) = (revision.service.app.clone(), Some(revision.service.clone()));
        let job = NewJob { id, app, service, spec, origin, actor: "lace".into() }.queued(self.now);
        self.put(&job, batch);
        self.jobs.insert(id, job);
        self.jobs_dirty = true;
    }

    /// Sends queued jobs to hosts with room; ends those that were cancelled before.
    pub(crate) fn dispatch_jobs(&mut self, batch: &mut Batch) {
        if !std::mem::take(&mut self.jobs_dirty) {
            return;
        }
        let queued: Vec<Job> = self.jobs.values().filter(|j| j.state == JobState::Queued).cloned().collect();
        for mut job in queued {
            if job.cancel {
                job.state = JobState::Cancelled;
                job.ended_at = Some(self.now);
            } else if self.waits_for_former_run(&job) {
                continue;
            } else if let Some((host, address)) = self.room_for(&job) {
                job.state = JobState::Running;
                job.host = Some(host);
                job.address = Some(address);
                (job.detail, job.no_room_since) = (None, None);
                self.topics_dirty.insert(job.app.clone());
                self.money_dirty = true;
            } else {
                let detail = Some("waits for room: no connected host has enough".to_owned());
                if job.detail == detail {
                    continue;
                }
                job.detail = detail;
                job.no_room_since = Some(self.now);
            }
            self.touch_families(&job);
            self.put(&job, batch);
            self.jobs.insert(job.id, job);
        }
        self.drop_old_jobs(batch);
    }

    fn room_for(&self, job: &Job) -> Option<(HostId, Ipv4Addr)> {
        let taken = self.taken();
        self.hosts.values().find_map(|host| {
            let live = self.liveness.get(&host.id).copied().unwrap_or_default();
            if !live.connected || host.draining || host.removing {
                return None;
            }
            let taken = taken.get(&host.id).cloned().unwrap_or_default();
            let fits = taken.used.cpu.0.saturating_add(job.spec.limits.cpu.0) <= host.capacity.cpu.0
                && taken.used.memory.0.saturating_add(job.spec.limits.memory.0) <= host.capacity.memory.0
                && taken.used.nodes < host.capacity.slots;
            let free = |a: &Ipv4Addr| !taken.addresses.contains(a);
            let address = host.blocks.iter().flat_map(|b| b.addresses()).find(free)?;
            fits.then_some((host.id, address))
        })
    }

    /// What waits for a job is looked at again.
    fn touch_families(&mut self, job: &Job) {
        let concerns = |family: &FamilyPath| match &job.service {
            Some(service) => family.service_path() == *service,
            None => family.app == job.app,
        };
        let touched: Vec<_> = self.families.keys().filter(|f| concerns(f)).cloned().collect();
        self.dirty.extend(touched);
    }

    /// A host says how a job moves on.
    pub(crate) fn job_news(&mut self, host: HostId, news: JobNews, batch: &mut Batch) {
        let Some(mut job) = self.jobs.get(&news.job).cloned() else { return };
        if job.state != JobState::Running || job.host != Some(host) {
            return;
        }
        job.started_at = news.started_at.or(job.started_at);
        if let Some(end) = news.ended {
            self.money_dirty = true;
            job.ended_at = Some(end.at);
            job.exit = end.exit;
            job.detail = end.detail;
            job.last_lines = end.last_lines;
            job.state = match end.exit {
                _ if job.cancel => JobState::Cancelled,
                Some(0) => JobState::Done,
                _ => JobState::Failed,
            };
            let how = job.exit.map_or("it could not be started".into(), |e| format!("exit status {e}"));
            let message = format!("`{}` ended: {how}", job.spec.start.join(" "));
            batch.event(NewEvent::new("job.ended", format!("{}/job/{}", job.app, job.id), message));
        }
        if self.jobs.get(&job.id) == Some(&job) {
            return;
        }
        batch.put(&job, Expect::Any);
        self.touch_families(&job);
        self.topics_dirty.insert(job.app.clone());
        self.jobs_dirty = true;
        self.jobs.insert(job.id, job);
    }

    /// Jobs of what is being deleted are cancelled: nothing of it goes on, and nothing of it begins.
    pub(crate) fn cancel_deleted(&mut self, batch: &mut Batch) {
        let goes = |job: &&Job| is_active(job) && !job.cancel && self.is_deleted(job);
        let going: Vec<_> = self.jobs.values().filter(goes).cloned().collect();
        for mut job in going {
            job.cancel = true;
            if job.state == JobState::Queued {
                job.state = JobState::Cancelled;
                job.ended_at = Some(self.now);
            }
            self.put(&job, batch);
            self.jobs.insert(job.id, job);
        }
    }

    fn is_deleted(&self, job: &Job) -> bool {
        let service = job.service.as_ref().and_then(|path| self.services.get(path));
        self.apps.get(&job.app).is_some_and(|app| app.deleting) || service.is_some_and(|s| s.deleting)
    }

    /// A family that goes with its service is not gone before the last job of it has ended.
    pub(crate) fn jobs_hold(&self, path: &FamilyPath) -> bool {
        let is_forced = self.families.get(path).and_then(|f| f.force_at).is_some_and(|at| at <= self.now);
        let of_it = |job: &&Job| match &job.service {
            Some(service) => *service == path.service_path(),
            None => job.app == path.app,
        };
        !is_forced && self.jobs.values().filter(of_it).any(|job| is_active(job) && self.is_deleted(job))
    }

    fn drop_old_jobs(&mut self, batch: &mut Batch) {
        let ended: Vec<_> = self.jobs.values().filter_map(|j| j.ended_at.map(|at| (at, j.id))).collect();
        let Some(over) = ended.len().checked_sub(JOBS_KEPT).filter(|n| *n > 0) else { return };
        let mut ended = ended;
        ended.sort_unstable();
        for (_, id) in ended.into_iter().take(over) {
            batch.delete::<Job>(&id.to_string(), Expect::Any);
            self.jobs.remove(&id);
        }
    }
}
