//! `lace run`: a job; its output and its status as if it ran here.

use super::session::cannot_write;
use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::job::{Job, JobState};
use lace_model::revision::Limits;
use lace_model::{AppName, ByteSize, Code, CpuMillis, JobId, Name, Problem, TargetPath};
use lace_wire::api::{JobRequest, StreamAction, StreamOpen};
use lace_wire::client::Client;
use lace_wire::stream::StreamFrame;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The application of jobs that belong to none.
const JOBS_APP: &str = "jobs";
/// The one image that there is: the host's own system, read-only.
const IMAGE: &str = "host";
/// A job that says nothing for so long may have ended.
const QUIET: Duration = Duration::from_secs(1);
/// How long the controller is asked to wait at a time.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// `lace run`.
#[derive(Args, Debug)]
#[command(after_help = "\
With a TARGET the job has its release, environment, secrets and network; without one it runs in the
application `jobs`. The status is the command's own; 125 where Lace itself failed. --out keeps
stdout, stderr and job.json in a directory.

Example:
  lace run shop/game -- bin/game eval 'Game.Release.migrate()'")]
pub struct RunArgs {
    /// An application, or the service whose release it uses
    pub target: Option<TargetPath>,
    /// The image that it starts from
    #[arg(long, default_value = IMAGE)]
    pub image: String,
    /// A release whose tree lies in /app: NAME or NAME@VERSION
    #[arg(long, value_name = "RELEASE")]
    pub release: Option<String>,
    /// Processors
    #[arg(long)]
    pub cpu: Option<CpuMillis>,
    /// Memory
    #[arg(long)]
    pub memory: Option<ByteSize>,
    /// More environment
    #[arg(long = "env", short = 'e', value_name = "NAME=VALUE", value_parser = super::manifest::pair)]
    pub env: Vec<(String, String)>,
    /// Print the job's id and do not wait
    #[arg(long)]
    pub detach: bool,
    /// Keep its output there
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// The command
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<String>,
}

impl RunArgs {
    fn limits(&self) -> Option<Limits> {
        let usual = Limits::default();
        (self.cpu.is_some() || self.memory.is_some()).then(|| Limits {
            cpu: self.cpu.unwrap_or(usual.cpu),
            memory: self.memory.unwrap_or(usual.memory),
            ..usual
        })
    }
}

/// Runs `lace run`.
pub async fn run(args: RunArgs, s: &mut Session) -> Outcome {
    if args.image != IMAGE {
        return Err(Problem::new(
            Code::Usage,
            format!("image {:?}: images beside `{IMAGE}` are not built yet", args.image),
        )
        .hint("leave --image out: the job sees this machine's programs, read-only"));
    }
    let client = s.watching_client()?;
    let target = match &args.target {
        Some(target) => target.clone(),
        None => jobs_app(&client).await?,
    };
    let limits = args.limits();
    let env = args.env.iter().cloned().collect();
    let request = JobRequest { target, command: args.command, env, limits, release: args.release };
    let job = client.job_create(&request).await?;
    if args.detach {
        s.out.item(&job, |job| job.id.to_string());
        return Ok(Exit::DONE);
    }
    let mut keep = args.out.map(|dir| Keep::new(&s.at(dir))).transpose()?;
    let job = attend(s, &client, job, keep.as_mut()).await?;
    if let Some(keep) = keep {
        keep.job(&job)?;
    }
    status(job)
}

async fn jobs_app(client: &Client) -> Result<TargetPath, Problem> {
    let app: AppName = Name::new(JOBS_APP).map_err(|e| Problem::new(Code::Error, e.to_string()))?;
    match client.app_create(&app).await {
        Err(problem) if problem.code != Code::Conflict => return Err(problem),
        _ => {}
    }
    Ok(TargetPath { app, service: None, family: None, index: None })
}

/// Waits for a job, showing its output meanwhile.
async fn attend(
    s: &mut Session,
    client: &Client,
    job: Job,
    mut keep: Option<&mut Keep>,
) -> Result<Job, Problem> {
    let deadline = deadline(s);
    let job = begun(s, client, job, deadline).await?;
    let id = job.id;
    let watched = watch_output(s, client, id, keep.as_deref_mut());
    let seen = match deadline {
        None => watched.await,
        Some(deadline) => tokio::time::timeout_at(deadline.into(), watched).await.map_err(|_| still(id))?,
    };
    let job = until(client, job, deadline, is_over).await?;
    if !seen {
        for line in &job.last_lines {
            show(s, keep.as_deref_mut(), false, format!("{line}\n").as_bytes());
        }
    }
    Ok(job)
}

/// When `--timeout` is over.
pub fn deadline(s: &Session) -> Option<Instant> {
    s.global.timeout.map(|t| Instant::now() + Duration::from_millis(t.ms()))
}

/// Waits until a job has a host, or is over; says what it waits for.
pub async fn begun(
    s: &mut Session,
    client: &Client,
    job: Job,
    deadline: Option<Instant>,
) -> Result<Job, Problem> {
    let waits = |job: &Job| job.state == JobState::Queued;
    let job = until(client, job, deadline, |job| !waits(job) || job.detail.is_some()).await?;
    let Some(why) = job.detail.clone().filter(|_| waits(&job)) else { return Ok(job) };
    s.out.note(format!("job {} {why}", job.id));
    until(client, job, deadline, |job| !waits(job)).await
}

/// Has a job ended?
pub fn is_over(job: &Job) -> bool {
    matches!(job.state, JobState::Done | JobState::Failed | JobState::Cancelled)
}

/// Waits until a job is so.
pub async fn until(
    client: &Client,
    mut job: Job,
    deadline: Option<Instant>,
    reached: impl Fn(&Job) -> bool,
) -> Result<Job, Problem> {
    while !reached(&job) {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(still(job.id));
        }
        let begun = Instant::now();
        job = client.job(job.id, LOOK_EVERY).await?;
        // A controller that answers at once is asked gently.
        let pause = Duration::from_millis(20).saturating_sub(begun.elapsed());
        tokio::time::sleep(pause).await;
    }
    Ok(job)
}

/// The time was over before the job was.
pub fn still(id: JobId) -> Problem {
    Problem::new(Code::StillWatching, format!("job {id} goes on")).hint(format!("lace job logs {id} -f"))
}

/// Shows the output as it comes. Was any seen?
async fn watch_output(s: &mut Session, client: &Client, id: JobId, mut keep: Option<&mut Keep>) -> bool {
    let action = StreamAction::Logs { since: None, until: None, tail: None, follow: true };
    let Ok(mut stream) = client.open(&StreamOpen { target: format!("job:{id}"), action }).await else {
        return false;
    };
    let mut seen = false;
    loop {
        let Ok(frame) = tokio::time::timeout(QUIET, stream.from.recv()).await else {
            // A log that is kept says nothing of the end.
            match client.job(id, Duration::ZERO).await {
                Ok(job) if is_over(&job) => break,
                _ => continue,
            }
        };
        let Some(frame) = frame else { break };
        match frame {
            StreamFrame::Line(line) => {
                let text = format!("{}\n", line.text);
                show(s, keep.as_deref_mut(), line.stderr, text.as_bytes());
            }
            StreamFrame::Stdout(bytes) => show(s, keep.as_deref_mut(), false, &bytes),
            StreamFrame::Stderr(bytes) => show(s, keep.as_deref_mut(), true, &bytes),
            StreamFrame::Exit(_) | StreamFrame::Failed(_) => break,
            _ => continue,
        }
        seen = true;
    }
    seen
}

fn show(s: &mut Session, keep: Option<&mut Keep>, error: bool, bytes: &[u8]) {
    if error {
        s.out.error_bytes(bytes)
    } else {
        s.out.bytes(bytes)
    }
    if let Some(keep) = keep {
        keep.write(error, bytes);
    }
}

/// The status of an ended job.
fn status(job: Job) -> Outcome {
    match (job.state, job.exit) {
        (JobState::Done | JobState::Failed, Some(status)) => {
            Ok(Exit(u8::try_from(status).unwrap_or(u8::MAX)))
        }
        (JobState::Done, None) => Ok(Exit::DONE),
        (JobState::Cancelled, _) => {
            Err(Problem::new(Code::Conflict, format!("job {} was cancelled", job.id)))
        }
        _ => {
            let why = job.detail.unwrap_or_else(|| "it did not run".into());
            Err(Problem::new(Code::Error, format!("job {}: {why}", job.id)))
        }
    }
}

/// The directory of `--out`.
struct Keep {
    dir: PathBuf,
    out: std::fs::File,
    err: std::fs::File,
}

impl Keep {
    fn new(dir: &Path) -> Result<Self, Problem> {
        let make = || -> std::io::Result<Self> {
            std::fs::create_dir_all(dir)?;
            let out = std::fs::File::create(dir.join("stdout"))?;
            let err = std::fs::File::create(dir.join("stderr"))?;
            Ok(Self { dir: dir.to_owned(), out, err })
        };
        make().map_err(|e| cannot_write(dir, &e))
    }

    fn write(&mut self, error: bool, bytes: &[u8]) {
        let _ = if error { self.err.write_all(bytes) } else { self.out.write_all(bytes) };
    }

    fn job(&self, job: &Job) -> Result<(), Problem> {
        let path = self.dir.join("job.json");
        let bytes = serde_json::to_vec_pretty(job).unwrap_or_default();
        std::fs::write(&path, bytes).map_err(|e| cannot_write(&path, &e))
    }
}
