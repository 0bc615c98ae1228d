//! Who may talk to whom: the whole state as a value, written to one nftables table.
//!
//! The table only judges packets of the private space; the host's other traffic passes untouched.
//! Changes go out as one atomic batch of `nft`, and only when the value changed.

mod others;
mod ports;
mod ruleset;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::cidr::Cidr;
use crate::error::{Error, Result};
pub(crate) use others::Others;
use ruleset::Ruleset;

/// Everything that the firewall of a machine has to know.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FirewallState {
    /// By name. Inside of an application everything is allowed; from elsewhere nothing is.
    pub applications: BTreeMap<String, Application>,
    /// Ports of nodes opened to others.
    pub open: Vec<OpenPort>,
    /// Ports of the machine itself, on its gateway address, that nodes may reach besides DNS.
    pub host_ports: Vec<HostPort>,
    /// Blocks of nodes on other hosts.
    pub ways: Vec<Way>,
    /// Nodes of this machine that are on its own network: whoever is not on it, too, reaches them as any other node. Among
    /// themselves, and towards the machine's other nodes, nothing can be judged.
    pub on_host: Vec<Ipv4Addr>,
}

/// A block of another host of the installation. Its own firewall judges what comes to its nodes; ours judges what comes
/// from them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Way {
    /// The interface that its packets come in by; from nowhere else are they believed.
    pub interface: String,
    /// The block.
    pub block: Cidr,
    /// The address that the other host itself speaks with, where it is in this block: its door reaches nodes here.
    pub host: Option<Ipv4Addr>,
}

/// The members of an application, on all hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Application {
    /// Addresses of its nodes.
    pub members: Vec<Ipv4Addr>,
    /// Those of them that may reach the outside (masqueraded).
    pub egress: Vec<Ipv4Addr>,
}

/// Transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A range of ports of one node, opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenPort {
    /// The node.
    pub address: Ipv4Addr,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// First port.
    pub first: u16,
    /// Last port, included.
    pub last: u16,
    /// Who may come.
    pub from: PortSource,
}

/// Who may come through an opened port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortSource {
    /// Everybody, also from outside of the space.
    Any,
    /// A block of addresses.
    Block(Cidr),
    /// The members of another application.
    Application(String),
}

/// A port of the machine itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostPort {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
}

/// The table of one installation.
pub(crate) struct Firewall {
    table: String,
    base: String,
    installation: String,
    links: String,
    /// Forwarding was off before installations of ours came.
    forwards_for_us_only: bool,
    /// What others do, as last seen.
    others: Option<Others>,
    /// What the table holds; unknown for one that was found.
    current: Option<Ruleset>,
    /// The state that it was made from.
    state: Option<FirewallState>,
}

impl Firewall {
    /// Makes the table. One that is there stays in force until the first state is known, which
    /// then replaces it in one transaction.
    pub fn open(
        installation: &str,
        space: Cidr,
        gateway: Ipv4Addr,
        forwards_for_us_only: bool,
    ) -> Result<Firewall> {
        let table = format!("lace-{installation}");
        let prefix = crate::network::prefix(installation);
        let base = ruleset::base(&table, space, gateway, &prefix);
        let found = exists(&table);
        if !found {
            nft(&base)?;
        }
        let mut firewall = Firewall {
            table,
            base,
            installation: installation.to_owned(),
            links: prefix,
            forwards_for_us_only,
            others: None,
            current: (!found).then(Ruleset::default),
            state: None,
        };
        firewall.keep_open()?;
        Ok(firewall)
    }

    /// Looks at the other firewalls of the host, which come and go and reload, and keeps nodes' packets passing there.
    /// Answers which chains had to be opened for that.
    pub fn keep_open(&mut self) -> Result<Vec<String>> {
        let others = Others::look()?;
        others.open(&self.installation, &self.links)?;
        if self.others.as_ref().map(|o| o.judge_forwards) != Some(others.judge_forwards) {
            let closed = self.forwards_for_us_only && !others.judge_forwards;
            nft(&ruleset::foreign(&self.table, closed))?;
        }
        let opened = others.closing.iter().map(ToString::to_string).collect();
        self.others = Some(others);
        Ok(opened)
    }

    /// Brings the table from the last state to this one.
    pub fn apply(&mut self, state: &FirewallState) -> Result<()> {
        if self.state.as_ref() == Some(state) {
            return Ok(());
        }
        let wanted = Ruleset::of(state);
        let batch = match &self.current {
            Some(current) => wanted.batch_from(current, &self.table),
            None => {
                let all = wanted.batch_from(&Ruleset::default(), &self.table);
                format!("{}{all}", self.base)
            }
        };
        if !batch.is_empty() {
            nft(&batch)?;
        }
        // The whole table was made anew.
        if self.current.replace(wanted).is_none() {
            self.others = None;
            self.keep_open()?;
        }
        self.state = Some(state.clone());
        Ok(())
    }

    /// Removes the table, and what was put into those of others.
    pub fn close(&mut self) -> Result<()> {
        Others::look()?.close(&self.installation)?;
        nft(&format!("table inet {0} {{}}\ndelete table inet {0}\n", self.table))
    }
}

fn exists(table: &str) -> bool {
    let mut command = Command::new("nft");
    command.args(["-t", "list", "table", "inet", table]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Asks nft for something as JSON.
fn ask(words: &[&str]) -> Result<serde_json::Value> {
    let failed = |e: String| Error::Firewall(format!("nft {}: {e}", words.join(" ")));
    let output = Command::new("nft").args(words).stdin(Stdio::null()).output();
    let output = output.map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    serde_json::from_slice(&output.stdout).map_err(|e| failed(e.to_string()))
}

fn nft(batch: &str) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let failed = |e: std::io::Error| Error::Firewall(format!("cannot run: {e}"));
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut pipe) = child.stdin.take() {
        pipe.write_all(batch.as_bytes()).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    match output.status.success() {
        true => Ok(()),
        false => Err(Error::Firewall(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}
