//! `lace up`: controller and agent of this machine, kept running.

use super::join::{self, Joined};
use super::paths::State;
use super::process::{Record, executable};
use super::server::write_private;
use super::settings::Settings;
use super::supervise::RoleProcess;
use super::{Failure, addresses, asked_to_end, ended, sudo, unit, usual_umask};
use crate::command::UpArgs;
use lace_edge::Store;
use lace_model::{Name, Span};
use lace_wire::api::TokenRequest;
use lace_wire::client::{Client, Endpoint};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The controller has this long to answer for the first time.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
/// This machine has this long to join.
const JOINS_WITHIN: Duration = Duration::from_secs(20);

/// Runs the command.
pub fn main(args: UpArgs) -> ExitCode {
    if args.unit {
        return ended("up", unit::print(&args, &State::of_root(args.state.as_deref())));
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("error: lace up makes namespaces, so it needs root");
        eprintln!("  hint: type `sudo lace up`");
        return ExitCode::FAILURE;
    }
    if args.background {
        // A session of its own: no terminal that closes takes it along.
        let _ = rustix::process::setsid();
    }
    lace_wire::install_crypto();
    usual_umask();
    let state = State::new(args.state.as_deref());
    let joined = match Joined::of(&args, &state) {
        Ok(joined) => joined,
        Err(failure) => return ended("up", Err(failure)),
    };
    if args.detach {
        return ended("up", detach(&args, &state));
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return ended("up", Err(e.into())),
    };
    let outcome = runtime.block_on(async {
        match joined {
            Some(joined) => up(joined, state, bring_up_host).await,
            None => up(Settings::new(&args, &state)?, state, bring_up).await,
        }
    });
    ended("up", outcome)
}

/// The roles that are kept running.
pub struct Keepers {
    tasks: JoinSet<()>,
    ending: watch::Receiver<bool>,
}

impl Keepers {
    /// Keeps one running; what an earlier supervisor left of it ends first.
    pub fn keep(&mut self, role: RoleProcess) {
        role.end_former();
        self.tasks.spawn(role.keep(self.ending.clone()));
    }

    /// Resolves when one ended by itself, which is a fault of ours.
    async fn fault(&mut self) -> Result<(), Failure> {
        match self.tasks.join_next().await {
            Some(Err(fault)) => Err(fault.into()),
            _ => Err("a role is no longer kept running".into()),
        }
    }
}

async fn up<S>(
    settings: S,
    state: State,
    bring_up: impl AsyncFn(&S, &State, &mut Keepers) -> Result<(), Failure>,
) -> Result<(), Failure> {
    refuse_second(&state)?;
    state.prepare()?;
    Record::of(std::process::id() as i32)
        .ok_or("this process cannot be read in /proc")?
        .write(&state.run(), "up")?;
    let (end, ending) = watch::channel(false);
    let mut keepers = Keepers { tasks: JoinSet::new(), ending };
    let outcome = tokio::select! {
        outcome = async {
            bring_up(&settings, &state, &mut keepers).await?;
            keepers.fault().await
        } => outcome,
        () = asked_to_end() => Ok(()),
    };
    let _ = end.send(true);
    while keepers.tasks.join_next().await.is_some() {}
    let _ = fs::remove_file(state.run().join("ready"));
    if outcome.is_ok() {
        eprintln!(
            "lace ended here; nodes go on running. `lace up` picks them up again, `lace down` ends them."
        );
    }
    outcome
}

async fn bring_up(settings: &Settings, state: &State, keepers: &mut Keepers) -> Result<(), Failure> {
    let (server, agent) = (server_role(settings, state), agent_role(settings, state)?);
    server.end_former();
    settings.can_listen()?;
    settings.has_room()?;
    settings.write(state)?;
    keepers.keep(server.clone());
    let endpoint = answers(settings, state, &server).await?;
    let client = Client::new(&endpoint)?;
    ask_to_join(&client, state).await?;
    keepers.keep(agent.clone());
    let gateway = joined(&client, &agent).await?;
    keepers.keep(net_role([settings.door, settings.door_tls], &settings.space, state, gateway));
    let context = settings.context(state);
    let chosen = crate::command::save_local(&context, &endpoint)?;
    if let Some(person) = sudo::Person::who_asks()
        && let Err(error) = person.keep(&context, &endpoint)
    {
        eprintln!("without sudo, commands do not find this controller yet: {error}");
    }
    greet(settings, state, (!chosen).then_some(context.as_str()))
}

fn refuse_second(state: &State) -> Result<(), Failure> {
    match Record::read(&state.run(), "up") {
        Some(other) => Err(format!(
            "lace is up already for {} (pid {}); `lace status` shows it, `lace down` ends it",
            state.dir().display(),
            other.pid
        )
        .into()),
        None => Ok(()),
    }
}

async fn bring_up_host(joined: &Joined, state: &State, keepers: &mut Keepers) -> Result<(), Failure> {
    let agent = role("agent", state, &joined.agent_words(state));
    agent.end_former();
    keepers.keep(agent.clone());
    let until = Instant::now() + JOINS_WITHIN;
    let identity = loop {
        if let Some(identity) = join::identity(state) {
            break identity;
        }
        let late = Instant::now() > until;
        if let Some(reason) = agent.gives_up().or(late.then(|| "it did not join in time".into())) {
            return Err(does_not_come_up("this machine's agent", &reason, &agent));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    let _ = fs::remove_file(state.join_token());
    keepers.keep(net_role(joined.doors(), &identity.space, state, identity.gateway()?));
    let text = format!(
        "this machine is a host of the controller at {}; `lace host list` shows it there\n",
        joined.controllers.join(", ")
    );
    write_private(&state.run().join("ready"), &text)?;
    print_out(&text)
}

fn words(state: &State, more: &[(&str, String)]) -> Vec<String> {
    let mut words = vec!["--state".to_owned(), state.dir().display().to_string()];
    for (flag, value) in more {
        words.extend([(*flag).to_owned(), value.clone()]);
    }
    words
}

fn role(name: &'static str, state: &State, more: &[(&str, String)]) -> RoleProcess {
    RoleProcess::new(name, words(state, more), state.run())
}

fn server_role(settings: &Settings, state: &State) -> RoleProcess {
    let mut more = vec![
        ("--listen", settings.listen.to_string()),
        ("--link", settings.link.to_string()),
        ("--space", settings.space.clone()),
    ];
    more.extend(settings.door.map(|door| ("--door", door.to_string())));
    more.extend(settings.door_tls.map(|door| ("--door-tls", door.to_string())));
    more.extend(settings.git.map(|git| ("--git", git.to_string())));
    role("server", state, &more)
}

fn agent_role(settings: &Settings, state: &State) -> Result<RoleProcess, Failure> {
    let mut more = vec![
        ("--controller", addresses::from_here(settings.link).to_string()),
        ("--ca", state.authority().join("ca.pem").display().to_string()),
        ("--token-file", state.join_token().display().to_string()),
        ("--name", host_name()?.to_string()),
        ("--label", settings.label.clone()),
        ("--space", settings.space.clone()),
    ];
    more.extend(settings.door.or(settings.door_tls).map(|door| ("--door", door.to_string())));
    Ok(role("agent", state, &more))
}

/// The door's socket is open before anybody is told that it is. Where somebody else has the address, `lace net` goes on
/// trying.
fn open(doors: [Option<SocketAddr>; 2]) -> Store {
    let sockets = Store::default();
    for (flag, address) in ["--door", "--door-tls"].into_iter().zip(doors) {
        if let Some(address) = address
            && let Err(error) = sockets.listen(address)
        {
            eprintln!(
                "the door at {address} is not open yet: {error}; `lace up {flag} ADDRESS:PORT` opens it elsewhere"
            );
        }
    }
    sockets
}

fn net_role(doors: [Option<SocketAddr>; 2], space: &str, state: &State, gateway: Ipv4Addr) -> RoleProcess {
    let mut more = vec![("--listen", format!("{gateway}:53")), ("--space", space.to_owned())];
    let flags = ["--door", "--door-tls"].into_iter().zip(doors);
    more.extend(flags.filter_map(|(flag, door)| Some((flag, door?.to_string()))));
    role("net", state, &more).keeping_sockets(open(doors))
}

/// This machine's host name as a name of ours.
pub fn host_name() -> Result<Name, Failure> {
    let node = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    let first = node.split('.').next().unwrap_or_default();
    let kept: String = first.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(39).collect();
    Ok(Name::new(kept.trim_matches('-')).or_else(|_| Name::new("this-machine"))?)
}

/// Waits until the controller answers root of this machine.
async fn answers(settings: &Settings, state: &State, server: &RoleProcess) -> Result<Endpoint, Failure> {
    let until = Instant::now() + ANSWERS_WITHIN;
    loop {
        if let Ok(token) = fs::read_to_string(state.admin_token()) {
            let ca = fs::read_to_string(state.authority().join("ca.pem")).ok();
            let endpoint = Endpoint { url: settings.url_here(), token: Some(token.trim().into()), ca };
            if Client::new(&endpoint)?.server().await.is_ok() {
                return Ok(endpoint);
            }
        }
        let late = Instant::now() > until;
        if let Some(reason) = server.gives_up().or(late.then(|| "it does not answer in time".into())) {
            return Err(does_not_come_up("the controller", &reason, server));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn does_not_come_up(who: &str, reason: &str, role: &RoleProcess) -> Failure {
    format!("{who} does not come up: {reason} (its log: {})", role.log().display()).into()
}

/// A join token for this machine's agent, unless it joined before.
async fn ask_to_join(client: &Client, state: &State) -> Result<(), Failure> {
    if state.agent().join("identity").exists() || state.join_token().exists() {
        return Ok(());
    }
    let request = TokenRequest {
        name: "this machine joins".into(),
        role: lace_model::token::Role::Viewer,
        apps: Vec::new(),
        expires_in: Some(Span::secs(3600)),
        join: true,
    };
    let made = client.token_create(&request).await?;
    Ok(write_private(&state.join_token(), &made.token)?)
}

/// Waits until this machine is a connected host; its gateway address is where DNS listens.
async fn joined(client: &Client, agent: &RoleProcess) -> Result<Ipv4Addr, Failure> {
    let until = Instant::now() + JOINS_WITHIN;
    loop {
        let hosts = client.hosts().await?;
        let here = hosts.iter().find(|h| h.liveness.connected);
        if let Some(block) = here.and_then(|h| h.host.blocks.first()) {
            return Ok(block.gateway());
        }
        let late = Instant::now() > until;
        if let Some(reason) = agent.gives_up().or(late.then(|| "it did not join in time".into())) {
            return Err(does_not_come_up("this machine's agent", &reason, agent));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn greet(settings: &Settings, state: &State, other_context: Option<&str>) -> Result<(), Failure> {
    let login = fs::read_to_string(state.login_token())?;
    let url = settings.url();
    let context = other_context.map_or(String::new(), |name| {
        format!("  lace context use {name}     let commands go to this controller\n")
    });
    let text = format!(
        "lace is up at {url}\n\
         log in once at {url}/login?token={}\n\n\
         next:\n{context}  \
         lace init && lace deploy     put the project in this directory to work\n  \
         lace status --watch          see what runs\n  \
         lace demo                    the whole story with a three-node Erlang cluster\n",
        login.trim()
    );
    let ready = state.run().join("ready");
    write_private(&ready, &text)?;
    print_out(&text)
}

fn print_out(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Starts `lace up` in the background and waits until it is ready.
fn detach(args: &UpArgs, state: &State) -> Result<(), Failure> {
    if Joined::read(state).is_none() {
        Settings::new(args, state)?;
    }
    refuse_second(state)?;
    state.prepare()?;
    let ready = state.run().join("ready");
    let _ = fs::remove_file(&ready);
    let log_path = state.run().join("up.log");
    let _ = fs::remove_file(&log_path);
    let log = fs::OpenOptions::new().append(true).create_new(true).mode(0o600).open(&log_path)?;
    // What it says on stdout is in `ready`, and the link that logs in belongs in no log.
    let mut command = Command::new(executable());
    command.args(background_words(args)).arg("--state").arg(state.dir());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?;
    let until = Instant::now() + ANSWERS_WITHIN + JOINS_WITHIN;
    loop {
        if let Ok(text) = fs::read_to_string(&ready) {
            return print_out(&text);
        }
        if let Some(status) = child.try_wait()? {
            let said = fs::read_to_string(&log_path).unwrap_or_default();
            let last = said.lines().rev().find_map(|line| line.strip_prefix("error: lace up: "));
            return Err(last
                .map_or_else(|| format!("it ended ({status}): {}", said.trim()), str::to_owned)
                .into());
        }
        if Instant::now() > until {
            return Err(format!("it did not come up in time; its log: {}", log_path.display()).into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn background_words(args: &UpArgs) -> Vec<String> {
    let mut words = said_words(args);
    words.push("--background".to_owned());
    words
}

/// `up`, and what was said of this installation; without the state directory.
pub fn said_words(args: &UpArgs) -> Vec<String> {
    let mut words = vec!["up".to_owned()];
    let said = [
        ("--listen", args.listen.map(|a| a.to_string())),
        ("--link", args.link.map(|a| a.to_string())),
        ("--space", args.space.clone()),
        ("--door", args.door.map(|door| door.to_string())),
        ("--door-tls", args.door_tls.map(|door| door.to_string())),
        ("--git", args.git.map(|git| git.to_string())),
    ];
    for (flag, value) in said {
        words.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
    }
    words
}
