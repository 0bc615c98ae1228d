//! Servers over SSH: `lace host add --address`, and the removal of such a host.
//!
//! The only room of the command line that speaks to anything but the API: the key stays with the person who has it, and
//! the controller never sees one.

mod bring;
mod kept;
mod login;
mod take;

pub use login::LoginArgs;
pub use take::remove;

use super::AddArgs;
use crate::command::output::Cell;
use crate::command::{Exit, Outcome, Session, context};
use bring::{Brought, Wanted, bring};
use futures::StreamExt;
use kept::{Kept, Servers};
use lace_model::{Code, Name, Problem, Span};
use lace_providers::ssh::{Binary, KnownHosts, Login, Server};
use lace_wire::api::{HostView, ServerInfo};
use lace_wire::client::Client;
use std::collections::BTreeSet;
use std::path::Path;
use tokio::sync::watch;

/// So many servers are worked on at once: each takes a copy of the binary over the same line.
const AT_ONCE: usize = 8;
/// Most servers in one command.
const SERVERS_MAX: usize = 1_000;
/// Who logs in where nobody is named.
const USER: &str = "root";

/// What the work on each server needs.
pub struct Means {
    client: Client,
    info: ServerInfo,
    binary: Binary,
    login: Login,
    known: KnownHosts,
    expires_in: Span,
    ended: watch::Receiver<bool>,
}

impl Means {
    /// Resolves when the person asks for the end.
    async fn cut_off(&self) {
        let mut ended = self.ended.clone();
        if ended.wait_for(|ended| *ended).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Makes servers hosts.
pub async fn add(s: &mut Session, args: AddArgs) -> Outcome {
    let wanted = wanted(s, &args)?;
    let client = s.client()?;
    let info = client.server().await?;
    let hosts = client.hosts().await?;
    let wanted = still_to_add(s, wanted, &hosts, &info.installation)?;
    let login = login::login(s, &args.login, None)?;
    let key = args.login.key.as_ref().map(|path| s.at(path));
    let known = KnownHosts::at(context::beside(&s.world, "known_hosts")?);
    let (end, ended) = watch::channel(false);
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            let _ = end.send(true);
        }
        std::future::pending::<()>().await;
    });
    let means =
        Means { client, info, binary: own_binary()?, login, known, expires_in: args.expires_in, ended };
    let is_one = args.from.is_none();
    let (mut brought, mut failed) = bring_all(s, &means, wanted, key.as_deref()).await?;
    brought.sort_by(|a, b| a.name.cmp(&b.name));
    failed.sort_by(|a, b| a.0.cmp(&b.0));
    match (brought.first(), failed.pop()) {
        (_, Some((_, problem))) if is_one => return Err(problem),
        (Some(one), None) if is_one => s.out.item(one, Brought::sentence),
        (_, last) => {
            s.out.list(&brought, &["name", "server", "copied", "systemd", "seconds"], row);
            failed.extend(last);
        }
    }
    if failed.is_empty() { Ok(Exit::DONE) } else { Err(in_all(&failed, brought.len())) }
}

fn row(brought: &Brought) -> Vec<Cell> {
    let yes = |is: bool| if is { "yes" } else { "no" }.into();
    let seconds = format!("{:.1}", brought.took_ms as f64 / 1_000.0);
    let Brought { name, server, copied, systemd, .. } = brought;
    vec![name.as_str().into(), server.as_str().into(), yes(*copied), yes(*systemd), seconds.into()]
}

/// Each failure with its reason and its remedy.
fn in_all(failed: &[(Name, Problem)], brought: usize) -> Problem {
    let codes: BTreeSet<Code> = failed.iter().map(|(_, problem)| problem.code).collect();
    let code = if codes.len() == 1 { failed[0].1.code } else { Code::Error };
    let lines = failed.iter().flat_map(|(name, problem)| {
        let details = problem.details.iter().map(|line| format!("    {line}"));
        let hint = problem.hint.iter().map(|hint| format!("    {hint}"));
        std::iter::once(format!("{name}: {problem}")).chain(details).chain(hint).collect::<Vec<_>>()
    });
    let text = format!("{} of {} servers are no hosts", failed.len(), failed.len() + brought);
    Problem::new(code, text)
        .details(lines)
        .hint("mend that and repeat the command: it leaves hosts as they are")
}

/// Works on several at once; what becomes a host is kept at once.
async fn bring_all(
    s: &mut Session,
    means: &Means,
    wanted: Vec<Wanted>,
    key: Option<&Path>,
) -> Result<(Vec<Brought>, Vec<(Name, Problem)>), Problem> {
    let (mut brought, mut failed) = (Vec::new(), Vec::new());
    let many = wanted.len() > 1;
    let each = futures::stream::iter(wanted).map(|one| async move { (bring(means, &one).await, one) });
    let mut each = std::pin::pin!(each.buffer_unordered(AT_ONCE));
    // One alone is told at the end.
    let progress = |s: &mut Session, line: String| {
        if many {
            s.out.note(line)
        }
    };
    while let Some((outcome, one)) = each.next().await {
        match outcome {
            Ok(host) => {
                let kept = kept(means, &one.server, key);
                Servers::change(&s.world, &means.info.installation, &one.name, Some(kept))?;
                progress(s, host.note());
                brought.push(host);
            }
            Err(problem) => {
                progress(s, format!("server {} is no host: {problem}", one.name));
                failed.push((one.name, problem));
            }
        }
    }
    Ok((brought, failed))
}

fn kept(means: &Means, server: &Server, key: Option<&Path>) -> Kept {
    Kept {
        address: server.host.clone(),
        port: server.port,
        user: server.user.clone(),
        key: key.map(Path::to_owned),
        digest: means.binary.digest.clone(),
    }
}

/// The servers of the command line, or of the file.
fn wanted(s: &Session, args: &AddArgs) -> Result<Vec<Wanted>, Problem> {
    let user = args.user.as_deref().unwrap_or(USER);
    let bad = |why: String| Problem::new(Code::Usage, why);
    if let (Some(name), Some(address)) = (&args.name, &args.address) {
        let server = Server::at(address, user).map_err(bad)?;
        return Ok(vec![Wanted { name: name.clone(), server }]);
    }
    let file = args.from.clone().unwrap_or_default();
    let all = of_file(&s.read_text(&file)?, user).map_err(|why| bad(format!("{}: {why}", file.display())))?;
    if all.is_empty() || all.len() > SERVERS_MAX {
        return Err(bad(format!("{} names {} servers", file.display(), all.len()))
            .hint(format!("from 1 to {SERVERS_MAX}, a line each: NAME ADDRESS[:PORT] [USER]")));
    }
    Ok(all)
}

/// `NAME ADDRESS[:PORT] [USER]` in each line; `#` begins a remark.
fn of_file(text: &str, user: &str) -> Result<Vec<Wanted>, String> {
    let mut all: Vec<Wanted> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.split('#').next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = |why: String| format!("line {number}: {why}");
        let (name, address, user) = match words[..] {
            [] => continue,
            [name, address] => (name, address, user),
            [name, address, user] => (name, address, user),
            _ => return Err(at("write NAME ADDRESS[:PORT] [USER]".into())),
        };
        let name = Name::new(name).map_err(|e| at(e.to_string()))?;
        if all.iter().any(|other| other.name == name) {
            return Err(at(format!("{name} is there twice")));
        }
        all.push(Wanted { name, server: Server::at(address, user).map_err(at)? });
    }
    Ok(all)
}

/// Those that are hosts already are left as they are; a name that another host has is refused.
fn still_to_add(
    s: &mut Session,
    wanted: Vec<Wanted>,
    hosts: &[HostView],
    installation: &str,
) -> Result<Vec<Wanted>, Problem> {
    let servers = Servers::load(&s.world)?;
    let mut left = Vec::new();
    for one in wanted {
        let is_host = hosts.iter().any(|view| view.host.name == one.name);
        let is_same = servers.get(installation, &one.name).is_some_and(|kept| kept.server() == one.server);
        match (is_host, is_same) {
            (false, _) => left.push(one),
            (true, true) => s.out.say(format!("host {} is there already: {}", one.name, one.server)),
            (true, false) => {
                return Err(Problem::new(Code::Conflict, format!("there is a host {} already", one.name))
                    .hint("give it another name; `lace host list` shows them"));
            }
        }
    }
    Ok(left)
}

/// This very program: what runs there is what is typed here.
fn own_binary() -> Result<Binary, Problem> {
    let own = Path::new("/proc/self/exe");
    let bytes = std::fs::read(own).map_err(|e| crate::command::session::cannot_read(own, &e))?;
    let cannot =
        |why: &str| Problem::new(Code::Error, format!("this program cannot be brought to servers: {why}"));
    let needs = lace_release::program(&bytes).ok_or_else(|| cannot("it cannot read itself"))?;
    Binary::pack(&bytes, needs.machine, needs.glibc).map_err(|e| cannot(&e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_servers_is_read_or_its_line_is_named() {
        let text = "# ours\n\na 10.0.0.1\nb 10.0.0.2:2222 ada # hers\n";
        let all = of_file(text, "root").expect("good");
        let told: Vec<_> = all.iter().map(|one| format!("{} {}", one.name, one.server)).collect();
        assert_eq!(told, ["a root@10.0.0.1", "b ada@10.0.0.2:2222"]);
        let cases =
            [("a", "line 1: write NAME"), ("a b c d", "line 1"), ("a b\n\na c", "line 3: a is there twice")];
        for (text, told) in cases.into_iter().chain([("A! b", "line 1"), ("a b:0", "line 1")]) {
            let why = of_file(text, "root").expect_err(text);
            assert!(why.starts_with(told), "{text}: {why}");
        }
    }

    #[test]
    fn failures_are_told_one_by_one() {
        let name = |text: &str| Name::new(text).expect("a name");
        let refused = Problem::new(Code::LoginRefused, "ada@a does not let us in").hint("add the key");
        let one = in_all(&[(name("a"), refused.clone())], 2);
        assert_eq!((one.code, one.message.as_str()), (Code::LoginRefused, "1 of 3 servers are no hosts"));
        assert_eq!(one.details, ["a: ada@a does not let us in", "    add the key"]);
        let full = Problem::new(Code::DiskFull, "b is full");
        assert_eq!(in_all(&[(name("a"), refused), (name("b"), full)], 0).code, Code::Error);
    }
}
