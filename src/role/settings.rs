//! How an installation was started: `lace down` and the next `lace up` read it.

use super::paths::State;
use super::server::write_private;
use super::{Failure, Usage, addresses};
use crate::command::{LOCAL, UpArgs};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Where the API listens where nothing else was ever said.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7440);
/// The private space where nothing else was ever said.
const SPACE: &str = "10.192.0.0/10";

/// Where requests from outside come in where nothing else was ever said.
fn usual_door() -> Option<SocketAddr> {
    Some(SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7480))
}

/// Where encrypted requests come in beside a usual door; nowhere beside another one.
fn beside(door: SocketAddr) -> Option<SocketAddr> {
    let port = match door.port() {
        7480 => 7443,
        80 => 443,
        _ => return None,
    };
    Some(SocketAddr::new(door.ip(), port))
}

/// Where releases are pushed to beside the usual API; nowhere beside another one.
fn beside_api(listen: SocketAddr) -> Option<SocketAddr> {
    (listen.port() == LISTEN.port()).then(|| SocketAddr::new(listen.ip(), 7442))
}

/// How an installation was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The API.
    pub listen: SocketAddr,
    /// The agents' link.
    pub link: SocketAddr,
    /// Where requests from outside come in.
    #[serde(default = "usual_door")]
    pub door: Option<SocketAddr>,
    /// Where encrypted ones do.
    #[serde(default)]
    pub door_tls: Option<SocketAddr>,
    /// Where releases are pushed to by git.
    #[serde(default)]
    pub git: Option<SocketAddr>,
    /// The private space.
    pub space: String,
    /// Short name of the installation, for interfaces, cgroups and tables.
    pub label: String,
}

impl Settings {
    /// What is asked for, then what was said the last time, then the usual.
    pub fn new(args: &UpArgs, state: &State) -> Result<Self, Failure> {
        let last = Self::read(state);
        let listen = args.listen.or(last.as_ref().map(|l| l.listen)).unwrap_or(LISTEN);
        let link = match (args.link, &last) {
            (Some(link), _) => link,
            (None, Some(last)) if last.listen == listen => last.link,
            _ => SocketAddr::new(listen.ip(), after(listen)?),
        };
        let door = args.door.map_or_else(|| last.as_ref().map_or_else(usual_door, |l| l.door), |door| door.0);
        let door_tls = match (args.door_tls, args.door, &last) {
            (Some(said), ..) => said.0,
            (None, None, Some(last)) if last.door_tls.is_some() => last.door_tls,
            _ => door.and_then(beside),
        };
        let git = match (args.git, &last) {
            (Some(said), _) => said.0,
            (None, Some(last)) => last.git,
            (None, None) => beside_api(listen),
        };
        // Addresses that were given out come from it.
        let fixed = last.filter(|_| state.agent().join("identity").exists()).map(|last| last.space);
        let space = match (&args.space, fixed) {
            (Some(asked), Some(fixed)) if *asked != fixed => {
                let told =
                    format!("--space {asked}: the private space of {} is {fixed}", state.dir().display());
                return Err(Usage(format!("{told}; another one needs another --state")).into());
            }
            (asked, fixed) => asked.clone().or(fixed).unwrap_or_else(|| SPACE.into()),
        };
        // The state's path names the installation on this machine: two of them never share a name.
        let label =
            lace_model::Digest::of(state.dir().as_os_str().as_encoded_bytes()).short()[..6].to_owned();
        Ok(Self { listen, link, door, door_tls, git, space, label })
    }

    /// As the last `lace up` wrote them.
    pub fn read(state: &State) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(state.settings()).ok()?).ok()
    }

    /// Keeps them.
    pub fn write(&self, state: &State) -> Result<(), Failure> {
        Ok(write_private(&state.settings(), &serde_json::to_string_pretty(self)?)?)
    }

    /// Are the first addresses of the private space nobody's on this machine? Asked before anything is started.
    pub fn has_room(&self) -> Result<(), Failure> {
        let space: lace_machine::Cidr = self.space.parse()?;
        let first = lace_machine::Cidr::new(space.address(), 24)?;
        lace_machine::Machine::ensure_free(&self.label, &[first])
            .map_err(|e| Usage(format!("--space {}: {e}", self.space)).into())
    }

    /// Can the controller listen there? Asked before it is started, so that a "no" comes at once and with its reason.
    pub fn can_listen(&self) -> Result<(), Failure> {
        let git = self.git.map(|git| ("--git", git));
        for (flag, address) in [("--listen", self.listen), ("--link", self.link)].into_iter().chain(git) {
            TcpListener::bind(address).map_err(|e| {
                format!("cannot listen on {address}: {e}; choose another with {flag} ADDRESS:PORT")
            })?;
        }
        Ok(())
    }

    /// The API's address, for commands on this machine.
    pub fn url_here(&self) -> String {
        addresses::url(self.listen, addresses::from_here(self.listen))
    }

    /// The API's address, for people.
    pub fn url(&self) -> String {
        addresses::url(self.listen, addresses::from_elsewhere(self.listen))
    }

    /// The context that commands on this machine find it under.
    pub fn context(&self, state: &State) -> String {
        if state.dir() == State::new(None).dir() { LOCAL.into() } else { format!("{LOCAL}-{}", self.label) }
    }
}

fn after(listen: SocketAddr) -> Result<u16, Usage> {
    let next = listen.port().checked_add(1);
    next.ok_or_else(|| {
        Usage(format!("--listen {listen}: no port comes after it; name the agents' with --link"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> UpArgs {
        use clap::Parser;
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            up: UpArgs,
        }
        Line::try_parse_from(std::iter::once(&"up").chain(words)).expect("words").up
    }

    #[test]
    fn the_usual_door_is_the_promised_one() {
        let dir = tempfile::tempdir().expect("directory");
        let state = State::new(dir.path().to_str());
        let settings = Settings::new(&args(&[]), &state).expect("settings");
        assert_eq!(settings.door.map(|door| door.to_string()).as_deref(), Some("127.0.0.1:7480"));
        assert_eq!(settings.git.map(|git| git.to_string()).as_deref(), Some("127.0.0.1:7442"));
        let off = Settings::new(&args(&["--git", "off"]), &state).expect("settings");
        assert_eq!(off.git, None);
    }

    #[test]
    fn what_was_said_once_is_kept() {
        let dir = tempfile::tempdir().expect("directory");
        let state = State::new(dir.path().to_str());
        let new = |words: &[&str]| Settings::new(&args(words), &state).map_err(|e| e.to_string());
        let first = new(&["--door", "off", "--listen", "127.0.0.1:9000", "--space", "10.9.0.0/16"])
            .expect("settings");
        assert_eq!(first.link.port(), 9001);
        first.write(&state).expect("written");
        let again = new(&[]).expect("settings");
        assert_eq!((again.listen, again.link, again.door), (first.listen, first.link, None));
        assert_eq!((first.git, again.git), (None, None), "nowhere beside an API of its own place");
        assert_eq!(new(&["--space", "10.8.0.0/16"]).expect("nobody has an address yet").space, "10.8.0.0/16");
        std::fs::create_dir_all(state.agent().join("identity")).expect("joined");
        assert_eq!(new(&[]).expect("settings").space, "10.9.0.0/16");
        let refused = new(&["--space", "10.8.0.0/16"]).expect_err("addresses are given out");
        assert!(refused.contains("is 10.9.0.0/16"), "{refused}");
        assert!(new(&["--listen", "127.0.0.1:65535"]).expect_err("no port after it").contains("--link"));
        assert!(again.context(&state).starts_with("local-"), "another state is not `local`");
    }
}
