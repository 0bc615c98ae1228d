//! One push: git on this side, the pusher on the other, and in between the question whether it may come in.

use crate::session::Speaker;
use crate::spool::{HOOKS, SPOOL, Spool};
use crate::{CODE_BYTES_MAX, Enable, PUSH_BYTES_MAX, PUSH_WITHIN, Shared, Taken, repository};
use lace_machine::confined::{Confined, Group, Lifeline, tool};
use lace_model::push::PushKey;
use lace_model::{Code, Problem, ServicePath};
use russh::{ChannelMsg, ChannelReadHalf};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdin};

/// Where git sees the repository.
const REPOSITORY: &str = "/repository";
/// Memory of each of git's processes: it maps packs of the largest size several times over.
const MEMORY_BYTES_MAX: u64 = 2 << 30;
/// Memory of all of them together, with what of files is kept in it.
const MEMORY_TOGETHER_MAX: u64 = 1 << 30;
/// Processes of a push at a time: git, its hook, and what they run.
const PIDS_MAX: u32 = 64;
/// Processor time of each of git's processes, in seconds.
const CPU_SECONDS_MAX: u64 = 120;
/// Between two looks whether the hook reads its answer.
const READS_SOON: Duration = Duration::from_millis(10);
/// Most bytes of what is told to a pusher about one push.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// How git is told to behave, whatever a repository's own files may say (git-config(1)).
fn settings() -> [String; 18] {
    [
        format!("core.hooksPath={HOOKS}"),
        "core.attributesFile=/dev/null".into(),
        "receive.fsckObjects=true".into(),
        "receive.denyDeletes=true".into(),
        "receive.denyNonFastForwards=false".into(),
        "receive.advertisePushOptions=false".into(),
        format!("receive.maxInputSize={PUSH_BYTES_MAX}"),
        // Within the bounds of the push that makes it due. Nothing else writes there meanwhile, so what no branch has goes.
        "receive.autogc=true".into(),
        "gc.autoDetach=false".into(),
        "gc.auto=1000".into(),
        "gc.autoPackLimit=20".into(),
        "gc.pruneExpire=now".into(),
        "pack.windowMemory=64m".into(),
        "pack.deltaCacheSize=32m".into(),
        "pack.threads=1".into(),
        "core.packedGitLimit=256m".into(),
        "core.bigFileThreshold=32m".into(),
        "safe.directory=*".into(),
    ]
}

/// Runs one push to its end and gives its exit status.
///
/// # Errors
/// It does not begin; the pusher is told why.
pub(crate) async fn run(
    shared: &Shared,
    service: &ServicePath,
    (repository, key): (String, PushKey),
    from: ChannelReadHalf,
    to: &Speaker,
) -> Result<u32, Problem> {
    let failed = |e: std::io::Error| {
        tracing::warn!(error = %e, %service, "a push could not be taken");
        Problem::new(Code::Error, format!("the push to {service} cannot be taken"))
            .hint("the controller's log says why")
    };
    let git = tool("git").ok_or_else(|| {
        Problem::new(Code::Error, "git is not installed on the controller's machine")
            .hint("apt-get install git, there")
    })?;
    let push = unique();
    let (dir, of, named) = (shared.door.dir.clone(), service.clone(), push.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let repository = repository::open(&dir, &repository, &of, &named)?;
        Ok::<_, Problem>((repository, bounds(&dir, &named)))
    });
    let (repository, group) = opened.await.map_err(|e| failed(e.into()))??;
    let spool = Spool::make(&shared.door.dir, &push).map_err(failed)?;
    // Before git is there. Open for writing too, so that it has no end while nobody asks.
    let asked = spool.pipe("asked", OFlags::RDWR).and_then(pipe::Receiver::from_file).map_err(failed)?;
    let (mut child, _lifeline) =
        start(&shared.door.exe, &git, (&repository, &spool), group.as_ref()).map_err(failed)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feeding = tokio::spawn(feed(from, stdin));
    let told = async {
        let out = async { copy(stdout, to, false).await };
        let err = async { copy(stderr, to, true).await };
        tokio::join!(out, err);
    };
    let judged = judge(shared, service, key, (&spool, asked));
    let status = tokio::select! {
        ((), status) = async { tokio::join!(told, child.wait()) } => status,
        // It answers for as long as it is asked.
        never = judged => match never? {},
    };
    feeding.abort();
    if group.as_ref().is_some_and(Group::was_short) {
        let text =
            format!("the push to {service} took more than {} MiB of memory", MEMORY_TOGETHER_MAX >> 20);
        let problem = Problem::new(Code::TooLarge, text)
            .hint("keep large files out of the repository, and push fewer commits at a time");
        return Err(problem);
    }
    let status = status.map_err(failed)?.code().unwrap_or(1);
    Ok(u32::try_from(status).unwrap_or(1))
}

/// The name of the cgroups of a door's pushes: no other door has it.
pub fn group_prefix(dir: &Path) -> String {
    let digest = lace_model::Digest::of(dir.as_os_str().as_encoded_bytes()).to_string();
    format!("push-{}-", digest.chars().filter(char::is_ascii_hexdigit).take(12).collect::<String>())
}

/// Removes the bounds that pushes of a controller had which is gone.
pub fn forget_groups(dir: &Path) {
    Group::clear(&group_prefix(dir));
}

/// What a push may have as a whole. A host without cgroups has only the bounds of each process.
fn bounds(dir: &Path, push: &str) -> Option<Group> {
    let number = push.rsplit('-').next().unwrap_or(push);
    let group = Group::make(&format!("{}{number}", group_prefix(dir)), MEMORY_TOGETHER_MAX, PIDS_MAX);
    let group = group.inspect_err(|error| tracing::warn!(%error, "a push has no bounds as a whole"));
    group.ok().inspect(|group| {
        group.notes().iter().for_each(|note| tracing::warn!(note, "a push lacks a bound"));
    })
}

fn start(
    exe: &Path,
    git: &Path,
    (repository, spool): (&Path, &Spool),
    group: Option<&Group>,
) -> std::io::Result<(Child, Lifeline)> {
    let confined = Confined {
        own: vec![(repository.to_owned(), REPOSITORY.into()), (spool.dir.clone(), SPOOL.into())],
        shown: vec![(spool.hooks.clone(), HOOKS.into())],
        file_bytes_max: CODE_BYTES_MAX,
        memory_bytes_max: MEMORY_BYTES_MAX,
        cpu_seconds_max: CPU_SECONDS_MAX,
        within: Some(PUSH_WITHIN),
        groups: group.map(Group::dirs).unwrap_or_default(),
    };
    let (mut command, lifeline) = confined.command(exe, git)?;
    for setting in settings() {
        command.args(["-c", &setting]);
    }
    command.args(["receive-pack", REPOSITORY]);
    command.envs([
        ("PATH", "/usr/bin:/bin"),
        ("HOME", "/nonexistent"),
        ("LC_ALL", "C.UTF-8"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
    ]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = tokio::process::Command::from(command).kill_on_drop(true).spawn()?;
    Ok((child, lifeline))
}

/// No two pushes of this process have the same one; what another process left was swept away before.
fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}{}", crate::spool::mark(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// What the pusher sends, to git.
async fn feed(mut from: ChannelReadHalf, stdin: Option<ChildStdin>) {
    let Some(mut stdin) = stdin else { return };
    while let Some(message) = from.wait().await {
        match message {
            // Git ended early: its words say why.
            ChannelMsg::Data { data } if stdin.write_all(&data).await.is_err() => break,
            ChannelMsg::Data { .. } => {}
            ChannelMsg::Eof | ChannelMsg::Close => break,
            _ => {}
        }
    }
}

/// What git says, to the pusher.
async fn copy(from: Option<impl tokio::io::AsyncRead + Unpin>, to: &Speaker, as_error: bool) {
    let Some(mut from) = from else { return };
    let mut piece = vec![0; 32 << 10];
    loop {
        match from.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(n) => to.send(&piece[..n], as_error).await,
        }
    }
}

enum Never {}

/// Answers the hooks: whether the push may come in, then what becomes of it. A push asks for each once at most, and not at all
/// where nothing is new.
async fn judge(
    shared: &Shared,
    service: &ServicePath,
    key: PushKey,
    (spool, asked): (&Spool, pipe::Receiver),
) -> Result<Never, Problem> {
    let broken =
        |e: std::io::Error| Problem::new(Code::Error, format!("the push could not be looked at: {e}"));
    let mut lines = BufReader::new(asked).take(ANSWER_BYTES_MAX as u64).lines();
    let mut enables = None;
    while let Some(line) = lines.next_line().await.map_err(broken)? {
        let told = match (line.as_str(), enables.take()) {
            ("updated", Some(release)) => {
                let enable = Enable { service: service.clone(), key: key.clone(), release };
                Ok(shared.door.home.enable(enable).await)
            }
            ("updated", None) => Ok(Vec::new()),
            _ => let_in(shared, service, &key, spool).await.map(|taken| {
                enables = taken.enables;
                taken.lines
            }),
        };
        answer(spool, told).await.map_err(broken)?;
    }
    // Whoever asks on and on is no hook of ours.
    std::future::pending().await
}

/// Makes a release of what is pushed, or notes why not.
async fn let_in(
    shared: &Shared,
    service: &ServicePath,
    key: &PushKey,
    spool: &Spool,
) -> Result<Taken, Problem> {
    let taken = match spool.pushed(service, key.clone()) {
        Ok(pushed) => shared.door.home.take(pushed).await,
        Err(problem) => Err(problem),
    };
    taken.inspect_err(|problem| shared.door.home.refused(service, &key.key, problem))
}

async fn answer(spool: &Spool, taken: Result<Vec<String>, Problem>) -> std::io::Result<()> {
    let (verdict, lines) = match taken {
        Ok(lines) => ("yes", lines),
        Err(problem) => ("no", refusal(&problem)),
    };
    let mut text = format!("{verdict}\n");
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    while text.len() > ANSWER_BYTES_MAX {
        text.pop();
    }
    // What is written before the hook reads would be gone with our end of the pipe. It ends with its push, and so does this.
    let to = loop {
        match spool.pipe("answer", OFlags::WRONLY) {
            Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
                tokio::time::sleep(READS_SOON).await;
            }
            opened => break opened?,
        }
    };
    // Closed, the hook has read to the end.
    pipe::Sender::from_file(to)?.write_all(text.as_bytes()).await
}

/// A refusal as the pusher reads it.
pub(crate) fn refusal(problem: &Problem) -> Vec<String> {
    let mut lines = vec![format!("lace: {}", problem.message)];
    lines.extend(problem.details.iter().map(|line| format!("lace:   {line}")));
    lines.extend(problem.hint.iter().map(|hint| format!("lace: hint: {hint}")));
    lines
}
