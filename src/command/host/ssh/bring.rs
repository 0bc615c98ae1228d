//! One server becomes a host, or is left as it was.

use super::Means;
use lace_model::host::JoinTicket;
use lace_model::token::Role;
use lace_model::{Code, Name, Problem, TokenId};
use lace_providers::ssh::{Connection, Facts, Server, look};
use lace_wire::api::TokenRequest;
use serde::Serialize;
use std::time::{Duration, Instant};

/// A host that joined has this long to be seen by its controller.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// How often the controller is asked.
const ASKED_EVERY: Duration = Duration::from_millis(250);

/// A server that shall become a host.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What it shall be called.
    pub name: Name,
    /// Where it is.
    pub server: Server,
}

/// A server that is a host now.
#[derive(Clone, Debug, Serialize)]
pub struct Brought {
    /// What it is called.
    pub name: Name,
    /// Where it is.
    pub server: String,
    /// Fingerprint of its key, where that was seen for the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
    /// Our binary there.
    pub binary: String,
    /// Whether it had to be copied.
    pub copied: bool,
    /// Whether systemd brings it up at every boot.
    pub systemd: bool,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

impl Brought {
    /// In the course of many.
    pub fn note(&self) -> String {
        let Self { name, server, took_ms, .. } = self;
        format!("host {name} has joined: {server}, {:.1} s", *took_ms as f64 / 1_000.0)
    }

    /// For people.
    pub fn sentence(&self) -> String {
        let mut text = self.note();
        if let Some(print) = &self.pinned {
            text.push_str(&format!("\n  its key {print} is pinned"));
        }
        text.push_str(&match self.systemd {
            true => "\n  systemd brings it up at every boot".to_owned(),
            false => format!("\n  it runs no systemd; after a boot, there: {} up --detach", self.binary),
        });
        text
    }
}

/// What was begun, and is to be undone where the rest does not succeed.
#[derive(Default)]
struct Begun {
    copied: bool,
    ticket: Option<TokenId>,
    joined: bool,
}

/// Makes a server a host.
pub async fn bring(means: &Means, wanted: &Wanted) -> Result<Brought, Problem> {
    let began = Instant::now();
    let (connection, welcome) = tokio::select! {
        opened = Connection::open(&wanted.server, &means.login, &means.known) => opened?,
        () = means.cut_off() => return Err(cut_off()),
    };
    let facts = look(&connection, &means.binary).await?;
    facts.fits(&wanted.server, &means.binary)?;
    let mut begun = Begun::default();
    let outcome = tokio::select! {
        outcome = install(means, wanted, (&connection, &facts), &mut begun) => outcome,
        () = means.cut_off() => Err(cut_off()),
    };
    if let Err(problem) = outcome {
        let left = undo(means, wanted, &connection, &begun).await;
        return Err(problem.details(left));
    }
    connection.close().await;
    Ok(Brought {
        name: wanted.name.clone(),
        server: wanted.server.to_string(),
        pinned: welcome.pinned,
        binary: format!("{}/lace", means.binary.place()),
        copied: begun.copied,
        systemd: facts.has_systemd,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

async fn install(
    means: &Means,
    wanted: &Wanted,
    (connection, facts): (&Connection, &Facts),
    begun: &mut Begun,
) -> Result<(), Problem> {
    begun.copied = !facts.has(&means.binary);
    connection.copy(&means.binary, facts).await?;
    connection.examine(&means.binary).await?;
    let (id, ticket) = ticket(means, &wanted.name).await?;
    begun.ticket = Some(id);
    begun.joined = true;
    connection.join(&means.binary, &ticket).await?;
    if facts.has_systemd {
        connection.keep_up(&means.binary).await?;
    }
    seen(means, wanted).await
}

/// Good once, and known to nobody but the server.
async fn ticket(means: &Means, name: &Name) -> Result<(TokenId, String), Problem> {
    let request = TokenRequest {
        name: format!("host {name} joins"),
        role: Role::Viewer,
        apps: Vec::new(),
        expires_in: Some(means.expires_in),
        join: true,
    };
    let made = means.client.token_create(&request).await?;
    let ticket = JoinTicket {
        controllers: vec![means.info.agent_address.clone()],
        ca: means.info.authority.clone(),
        token: made.token,
        name: Some(name.clone()),
    };
    let text = serde_json::to_string(&ticket).map_err(|e| Problem::new(Code::Error, e.to_string()))?;
    Ok((made.id, text))
}

async fn seen(means: &Means, wanted: &Wanted) -> Result<(), Problem> {
    let until = Instant::now() + SEEN_WITHIN;
    loop {
        let hosts = means.client.hosts().await?;
        if hosts.iter().any(|view| view.host.name == wanted.name && view.liveness.connected) {
            return Ok(());
        }
        if Instant::now() > until {
            let text = format!("{} has joined, and its controller does not see it", wanted.server);
            return Err(Problem::new(Code::NodeUnreachable, text)
                .hint(format!("it has to reach {} from there", means.info.agent_address)));
        }
        tokio::time::sleep(ASKED_EVERY).await;
    }
}

/// Takes back what was begun; says what could not be.
async fn undo(means: &Means, wanted: &Wanted, connection: &Connection, begun: &Begun) -> Vec<String> {
    let mut left = Vec::new();
    if begun.copied || begun.joined {
        let cleared = connection.clear(&means.binary.digest, false, begun.copied).await;
        if let Err(problem) = cleared {
            left.push(format!("not undone there: {problem}; {} may be left", means.binary.place()));
            left.extend(problem.details);
        }
    }
    if begun.joined {
        let gone = means.client.host_remove(&wanted.name, true).await;
        left.extend(in_the_way(gone.err(), &format!("host {} stays known", wanted.name)));
    }
    if let Some(id) = begun.ticket {
        let gone = means.client.token_remove(id).await;
        left.extend(in_the_way(gone.err(), "its ticket stays good until it ends"));
    }
    left
}

fn in_the_way(problem: Option<Problem>, left: &str) -> Option<String> {
    problem.filter(|problem| problem.code != Code::NotFound).map(|problem| format!("{left}: {problem}"))
}

fn cut_off() -> Problem {
    Problem::new(Code::Error, "it was asked to end; what was begun there is undone")
}
