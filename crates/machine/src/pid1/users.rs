//! Names of users and groups, looked up in the node's own /etc.

use std::io::Read;

use crate::sys::step::{Step, StepError};

/// Who a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User id inside the node.
    pub uid: u32,
    /// Main group.
    pub gid: u32,
    /// Further groups.
    pub groups: Vec<u32>,
    /// For USER; the number where no name is known.
    pub name: String,
    /// For HOME.
    pub home: String,
}

/// Larger files are cut here, bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Resolves `user`, `user:group`, `uid` or `uid:gid`; root for none.
pub fn resolve(wanted: Option<&str>) -> Result<User, StepError> {
    let passwd = read("/etc/passwd");
    let group = read("/etc/group");
    find(wanted.unwrap_or("0"), &passwd, &group)
}

fn read(path: &str) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        // A broken file means no names; numbers go on working.
        let _ = file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).step(path);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn find(wanted: &str, passwd: &str, group: &str) -> Result<User, StepError> {
    let (user, wanted_group) = match wanted.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (wanted, None),
    };
    let row = passwd
        .lines()
        .map(fields)
        .find(|row| row.first() == Some(&user) || (is_number(user) && row.get(2) == Some(&user)));
    let unknown = || StepError::plain(format!("user {wanted}: not in the node's /etc/passwd"));
    let uid = number(row.as_ref().and_then(|r| r.get(2)), user).ok_or_else(unknown)?;
    let own_gid = number(row.as_ref().and_then(|r| r.get(3)), "0").unwrap_or(0);
    let gid = match wanted_group {
        None => own_gid,
        Some(name) => group_id(name, group)
            .ok_or_else(|| StepError::plain(format!("group {name}: not in /etc/group")))?,
    };
    let name = row.as_ref().map_or(user, |r| r[0]).to_owned();
    let home = row.as_ref().and_then(|r| r.get(5)).copied().unwrap_or("/");
    Ok(User { uid, gid, groups: memberships(&name, gid, group), home: home.to_owned(), name })
}

fn fields(line: &str) -> Vec<&str> {
    line.split(':').collect()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn number(field: Option<&&str>, fallback: &str) -> Option<u32> {
    field.copied().unwrap_or(fallback).parse().ok()
}

fn group_id(name: &str, group: &str) -> Option<u32> {
    let row = group.lines().map(fields).find(|r| r.first() == Some(&name));
    number(row.as_ref().and_then(|r| r.get(2)), name)
}

fn memberships(user: &str, gid: u32, group: &str) -> Vec<u32> {
    let of = |row: Vec<&str>| {
        let member = row.get(3)?.split(',').any(|name| name == user);
        member.then(|| row.get(2)?.parse().ok()).flatten()
    };
    let mut groups: Vec<u32> = group.lines().map(fields).filter_map(of).collect();
    groups.push(gid);
    groups.truncate(64);
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nweb:x:33:34::/var/www:/bin/false\n";
    const GROUP: &str = "root:x:0:\nweb:x:34:\nlogs:x:50:web,root\n";

    fn check(wanted: &str, expected: Option<(u32, u32, &[u32])>) {
        let found = find(wanted, PASSWD, GROUP).ok();
        let found = found.as_ref().map(|u| (u.uid, u.gid, u.groups.as_slice()));
        assert_eq!(found, expected, "{wanted}");
    }

    #[test]
    fn users_are_found_by_name_and_number() {
        check("root", Some((0, 0, &[50, 0])));
        check("web", Some((33, 34, &[50, 34])));
        check("33", Some((33, 34, &[50, 34])));
        check("web:logs", Some((33, 50, &[50, 50])));
        check("4000:4001", Some((4000, 4001, &[4001])));
        check("4000", Some((4000, 0, &[0])));
        check("nobody-here", None);
        check("web:none", None);
    }
}
