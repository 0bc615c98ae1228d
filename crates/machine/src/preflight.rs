//! What a host has and lacks for running nodes, and how to change it.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cgroup::{Controller, Layout};
use crate::firewall::Others;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Good,
    /// Works, with less.
    Warning,
    /// Nodes cannot start.
    Error,
}

/// One thing looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub value: String,
    /// What to do; empty when good.
    pub remedy: String,
}

fn finding(what: &str, level: Level, value: impl Into<String>, remedy: &str) -> Finding {
    Finding {
        what: what.to_owned(),
        level,
        value: value.into(),
        remedy: if level == Level::Good { String::new() } else { remedy.to_owned() },
    }
}

fn good_or(bad: Level, good: bool) -> Level {
    if good { Level::Good } else { bad }
}

/// Kernel settings that many nodes need more of: (file, least value).
const RAISED: [(&str, u64); 6] = [
    ("/proc/sys/fs/inotify/max_user_instances", 8192),
    ("/proc/sys/fs/inotify/max_user_watches", 1_048_576),
    ("/proc/sys/kernel/pid_max", 262_144),
    ("/proc/sys/net/ipv4/neigh/default/gc_thresh3", 16_384),
    ("/proc/sys/net/netfilter/nf_conntrack_max", 262_144),
    ("/proc/sys/kernel/keys/maxkeys", 2000),
];

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
/// Tables of the iptables that came before nftables.
const LEGACY_TABLES: &str = "/proc/net/ip_tables_names";

/// Raises what sysctl allows; never lowers. What is refused shows in [`inspect`].
pub fn raise() {
    for (file, least) in RAISED {
        if number(file).is_some_and(|value| value < least) {
            let _ = fs::write(file, least.to_string());
        }
    }
}

/// Looks at everything.
pub fn inspect() -> Vec<Finding> {
    let mut findings = vec![rights(), kernel(), overlay(), user_namespaces(), nft(), open_files()];
    findings.extend([volumes(), disk(), forwarding()]);
    findings.extend(Others::look().ok().map(|others| other_firewalls(&others)));
    findings.extend(legacy_tables(&fs::read_to_string(LEGACY_TABLES).unwrap_or_default()));
    findings.extend(controllers());
    findings.extend(RAISED.iter().filter_map(setting));
    findings
}

fn number(file: &str) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn rights() -> Finding {
    let uid = crate::sys::euid();
    let level = good_or(Level::Error, uid == 0);
    finding("rights", level, format!("user id {uid}"), "run the agent as root")
}

fn kernel() -> Finding {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut parts = release.split(['.', '-']).map(|p| p.parse().unwrap_or(0));
    let version: (u32, u32) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    let level = good_or(Level::Error, version >= (5, 19));
    let remedy = "use Linux 5.19 or newer (idmapped layers below overlayfs)";
    finding("kernel", level, release.trim(), remedy)
}

fn overlay() -> Finding {
    let text = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let there = text.lines().any(|l| l.ends_with("\toverlay"));
    let value = if there { "present" } else { "absent" };
    finding("overlayfs", good_or(Level::Error, there), value, "modprobe overlay")
}

fn user_namespaces() -> Finding {
    let value = number("/proc/sys/user/max_user_namespaces").unwrap_or(0);
    let level = match value {
        0 => Level::Error,
        n => good_or(Level::Warning, n >= 1000),
    };
    let remedy = "sysctl user.max_user_namespaces=16384";
    finding("user namespaces", level, value.to_string(), remedy)
}

fn nft() -> Finding {
    let there = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"].iter().any(|p| Path::new(p).exists());
    let value = if there { "installed" } else { "absent" };
    finding("nft", good_or(Level::Error, there), value, "install the package nftables")
}

fn volumes() -> Finding {
    let hindrance = crate::volume::hindrance();
    let level = good_or(Level::Warning, hindrance.is_none());
    let value = hindrance.map_or("enforced".to_owned(), |why| format!("not enforced: {why}"));
    finding("sizes of volumes", level, value, "apt-get install e2fsprogs mount, and modprobe loop")
}

fn disk() -> Finding {
    finding("disk limits of nodes", Level::Good, "measured and told, not enforced", "")
}

fn forwarding() -> Finding {
    let on = number(FORWARDING) == Some(1);
    let may = fs::OpenOptions::new().write(true).open(FORWARDING).is_ok();
    let value = match (on, may) {
        (true, _) => "on",
        (false, true) => "off; switched on while an installation is up",
        (false, false) => "off, and may not be switched on",
    };
    finding("ip_forward", good_or(Level::Error, on || may), value, "sysctl net.ipv4.ip_forward=1")
}

fn other_firewalls(others: &Others) -> Finding {
    let names: Vec<_> = others.closing.iter().map(ToString::to_string).collect();
    let value = match names.is_empty() {
        true => "none drops what nodes send".to_owned(),
        false => format!("{} drop what they do not know", names.join(", ")),
    };
    let remedy = "nothing, while Lace is up: rules of ours at the heads of these chains let nodes' packets pass, and come \
                  back within seconds where that firewall is loaded again; to do without them, accept what is forwarded";
    finding("firewalls of others", good_or(Level::Warning, names.is_empty()), value, remedy)
}

/// Rules of the old iptables, which nft does not show. Their tables are listed one in a line.
fn legacy_tables(tables: &str) -> Option<Finding> {
    let names: Vec<_> = tables.lines().filter(|line| *line == "filter").collect();
    let value = "it has a filter table, which cannot be seen or opened from here";
    let remedy = "iptables-legacy -P FORWARD ACCEPT, or put its rules into nftables: \
                  update-alternatives --set iptables /usr/sbin/iptables-nft";
    (!names.is_empty()).then(|| finding("iptables-legacy", Level::Warning, value, remedy))
}

fn open_files() -> Finding {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the struct is valid for writing.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    let level = good_or(Level::Warning, limit.rlim_max >= 65_536);
    let remedy = "LimitNOFILE=1048576 in the agent's unit; packages that open many files need it";
    finding("open files", level, limit.rlim_max.to_string(), remedy)
}

fn controllers() -> Vec<Finding> {
    let layout = Layout::detect().unwrap_or_default();
    let find = |controller: Controller| {
        let place = layout.place(controller);
        let value = place.map_or("absent".into(), |p| p.path().display().to_string());
        let remedy = "enable the controller in the kernel or for this service (Delegate=yes)";
        let what = format!("cgroup {controller}");
        finding(&what, good_or(Level::Warning, place.is_some()), value, remedy)
    };
    [Controller::Cpu, Controller::Memory, Controller::Pids].map(find).to_vec()
}

fn setting((file, least): &(&str, u64)) -> Option<Finding> {
    let value = number(file)?;
    let name = file.trim_start_matches("/proc/sys/").replace('/', ".");
    let level = good_or(Level::Warning, value >= *least);
    let remedy = format!("sysctl {name}={least}");
    Some(finding(&name, level, value.to_string(), &remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_firewall_that_drops_is_named_with_its_chain() {
        let chain = |policy: &str| {
            let chain = json!({"family": "ip", "table": "filter", "name": "FORWARD", "type": "filter",
                "hook": "forward", "prio": 0, "policy": policy});
            other_firewalls(&Others::of(&json!({"nftables": [{"chain": chain}]})))
        };
        let found = chain("drop");
        assert_eq!(
            (found.level, found.value.as_str()),
            (Level::Warning, "ip filter FORWARD drop what they do not know")
        );
        assert!(found.remedy.contains("let nodes' packets pass"));
        assert_eq!(chain("accept").level, Level::Good);
    }

    #[test]
    fn old_tables_that_filter_are_named() {
        assert_eq!(legacy_tables("nat\n"), None);
        assert_eq!(legacy_tables("nat\nfilter\n").map(|f| f.level), Some(Level::Warning));
    }

    #[test]
    fn every_finding_that_is_not_good_says_what_to_do() {
        for found in inspect() {
            assert_eq!(found.level == Level::Good, found.remedy.is_empty(), "{found:?}");
        }
    }
}
