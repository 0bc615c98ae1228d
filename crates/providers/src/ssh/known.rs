//! The keys that servers are known by: pinned at first sight, in a file as OpenSSH's own (sshd(8), `known_hosts`).

use super::Server;
use lace_model::{Code, Problem};
use russh::keys::{HashAlg, PublicKey, known_hosts};
use std::path::{Path, PathBuf};

/// The file.
#[derive(Clone, Debug)]
pub struct KnownHosts(PathBuf);

impl KnownHosts {
    /// A file, which need not be there yet.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Is this the server's key? One that is seen for the first time is pinned: the answer is its fingerprint then.
    ///
    /// # Errors
    /// [`Code::HostKeyChanged`] where the server is known by other keys only, of whatever kind.
    pub fn check(&self, server: &Server, key: &PublicKey) -> Result<Option<String>, Problem> {
        self.readable()?;
        let known = known_hosts::known_host_keys_path(&server.host, server.port, &self.0);
        let known = known.map_err(|e| self.broken(&e))?;
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        if known.iter().any(|(_, pinned)| pinned.key_data() == key.key_data()) {
            return Ok(None);
        }
        if let Some((_, pinned)) = known.first() {
            return Err(self.changed(server, &fingerprint, &pinned.fingerprint(HashAlg::Sha256).to_string()));
        }
        self.make_private()?;
        known_hosts::learn_known_hosts_path(&server.host, server.port, key, &self.0)
            .map_err(|e| self.broken(&e))?;
        Ok(Some(fingerprint))
    }

    /// Forgets a server: the next key is pinned anew.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn forget(&self, server: &Server) -> Result<(), Problem> {
        let Ok(text) = std::fs::read_to_string(&self.0) else { return Ok(()) };
        let name = name(server);
        let kept = text.lines().filter(|line| line.split(' ').next() != Some(&name));
        let kept: String = kept.filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect();
        let beside = self.0.with_extension("new");
        let written = std::fs::write(&beside, kept).and_then(|()| std::fs::rename(&beside, &self.0));
        written.map_err(|e| self.broken(&e))
    }

    /// What cannot be read is not the same as nothing.
    fn readable(&self) -> Result<(), Problem> {
        match std::fs::File::open(&self.0) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(self.broken(&e)),
            _ => Ok(()),
        }
    }

    fn make_private(&self) -> Result<(), Problem> {
        use std::os::unix::fs::DirBuilderExt;
        let dir = self.0.parent().unwrap_or(Path::new("."));
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|e| self.broken(&e))
    }

    fn broken(&self, why: &dyn std::fmt::Display) -> Problem {
        Problem::new(Code::Error, format!("the keys of known servers in {}: {why}", self.0.display()))
    }

    fn changed(&self, server: &Server, now: &str, pinned: &str) -> Problem {
        let text = format!("{server} shows another host key than before: somebody may stand in between");
        let details = [format!("now     {now}"), format!("pinned  {pinned}")];
        Problem::new(Code::HostKeyChanged, text).details(details).hint(format!(
            "if the server was made anew (compare there: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub): \
             ssh-keygen -f {} -R '{}'",
            self.0.display(),
            name(server)
        ))
    }
}

/// As the file names it.
fn name(server: &Server) -> String {
    match server.port {
        22 => server.host.clone(),
        port => format!("[{}]:{port}", server.host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const TWO: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILIG2T/B0l0gaqj3puu510tu9N1OkQ4znY3LYuEm5zCF";

    #[test]
    fn a_key_is_pinned_at_first_sight_and_another_one_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let known = KnownHosts::at(dir.path().join("deep/known_hosts"));
        let [one, two] = [ONE, TWO].map(|text| text.parse::<PublicKey>().expect("a key"));
        for address in ["10.0.0.1", "10.0.0.1:2222", "[fd00::1]:22"] {
            let server = Server::at(address, "root").expect("a server");
            let seen = known.check(&server, &one).expect("new").expect("its fingerprint");
            assert!(seen.starts_with("SHA256:"), "{seen}");
            assert_eq!(known.check(&server, &one), Ok(None), "{address}");
            let refused = known.check(&server, &two).expect_err("another key");
            assert_eq!(refused.code, Code::HostKeyChanged);
            assert!(refused.details.concat().contains(&seen), "{refused:?}");
        }
        let server = Server::at("10.0.0.1", "root").expect("a server");
        known.forget(&server).expect("written");
        assert!(known.check(&server, &two).expect("new again").is_some());
        let other = Server::at("10.0.0.1:2222", "root").expect("a server");
        assert_eq!(known.check(&other, &one), Ok(None), "only that one is forgotten");
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_empty() {
        let dir = tempfile::tempdir().expect("a directory");
        let known = KnownHosts::at(dir.path().to_owned());
        let server = Server::at("10.0.0.1", "root").expect("a server");
        assert!(known.check(&server, &ONE.parse().expect("a key")).is_err());
    }
}
