//! `lace host`: machines with our agent.

mod ssh;

use super::output::{Cell, ago};
use super::{Exit, Outcome, Session, confirm, watch};
use clap::{Args, Subcommand};
use lace_model::host::JoinTicket;
use lace_model::token::Role;
use lace_model::{ByteSize, CpuMillis, Name, Problem, Span};
use lace_wire::api::{HostRequest, HostView, TokenRequest};

/// Characters of an attribute that are shown.
const ATTRIBUTE_CHARS_MAX: usize = 64;

/// `lace host`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace host list")]
pub struct HostArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: HostVerb,
}

/// The verbs of `lace host`.
#[derive(Subcommand, Debug)]
pub enum HostVerb {
    /// List them
    #[command(after_help = "Example:\n  lace host list")]
    List,
    /// Show one
    #[command(after_help = "Example:\n  lace host show alpha")]
    Show {
        /// Its name
        name: Name,
    },
    /// Make a server a host over SSH; without --address, print a ticket: `lace up --join FILE` there
    #[command(after_help = ADD_EXAMPLE)]
    Add(AddArgs),
    /// Say which pool it belongs to
    #[command(after_help = "Example:\n  lace host set alpha --pool private")]
    Set {
        /// Its name
        name: Name,
        /// The pool; empty for none
        #[arg(long)]
        pool: String,
    },
    /// Move its nodes away and let no new ones come
    #[command(after_help = "Example:\n  lace host drain alpha")]
    Drain {
        /// Its name
        name: Name,
    },
    /// Let nodes come again
    #[command(after_help = "Example:\n  lace host undrain alpha")]
    Undrain {
        /// Its name
        name: Name,
    },
    /// Forget it; of a server that `host add --address` made a host nothing of lace is left
    #[command(after_help = "Example:\n  lace host remove alpha --force")]
    Remove {
        /// Its name
        name: Name,
        /// Even where it does not answer; names what was abandoned
        #[arg(long)]
        force: bool,
        /// How to log in at the server.
        #[command(flatten)]
        login: ssh::LoginArgs,
    },
}

const ADD_EXAMPLE: &str = "\
FILE of --from names a server in each line: NAME ADDRESS[:PORT] [USER]. The key of a server is pinned when it is first
seen, in known_hosts beside the contexts.

Example:
  lace host add beta --address 192.0.2.7 --user ada --key ~/.ssh/id_ed25519
  lace host add --from servers.txt
  lace host add gamma > gamma.ticket     (on gamma: lace up --detach --join gamma.ticket)";

/// `lace host add`.
#[derive(Args, Debug, Clone)]
#[command(group = clap::ArgGroup::new("server").args(["address", "from"]).multiple(false))]
pub struct AddArgs {
    /// What it shall be called
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    pub name: Option<Name>,
    /// The server's name or address: it becomes a host over SSH
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    pub address: Option<String>,
    /// Who logs in there: root, or a user who may use sudo without a password
    #[arg(long, requires = "server")]
    pub user: Option<String>,
    /// How to log in.
    #[command(flatten)]
    pub login: ssh::LoginArgs,
    /// Many servers at once, from a file
    #[arg(long, value_name = "FILE")]
    pub from: Option<std::path::PathBuf>,
    /// How long the ticket is good for
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub expires_in: Span,
}

/// Runs `lace host`.
pub async fn run(args: HostArgs, s: &mut Session) -> Outcome {
    let client = s.client()?;
    let accepted = match args.verb {
        HostVerb::List => return list(s).await,
        HostVerb::Show { name } => return show(s, &name).await,
        HostVerb::Add(args) => return add(s, args).await,
        HostVerb::Set { name, pool } => client.host_set(&name, &HostRequest { pool: Some(pool) }).await?,
        HostVerb::Drain { name } => {
            confirm::destructive(s, &format!("this moves all nodes away from {name}"))?;
            client.host_drain(&name).await?
        }
        HostVerb::Undrain { name } => client.host_undrain(&name).await?,
        HostVerb::Remove { name, force, login } => {
            confirm::destructive(s, &format!("this removes host {name}"))?;
            if let Some(exit) = ssh::remove(s, &name, force, &login).await? {
                return Ok(exit);
            }
            client.host_remove(&name, force).await?
        }
    };
    watch::accepted(s, accepted).await
}

async fn add(s: &mut Session, args: AddArgs) -> Outcome {
    match args {
        AddArgs { name: Some(name), address: None, from: None, expires_in, .. } => {
            print_ticket(s, name, expires_in).await
        }
        args => ssh::add(s, args).await,
    }
}

/// The ticket goes to stdout and nowhere else: whoever has it may join.
async fn print_ticket(s: &mut Session, name: Name, expires_in: Span) -> Outcome {
    let client = s.client()?;
    let server = client.server().await?;
    let request = TokenRequest {
        name: format!("host {name} joins"),
        role: Role::Viewer,
        apps: Vec::new(),
        expires_in: Some(expires_in),
        join: true,
    };
    let made = client.token_create(&request).await?;
    let ticket = JoinTicket {
        controllers: vec![server.agent_address],
        ca: server.authority,
        token: made.token,
        name: Some(name),
    };
    s.out.item(&ticket, |ticket| serde_json::to_string(ticket).unwrap_or_default());
    s.out.note(format!("good once, for {expires_in}; on the machine: lace up --detach --join FILE"));
    Ok(Exit::DONE)
}

async fn list(s: &mut Session) -> Outcome {
    let hosts = s.client()?.hosts().await?;
    let now = s.now();
    s.out.list(&hosts, &["name", "state", "nodes", "cpu", "memory", "disk", "seen", "agent"], |view| {
        let (host, room) = (&view.host, &view.host.capacity);
        vec![
            host.name.as_str().into(),
            state(view),
            format!("{}/{}", view.nodes, room.slots).into(),
            format!("{}/{}", CpuMillis(view.cpu_used), room.cpu).into(),
            format!("{}/{}", ByteSize(view.memory_used).human(), room.memory.human()).into(),
            disk(view),
            ago(now, view.liveness.last_seen).into(),
            host.agent_version.as_str().into(),
        ]
    });
    Ok(Exit::DONE)
}

fn state(view: &HostView) -> Cell {
    match (view.liveness.connected, view.host.removing, view.host.draining) {
        (false, ..) => Cell::bad("away"),
        (_, true, _) => Cell::faint("removing"),
        (_, _, true) => Cell::warning("draining"),
        _ => Cell::good("connected"),
    }
}

fn disk(view: &HostView) -> Cell {
    let permille = view.liveness.disk_used_permille;
    let text = format!("{} %", permille / 10);
    if permille >= 900 { Cell::bad(format!("{text} full")) } else { text.into() }
}

async fn show(s: &mut Session, name: &Name) -> Outcome {
    let hosts = s.client()?.hosts().await?;
    let view = hosts
        .into_iter()
        .find(|view| view.host.name == *name)
        .ok_or_else(|| Problem::not_found(format_args!("host {name}")).hint("lace host list"))?;
    s.out.item(&view, picture);
    Ok(Exit::DONE)
}

fn picture(view: &HostView) -> String {
    let (host, room) = (&view.host, &view.host.capacity);
    let blocks: Vec<String> = host.blocks.iter().map(|b| format!("{}/24", b.base)).collect();
    let mut text = format!(
        "name      {}\nid        {}\nstate     {}\nagent     {}\nnodes     {} of {}\n\
         cpu       {} of {} promised\nmemory    {} of {} promised\naddresses {}\n",
        host.name,
        host.id,
        state(view).paint(false),
        host.agent_version,
        view.nodes,
        room.slots,
        CpuMillis(view.cpu_used),
        room.cpu,
        ByteSize(view.memory_used).human(),
        room.memory.human(),
        blocks.join(" "),
    );
    if let Some(pool) = &host.pool {
        text.push_str(&format!("pool      {pool}\n"));
    }
    if let Some(network) = host.network() {
        text.push_str(&format!("network   {network}\n"));
    }
    for (key, value) in &host.attributes {
        text.push_str(&format!("  {key} = {}\n", shortened(value)));
    }
    text
}

/// A long list as its length and its first words; `--format json` has it whole.
fn shortened(value: &str) -> String {
    if value.chars().count() <= ATTRIBUTE_CHARS_MAX {
        return value.to_owned();
    }
    let mut words = value.split(',');
    let mut first = String::new();
    while let Some(word) = words.next().filter(|word| first.len() + word.len() < ATTRIBUTE_CHARS_MAX) {
        first.push_str(word);
        first.push_str(", ");
    }
    format!("{} in all: {first}…", value.split(',').count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_counted_and_cut_between_words() {
        assert_eq!(shortened("2.36"), "2.36");
        let programs: Vec<String> = (0..1_000).map(|n| format!("program-{n}")).collect();
        let text = shortened(&programs.join(","));
        assert!(text.starts_with("1000 in all: program-0, program-1, "), "{text}");
        assert!(text.ends_with(", …") && text.len() < 100, "{text}");
    }
}
