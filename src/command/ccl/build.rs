//! The one build of a CCL cluster: a job node that has the source in /app, runs the steps, and keeps what they made
//! until it was taken.

use super::super::run::{begun, deadline, is_over, still, until};
use super::super::session::cannot_write;
use super::super::source::scratch;
use super::super::upload::{Wish, upload};
use super::super::{Session, cp};
use super::config::Config;
use super::source;
use lace_model::job::{Job, JobState};
use lace_model::release::ReleaseKind;
use lace_model::revision::Limits;
use lace_model::{ByteSize, Code, CpuMillis, JobId, Name, Problem, TargetPath};
use lace_wire::api::{JobRequest, StreamAction, StreamOpen};
use lace_wire::client::Client;
use lace_wire::stream::StreamFrame;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a build may use.
const CPU: CpuMillis = CpuMillis(1_000);
const MEMORY: ByteSize = ByteSize::mib(768);
/// A build that says nothing for so long may have ended.
const QUIET: Duration = Duration::from_secs(1);
/// Begins the line that says where the release is.
const MADE: &str = "lace-ccl-made ";
/// That it was taken.
const TAKEN: &str = "/run/lace-ccl-taken";

/// Runs in /app; its words: where the release shall be (or nothing), then the steps. It waits at most ten minutes for
/// what it made to be taken.
const SCRIPT: &str = r#"
cd /app
output=$1
shift
for step in "$@"; do
    printf '== %s\n' "$step"
    sh -ec "$step" && status=0 || status=$?
    if [ "$status" -ne 0 ]; then
        printf 'the build step failed with status %s: %s\n' "$status" "$step" >&2
        exit "$status"
    fi
done
if [ -n "$output" ]; then
    if [ ! -e "$output" ]; then
        printf 'the build steps ended well without making %s (ccl_output)\n' "$output" >&2
        exit 1
    fi
    found=$output
else
    found=$(find . -type f -path '*/releases/start_erl.data' | sed 's,/releases/start_erl.data$,,')
    if [ -z "$found" ]; then
        printf 'the build steps made no release: nowhere is releases/start_erl.data. ccl_output says where else it is\n' >&2
        exit 1
    fi
    if [ "$(printf '%s\n' "$found" | wc -l)" -gt 1 ]; then
        printf 'the build steps made several releases: say by ccl_output which is meant\n%s\n' "$found" >&2
        exit 1
    fi
fi
# The last step may have ended within a line.
printf '\nlace-ccl-made %s\n' "$(readlink -f -- "$found")"
left=3000
while [ ! -e /run/lace-ccl-taken ]; do
    left=$((left - 1))
    if [ "$left" -eq 0 ]; then
        printf 'nobody took the release within ten minutes\n' >&2
        exit 1
    fi
    sleep 0.2
done
"#;

/// What was built; gone when dropped.
pub struct Built {
    /// The release's directory.
    pub path: PathBuf,
    _dir: TempDir,
}

/// Steps that would start what they made: starting is ours, on every node.
fn starts(step: &str) -> bool {
    let verbs = ["start", "console", "foreground", "daemon", "start_all"];
    let words: Vec<&str> = step.split_whitespace().collect();
    words.len() > 1 && words.last().is_some_and(|last| verbs.contains(last))
}

/// A step without what would start the release, and that part.
fn parted(step: &str) -> (Option<String>, Option<String>) {
    // What is quoted is not taken apart.
    if step.contains(['"', '\'', '\\', '`', '$']) {
        return if starts(step) { (None, Some(step.to_owned())) } else { (Some(step.to_owned()), None) };
    }
    let spaced = step.replace(';', " ; ").replace("&&", " \u{1} ").replace('&', " & ").replace('\u{1}', "&&");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let is_between = |word: &&str| ["&&", "||", ";", "&", "|"].contains(word);
    let (mut begin, mut before) = (0, 0);
    for segment in words.split(is_between) {
        if starts(&segment.join(" ")) {
            let kept = words[..before].join(" ");
            return (Some(kept).filter(|kept| !kept.is_empty()), Some(words[begin..].join(" ")));
        }
        before = begin + segment.len();
        begin = before + 1;
    }
    (Some(step.to_owned()), None)
}

/// Sends the source, builds it, and brings the release here.
pub async fn run(s: &mut Session, config: &Config, near: &Path) -> Result<Built, Problem> {
    let source = source::bring(s, config, near).await?;
    let at = source.commit.as_deref().map(|commit| format!(" at {}", &commit[..commit.len().min(12)]));
    s.out.note(format!("source: {}{}", config.url, at.unwrap_or_default()));
    let (kept, left_out): (Vec<_>, Vec<_>) = config.steps.iter().map(|step| parted(step)).unzip();
    let steps = kept.into_iter().flatten();
    for step in left_out.into_iter().flatten() {
        s.out.note(format!("left out of the build, for Lace starts it on every node: {step}"));
    }
    let client = s.watching_client()?;
    match client.app_create(&config.name).await {
        Err(problem) if problem.code != Code::Conflict => return Err(problem),
        _ => {}
    }
    let sent = upload(s, &source.path, of_source(config)?).await?;
    let mut command: Vec<String> = ["sh", "-c", SCRIPT, "lace-ccl-build"].map(str::to_owned).into();
    command.push(config.output.clone().unwrap_or_default());
    command.extend(steps);
    let request = JobRequest {
        target: TargetPath { app: config.name.clone(), service: None, family: None, index: None },
        command,
        env: BTreeMap::from([("LC_ALL".to_owned(), "C.UTF-8".to_owned())]),
        limits: Some(Limits { cpu: CPU, memory: MEMORY, ..Limits::default() }),
        release: Some(format!("{}@{}", sent.name, sent.version)),
    };
    let job = client.job_create(&request).await?;
    s.out.note(format!("build: job {}; its output stays: lace job logs {}", job.id, job.id));
    take(s, &client, job).await
}

fn of_source(config: &Config) -> Result<Wish, Problem> {
    let name: String = format!("{}-source", config.name).chars().rev().take(39).collect();
    let name: String = name.chars().rev().skip_while(|c| !c.is_ascii_lowercase()).collect();
    let name = Name::new(name).map_err(|e| Problem::new(Code::Usage, e.to_string()))?;
    let start = Some(vec!["true".to_owned()]);
    Ok(Wish { name: Some(name), kind: Some(ReleaseKind::Generic), start, ..Wish::default() })
}

async fn take(s: &mut Session, client: &Client, job: Job) -> Result<Built, Problem> {
    let deadline = deadline(s);
    let id = begun(s, client, job, deadline).await?.id;
    let made = watch(s, client, id, deadline).await?;
    let Some(made) = made else {
        return Err(failed(until(client, job_of(client, id).await?, deadline, is_over).await?));
    };
    let dir = scratch()?;
    let path = dir.path().join("release");
    let copied = cp::out_of(s, format!("job:{id}"), &made, path.clone()).await;
    let target = format!("job:{id}");
    let argv = vec!["touch".to_owned(), TAKEN.to_owned()];
    let action = StreamAction::Exec { argv, env: BTreeMap::new(), terminal: None, stdin: false };
    let mut taken = client.open(&StreamOpen { target, action }).await?;
    while let Some(frame) = taken.from.recv().await {
        if matches!(frame, StreamFrame::Exit(_) | StreamFrame::Failed(_)) {
            break;
        }
    }
    copied?;
    std::fs::metadata(&path).map_err(|e| cannot_write(&path, &e))?;
    Ok(Built { path, _dir: dir })
}

async fn job_of(client: &Client, id: JobId) -> Result<Job, Problem> {
    client.job(id, Duration::ZERO).await
}

/// Shows what the steps say, up to the line that names the release; nothing where the job ends before.
async fn watch(
    s: &mut Session,
    client: &Client,
    id: JobId,
    deadline: Option<Instant>,
) -> Result<Option<String>, Problem> {
    let seen = lines(s, client, id);
    match deadline {
        None => seen.await,
        Some(deadline) => tokio::time::timeout_at(deadline.into(), seen).await.map_err(|_| still(id))?,
    }
}

async fn lines(s: &mut Session, client: &Client, id: JobId) -> Result<Option<String>, Problem> {
    let mut shown: usize = 0;
    loop {
        let action = StreamAction::Logs { since: None, until: None, tail: None, follow: true };
        let open = StreamOpen { target: format!("job:{id}"), action };
        let mut at = 0;
        if let Ok(mut stream) = client.open(&open).await {
            loop {
                let line = match tokio::time::timeout(QUIET, stream.from.recv()).await {
                    // A log that is kept says nothing of the end.
                    Err(_) if is_over(&job_of(client, id).await?) => return Ok(None),
                    Ok(Some(StreamFrame::Line(line))) => line,
                    Ok(None | Some(StreamFrame::Exit(_) | StreamFrame::Failed(_))) => break,
                    _ => continue,
                };
                at += 1;
                if let Some(path) = line.text.strip_prefix(MADE).filter(|_| !line.stderr) {
                    return Ok(Some(path.to_owned()));
                }
                // A stream that broke begins anew: what was shown is not shown again.
                if at > shown {
                    shown = at;
                    s.out.error_bytes(format!("{}\n", line.text).as_bytes());
                }
            }
        }
        if is_over(&job_of(client, id).await?) {
            return Ok(None);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn failed(job: Job) -> Problem {
    let id = job.id;
    let why = match (job.state, job.exit) {
        (JobState::Cancelled, _) => "was cancelled".to_owned(),
        (_, Some(status)) => format!("ended with status {status}"),
        _ => job.detail.unwrap_or_else(|| "did not run".to_owned()),
    };
    Problem::new(Code::Error, format!("the build, job {id}, {why}"))
        .details(job.last_lines)
        .hint(format!("its whole output: lace job logs {id}"))
}

#[cfg(test)]
mod tests {
    use super::{parted, starts};

    #[test]
    fn steps_that_start_are_known() {
        for (step, expected) in [
            ("make start", true),
            ("rel/m8ball/bin/m8ball start", true),
            ("make", false),
            ("make rel", false),
            ("start", false),
            ("./restart me", false),
        ] {
            assert_eq!(starts(step), expected, "{step}");
        }
        for (step, kept, left_out) in [
            ("make rel && rel/x/bin/x start", Some("make rel"), Some("rel/x/bin/x start")),
            ("make;bin/x start; sleep 5", Some("make"), Some("bin/x start ; sleep 5")),
            ("bin/x start &", None, Some("bin/x start &")),
            ("make all  && ls", Some("make all  && ls"), None),
            ("echo \"a; b start\"", Some("echo \"a; b start\""), None),
        ] {
            let found = parted(step);
            assert_eq!((found.0.as_deref(), found.1.as_deref()), (kept, left_out), "{step}");
        }
    }
}
