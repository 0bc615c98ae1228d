//! Jobs: work that ends, with its output; and the schedules that make jobs.

use crate::act::{target, usage};
use crate::page::{self, Noun};
use crate::visit::Visit;
use crate::words;
use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::response::Response;
use lace_model::application::{ApplicationSpec, TaskSpec};
use lace_model::job::{Job, JobOrigin, JobState};
use lace_model::{Millis, Problem};
use lace_wire::api::{AppSummary, JobRequest};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "jobs.html")]
struct Jobs {
    now: Millis,
    jobs: Vec<Job>,
    schedules: Vec<Schedule>,
}

/// A task of a service.
struct Schedule {
    service: String,
    name: String,
    task: TaskSpec,
}

#[derive(Template)]
#[template(path = "job.html")]
struct Show {
    now: Millis,
    job: Job,
}

/// `GET /jobs`.
pub async fn list(visit: Visit) -> Response {
    visit.page("Jobs", Noun::Jobs, load(&visit).await).await
}

async fn load(visit: &Visit) -> Result<Jobs, Problem> {
    let jobs = visit.get("/v1/jobs").await?;
    Ok(Jobs { now: visit.now, jobs, schedules: schedules(visit).await? })
}

async fn schedules(visit: &Visit) -> Result<Vec<Schedule>, Problem> {
    let apps: Vec<AppSummary> = visit.get("/v1/apps").await?;
    let mut found = Vec::new();
    for app in apps {
        let spec: ApplicationSpec = visit.get(&format!("/v1/apps/{}/export", app.name)).await?;
        for (service, spec) in spec.services {
            let tasks = spec.tasks.into_iter().flatten();
            found.extend(tasks.map(|(name, task)| Schedule {
                service: format!("{}/{service}", app.name),
                name: name.to_string(),
                task,
            }));
        }
    }
    Ok(found)
}

/// `GET /jobs/{id}`.
pub async fn show(visit: Visit, Path(id): Path<String>) -> Response {
    let job = visit.get(&format!("/v1/jobs/{}", crate::api::encoded(&id))).await;
    visit.page("Job", Noun::Jobs, job.map(|job| Show { now: visit.now, job })).await
}

#[derive(Deserialize)]
pub struct Run {
    target: String,
    command: String,
}

/// `POST /act/job`.
pub async fn run(visit: Visit, Form(form): Form<Run>) -> Response {
    page::did(start(&visit, &form).await.map(|job| format!("job {} is queued", job.id)))
}

async fn start(visit: &Visit, form: &Run) -> Result<Job, Problem> {
    let command: Vec<String> = vec!["sh".into(), "-c".into(), form.command.clone()];
    if form.command.trim().is_empty() {
        return Err(usage("a job needs a command"));
    }
    let target = target(form.target.trim())?;
    let request = JobRequest { target, command, env: Default::default(), limits: None, release: None };
    visit.post("/v1/jobs", &request).await
}

#[derive(Deserialize)]
pub struct Which {
    id: String,
}

/// `POST /act/job/cancel`.
pub async fn cancel(visit: Visit, Form(form): Form<Which>) -> Response {
    let path = format!("/v1/jobs/{}/cancel", crate::api::encoded(&form.id));
    let done: Result<Job, Problem> = visit.post(&path, &()).await;
    page::did(done.map(|job| format!("job {} is asked to end", job.id)))
}

fn origin(origin: &JobOrigin) -> String {
    match origin {
        JobOrigin::Person => "by hand".into(),
        JobOrigin::Before { revision, .. } => format!("before revision {revision}"),
        JobOrigin::Task { name, .. } => format!("schedule {name}"),
    }
}

/// Whose release and environment it has.
fn place(job: &Job) -> String {
    job.service.as_ref().map_or_else(|| job.app.to_string(), ToString::to_string)
}

impl Show {
    fn is_open(&self) -> bool {
        matches!(self.job.state, JobState::Queued | JobState::Running)
    }
    fn state(&self) -> words::Markup {
        let (state, word) = words::of_job(self.job.state);
        state.mark(word)
    }
}
