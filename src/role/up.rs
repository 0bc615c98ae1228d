//! `lace up`: controller and agent of this machine, kept running.

use super::paths::State;
use super::process::Record;
use super::server::write_private;
use super::supervise::RoleProcess;
use super::{Failure, asked_to_end, ended};
use crate::command::UpArgs;
use lace_model::{Name, Span};
use lace_wire::api::TokenRequest;
use lace_wire::client::{Client, Endpoint};
use serde::{Deserialize, Serialize};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The controller has this long to answer for the first time.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);
/// This machine has this long to join.
const JOINS_WITHIN: Duration = Duration::from_secs(20);

/// How an installation was started: `lace down` and the next `lace up` read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The API.
    pub listen: SocketAddr,
    /// The agents' link.
    pub link: SocketAddr,
    /// The private space.
    pub space: String,
    /// Short name of the installation, for interfaces, cgroups and tables.
    pub label: String,
}

impl Settings {
    fn new(args: &UpArgs, state: &State) -> Result<Self, Failure> {
        let listen: SocketAddr =
            args.listen.parse().map_err(|_| format!("--listen {}: write ADDRESS:PORT", args.listen))?;
        let link = match &args.link {
            Some(text) => text.parse().map_err(|_| format!("--link {text}: write ADDRESS:PORT"))?,
            None => SocketAddr::new(listen.ip(), listen.port() + 1),
        };
        // The state's path names the installation on this machine: two of them never share a name.
        let label =
            lace_model::Digest::of(state.dir().as_os_str().as_encoded_bytes()).short()[..6].to_owned();
        Ok(Self { listen, link, space: args.space.clone(), label })
    }

    /// As the last `lace up` wrote them.
    pub fn read(state: &State) -> Option<Self> {
        serde_json::from_slice(&fs::read(state.settings()).ok()?).ok()
    }

    /// The API's address.
    pub fn url(&self) -> String {
        let scheme = if self.listen.ip().is_loopback() { "http" } else { "https" };
        format!("{scheme}://{}", self.listen)
    }
}

/// Runs the command.
pub fn main(args: UpArgs) -> ExitCode {
    if !rustix::process::geteuid().is_root() {
        eprintln!("error: lace up makes namespaces, so it needs root");
        eprintln!("  hint: type `sudo lace up`");
        return ExitCode::FAILURE;
    }
    lace_wire::install_crypto();
    let state = State::new(args.state.as_deref());
    if args.detach {
        return ended("up", detach(&args, &state));
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return ended("up", Err(e.into())),
    };
    ended("up", runtime.block_on(up(args, state)))
}

async fn up(args: UpArgs, state: State) -> Result<(), Failure> {
    let settings = Settings::new(&args, &state)?;
    refuse_second(&state)?;
    fs::create_dir_all(state.run())?;
    // Nodes' roots lie below, and their ids must pass through; nobody but root may look around.
    fs::set_permissions(state.dir(), fs::Permissions::from_mode(0o711))?;
    Record::of(std::process::id() as i32)
        .ok_or("this process cannot be read in /proc")?
        .write(&state.run(), "up")?;
    fs::write(state.settings(), serde_json::to_vec_pretty(&settings)?)?;
    let (end, ending) = watch::channel(false);
    let mut roles = tokio::task::JoinSet::new();
    let keep = |role: RoleProcess, roles: &mut tokio::task::JoinSet<Result<(), Failure>>| {
        role.end_former();
        roles.spawn(role.keep(ending.clone()));
    };
    keep(server_role(&settings, &state), &mut roles);
    let outcome = tokio::select! {
        outcome = async {
            let client = answers(&settings, &state).await?;
            ask_to_join(&client, &state).await?;
            keep(agent_role(&settings, &state)?, &mut roles);
            let gateway = joined(&client).await?;
            keep(net_role(&settings, &state, gateway), &mut roles);
            greet(&settings, &state)?;
            std::future::pending::<Result<(), Failure>>().await
        } => outcome,
        () = asked_to_end() => Ok(()),
    };
    let _ = end.send(true);
    while let Some(role) = roles.join_next().await {
        role??;
    }
    let _ = fs::remove_file(state.run().join("ready"));
    if outcome.is_ok() {
        eprintln!(
            "controller and agent ended; nodes go on running. `lace up` picks them up again, `lace down` ends them."
        );
    }
    outcome
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

fn words(state: &State, more: &[(&str, String)]) -> Vec<String> {
    let mut words = vec!["--state".to_owned(), state.dir().display().to_string()];
    for (flag, value) in more {
        words.extend([(*flag).to_owned(), value.clone()]);
    }
    words
}

fn server_role(settings: &Settings, state: &State) -> RoleProcess {
    let more = [
        ("--listen", settings.listen.to_string()),
        ("--link", settings.link.to_string()),
        ("--space", settings.space.clone()),
    ];
    RoleProcess { name: "server", words: words(state, &more), run: state.run() }
}

fn agent_role(settings: &Settings, state: &State) -> Result<RoleProcess, Failure> {
    let more = [
        ("--controller", settings.link.to_string()),
        ("--ca", state.authority().join("ca.pem").display().to_string()),
        ("--token-file", state.join_token().display().to_string()),
        ("--name", host_name()?.to_string()),
        ("--label", settings.label.clone()),
        ("--space", settings.space.clone()),
    ];
    Ok(RoleProcess { name: "agent", words: words(state, &more), run: state.run() })
}

fn net_role(settings: &Settings, state: &State, gateway: std::net::Ipv4Addr) -> RoleProcess {
    let more = [("--listen", format!("{gateway}:53")), ("--space", settings.space.clone())];
    RoleProcess { name: "net", words: words(state, &more), run: state.run() }
}

/// This machine's host name as a name of ours.
fn host_name() -> Result<Name, Failure> {
    let node = rustix::system::uname().nodename().to_string_lossy().to_lowercase();
    let first = node.split('.').next().unwrap_or_default();
    let kept: String = first.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(39).collect();
    Ok(Name::new(kept.trim_matches('-')).or_else(|_| Name::new("this-machine"))?)
}

async fn answers(settings: &Settings, state: &State) -> Result<Client, Failure> {
    let until = Instant::now() + ANSWERS_WITHIN;
    loop {
        if let Ok(token) = fs::read_to_string(state.admin_token()) {
            let ca = fs::read_to_string(state.authority().join("ca.pem")).ok();
            let endpoint = Endpoint { url: settings.url(), token: Some(token.trim().into()), ca };
            let client = Client::new(&endpoint)?;
            if client.server().await.is_ok() {
                crate::command::context::save_local(&endpoint)?;
                return Ok(client);
            }
        }
        if Instant::now() > until {
            let log = server_role(settings, state).log();
            return Err(format!(
                "the controller does not answer at {}; its log: {}",
                settings.url(),
                log.display()
            )
            .into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
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
async fn joined(client: &Client) -> Result<std::net::Ipv4Addr, Failure> {
    let until = Instant::now() + JOINS_WITHIN;
    loop {
        let hosts = client.hosts().await?;
        let here = hosts.iter().find(|h| h.liveness.connected);
        if let Some(block) = here.and_then(|h| h.host.blocks.first()) {
            return Ok(block.gateway());
        }
        if Instant::now() > until {
            return Err("this machine's agent did not join; see run/agent.log in the state directory".into());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn greet(settings: &Settings, state: &State) -> Result<(), Failure> {
    let login = fs::read_to_string(state.login_token())?;
    let url = settings.url();
    let text = format!(
        "lace is up at {url}\n\
         log in once at {url}/login?token={}\n\n\
         next:\n  \
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
    refuse_second(state)?;
    fs::create_dir_all(state.run())?;
    let ready = state.run().join("ready");
    let _ = fs::remove_file(&ready);
    let log_path = state.run().join("up.log");
    let log = fs::File::create(&log_path)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["up", "--listen", &args.listen, "--space", &args.space]).arg("--state").arg(state.dir());
    if let Some(link) = &args.link {
        command.args(["--link", link]);
    }
    let mut child =
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
    let until = Instant::now() + ANSWERS_WITHIN + JOINS_WITHIN;
    loop {
        if let Ok(text) = fs::read_to_string(&ready) {
            return print_out(&text);
        }
        if let Some(status) = child.try_wait()? {
            let said = fs::read_to_string(&log_path).unwrap_or_default();
            return Err(format!("it did not come up ({status}): {}", said.trim()).into());
        }
        if Instant::now() > until {
            return Err(format!("it did not come up in time; its log: {}", log_path.display()).into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
