//! `lace job`: work that ends.

use super::logs::Which;
use super::output::{Cell, ago, between, clock};
use super::{Exit, Outcome, Session, confirm, logs};
use clap::{Args, Subcommand};
use lace_model::job::{Job, JobOrigin, JobState, LOGS_KEPT};
use lace_model::{AppName, Code, JobId, Millis, Problem};
use lace_wire::api::StreamOpen;
use std::time::Duration;

/// `lace job`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace job list --app shop")]
pub struct JobArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: JobVerb,
}

/// The verbs of `lace job`.
#[derive(Subcommand, Debug)]
pub enum JobVerb {
    /// List them, the newest first
    #[command(after_help = "Example:\n  lace job list --app shop")]
    List {
        /// Those of one application
        #[arg(long)]
        app: Option<AppName>,
    },
    /// Show one
    #[command(after_help = "Example:\n  lace job show 019aa9d6-2d4e-8000-8000-000000000001")]
    Show {
        /// Its id
        id: JobId,
    },
    /// Show what one wrote
    #[command(after_help = "Example:\n  lace job logs 019aa9d6-2d4e-8000-8000-000000000001 -f")]
    Logs {
        /// Its id
        id: JobId,
        /// Which lines.
        #[command(flatten)]
        which: Which,
    },
    /// Cancel one
    #[command(after_help = "Example:\n  lace job cancel 019aa9d6-2d4e-8000-8000-000000000001")]
    Cancel {
        /// Its id
        id: JobId,
    },
}

/// Runs `lace job`.
pub async fn run(args: JobArgs, s: &mut Session) -> Outcome {
    match args.verb {
        JobVerb::List { app } => list(s, app).await?,
        JobVerb::Show { id } => {
            let job = s.client()?.job(id, Duration::ZERO).await?;
            s.out.item(&job, picture);
        }
        JobVerb::Logs { id, which } => {
            let action = which.action(s)?;
            let open = StreamOpen { target: format!("job:{id}"), action };
            let shown = logs::show(s, vec![open], vec![id.to_string()], &which).await;
            return match shown {
                Err(problem) if problem.code == Code::NotFound => Err(gone(s, id, problem).await),
                shown => shown,
            };
        }
        JobVerb::Cancel { id } => {
            confirm::destructive(s, &format!("this cancels job {id}"))?;
            let job = s.client()?.job_cancel(id).await?;
            s.out.item(&job, |job| format!("job {} is being cancelled", job.id));
        }
    }
    Ok(Exit::DONE)
}

async fn list(s: &mut Session, app: Option<AppName>) -> Result<(), lace_model::Problem> {
    let jobs = s.client()?.jobs(app.as_ref()).await?;
    let now = s.now();
    s.out.list(&jobs, &["id", "of", "why", "state", "exit", "asked", "took", "command"], |job| {
        vec![
            job.id.into(),
            subject(job).into(),
            origin(&job.origin).into(),
            state(job.state),
            job.exit.map_or_else(|| "-".into(), |exit| exit.to_string()).into(),
            ago(now, job.created_at).into(),
            took(job, now).into(),
            job.spec.start.join(" ").into(),
        ]
    });
    Ok(())
}

/// Says it where a job is known and what it wrote is not there any more.
async fn gone(s: &Session, id: JobId, problem: Problem) -> Problem {
    let Ok(client) = s.client() else { return problem };
    match client.job(id, Duration::ZERO).await {
        Ok(job) if job.ended_at.is_some() => {
            let text =
                format!("what job {id} wrote is gone: the last {LOGS_KEPT} of each kind keep it, for a day");
            Problem::new(Code::NotFound, text).hint(format!("its last lines: lace job show {id}"))
        }
        _ => problem,
    }
}

fn subject(job: &Job) -> String {
    job.service.as_ref().map_or_else(|| job.app.to_string(), ToString::to_string)
}

fn origin(origin: &JobOrigin) -> String {
    match origin {
        JobOrigin::Person => "run".into(),
        JobOrigin::Before { revision, .. } => format!("before rev {revision}"),
        JobOrigin::Task { name, .. } => format!("task {name}"),
    }
}

fn state(state: JobState) -> Cell {
    match state {
        JobState::Queued => Cell::warning("queued"),
        JobState::Running => Cell::warning("running"),
        JobState::Done => Cell::good("done"),
        JobState::Failed => Cell::bad("failed"),
        JobState::Cancelled => Cell::faint("cancelled"),
    }
}

fn took(job: &Job, now: Millis) -> String {
    match (job.started_at, job.ended_at) {
        (Some(started), ended) => between(started, ended.unwrap_or(now)),
        (None, _) => "-".into(),
    }
}

fn picture(job: &Job) -> String {
    let moment = |at: Option<Millis>| at.map_or_else(|| "-".into(), clock);
    let mut text = format!(
        "job     {}\nof      {}\nwhy     {}\nstate   {}\nexit    {}\ncommand {}\nby      {}\n\
         asked   {}\nbegan   {}\nended   {}\n",
        job.id,
        subject(job),
        origin(&job.origin),
        state(job.state).paint(false),
        job.exit.map_or_else(|| "-".into(), |exit| exit.to_string()),
        job.spec.start.join(" "),
        job.actor,
        clock(job.created_at),
        moment(job.started_at),
        moment(job.ended_at),
    );
    if let Some(detail) = &job.detail {
        text.push_str(&format!("detail  {detail}\n"));
    }
    job.last_lines.iter().for_each(|line| text.push_str(&format!("  | {line}\n")));
    text
}
