//! Who typed `sudo lace up`: that person types `lace status` next, without sudo, so the context is theirs as well.
//!
//! Root never writes in a directory that is somebody else's (a link there could lead anywhere): the command line itself is
//! run as that person.

use super::Failure;
use super::process::executable;
use lace_wire::client::Endpoint;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A home directory that hangs holds nobody up for longer.
const WITHIN: Duration = Duration::from_secs(5);

/// A person who became root with sudo.
#[derive(Debug, PartialEq, Eq)]
pub struct Person {
    uid: u32,
    gid: u32,
    home: PathBuf,
}

impl Person {
    /// Who it is; nobody where root is root by itself, or where settings have a place of their own.
    pub fn who_asks() -> Option<Self> {
        if std::env::var_os("LACE_CONFIG_DIR").is_some_and(|dir| !dir.is_empty()) {
            return None;
        }
        let uid: u32 = std::env::var("SUDO_UID").ok()?.parse().ok()?;
        let entry = Command::new("getent").args(["passwd", &uid.to_string()]).output().ok()?;
        Self::read(&String::from_utf8_lossy(&entry.stdout)).filter(|person| person.uid == uid && uid != 0)
    }

    /// Reads a line of `/etc/passwd`.
    fn read(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.trim_end().split(':').collect();
        let [_, _, uid, gid, _, home, _] = fields[..] else { return None };
        Some(Self { uid: uid.parse().ok()?, gid: gid.parse().ok()?, home: home.into() })
            .filter(|person| person.home.is_absolute())
    }

    /// Gives the person a context of this machine's controller.
    pub fn keep(&self, name: &str, endpoint: &Endpoint) -> Result<(), Failure> {
        let mut words = vec!["context", "add", name, &endpoint.url];
        let authority =
            self.readable(endpoint.ca.as_deref().filter(|_| endpoint.url.starts_with("https:")))?;
        let path = authority.as_ref().map(|file| file.path().display().to_string());
        words.extend(path.iter().flat_map(|path| ["--ca", path]));
        self.run(&words, endpoint.token.as_deref().unwrap_or_default())
    }

    /// Takes it away again; none there is fine.
    pub fn forget(&self, name: &str) {
        let _ = self.run(&["context", "remove", name], "");
    }

    /// A file that the person may read as well: what everybody may know.
    fn readable(&self, text: Option<&str>) -> Result<Option<tempfile::NamedTempFile>, Failure> {
        let Some(text) = text else { return Ok(None) };
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(text.as_bytes())?;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
        Ok(Some(file))
    }

    fn run(&self, words: &[&str], input: &str) -> Result<(), Failure> {
        let mut command = Command::new(executable());
        command.args(words).env_clear().env("HOME", &self.home).current_dir("/");
        command
            .uid(self.uid)
            .gid(self.gid)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // Who ended before reading says why itself.
            let _ = stdin.write_all(input.as_bytes());
        }
        let until = Instant::now() + WITHIN;
        while child.try_wait()?.is_none() {
            if Instant::now() > until {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{} does not answer", self.home.display()).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let ended = child.wait_with_output()?;
        if ended.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&ended.stderr).trim().trim_start_matches("error: ").to_owned().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_passwd_is_a_person() {
        let ada = Person::read("ada:x:1000:1001:Ada,,,:/home/ada:/bin/bash\n").expect("a person");
        assert_eq!(ada, Person { uid: 1000, gid: 1001, home: "/home/ada".into() });
        for line in ["", "ada:x:1000", "ada:x:one:1001::/home/ada:/bin/sh", "ada:x:1000:1001:::/bin/sh"] {
            assert_eq!(Person::read(line), None, "{line}");
        }
    }
}
