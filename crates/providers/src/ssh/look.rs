//! What a server is, asked before anything is brought there, and whether it can be a host.

use super::connection::Connection;
use super::run::Script;
use super::{Binary, STATE, Server};
use lace_model::{ByteSize, Code, Problem};
use std::time::Duration;

/// Room that a host wants beside its binary, in bytes.
const ROOM_BYTES_MIN: u64 = 64 << 20;
/// The questions have this long.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// Asks without changing anything. `$1` is the binary's directory, `$2` the state's.
const QUESTIONS: &str = "\
    echo \"system=$(uname -s)\"; echo \"machine=$(uname -m)\"; echo \"uid=$(id -u)\"; \
    if command -v sudo >/dev/null 2>&1; then \
      if sudo -n true >/dev/null 2>&1; then echo sudo=yes; else echo sudo=password; fi; fi; \
    echo \"glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null)\"; \
    for tool in sha256sum gzip mktemp grep; do command -v $tool >/dev/null 2>&1 || echo \"lacks=$tool\"; done; \
    room() { d=$1; while [ ! -d \"$d\" ]; do d=$(dirname \"$d\"); done; \
      df -Pk \"$d\" 2>/dev/null | tail -n 1 | while read -r a b c kib rest; do echo \"$kib\"; done; }; \
    echo \"place_kib=$(room \"$1\")\"; echo \"state_kib=$(room \"$2\")\"; \
    [ ! -r \"$1/lace\" ] || echo \"digest=$(sha256sum <\"$1/lace\" | cut -d' ' -f1)\"; \
    [ ! -e \"$2/up.json\" ] || echo controller=yes; \
    if [ -e \"$2/host.json\" ] || [ -n \"$(ls -A \"$2\" 2>/dev/null)\" ]; then echo state=yes; fi; \
    if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then echo systemd=yes; fi; \
    [ ! -e /etc/systemd/system/lace.service ] || echo unit=yes; true";

/// What a server said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `uname -s`.
    pub system: String,
    /// `uname -m`.
    pub machine: String,
    /// Whether it is root who logged in.
    pub is_root: bool,
    /// Whether root is had by sudo; nothing where there is no sudo.
    pub sudo: Option<bool>,
    /// Version of the glibc; nothing where there is another libc.
    pub glibc: Option<String>,
    /// Programs that are missing.
    pub lacks: Vec<String>,
    /// Free bytes where the binary goes; nothing where that is not known.
    pub place_free: Option<u64>,
    /// Free bytes where the state goes.
    pub state_free: Option<u64>,
    /// Digest of the binary that is in its place already.
    pub digest: Option<String>,
    /// A state of a host is there.
    pub has_state: bool,
    /// A controller is there.
    pub has_controller: bool,
    /// It is run by systemd.
    pub has_systemd: bool,
    /// A unit of our name is there.
    pub has_unit: bool,
}

/// Asks a server what it is.
///
/// # Errors
/// [`Code::ServerUnreachable`] where it does not answer.
pub async fn look(connection: &Connection, binary: &Binary) -> Result<Facts, Problem> {
    let place = binary.place();
    let words = [place.as_str(), STATE];
    let script =
        Script { deed: "say what it is", text: QUESTIONS, words: &words, input: b"", within: ANSWERS_WITHIN };
    let said = connection.run(&script).await?;
    Ok(Facts::read(&said.out))
}

impl Facts {
    fn read(text: &str) -> Self {
        let mut facts = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.trim().split_once('=')) {
            let bytes = || value.parse().ok().map(|kib: u64| kib.saturating_mul(1024));
            let yes = value == "yes";
            match key {
                "system" => facts.system = value.to_owned(),
                "machine" => facts.machine = value.to_owned(),
                "uid" => facts.is_root = value == "0",
                "sudo" => facts.sudo = Some(yes),
                "glibc" => facts.glibc = value.strip_prefix("glibc ").map(str::to_owned),
                "lacks" => facts.lacks.push(value.to_owned()),
                "place_kib" => facts.place_free = bytes(),
                "state_kib" => facts.state_free = bytes(),
                "digest" => facts.digest = Some(value.to_owned()),
                "state" => facts.has_state = yes,
                "controller" => facts.has_controller = yes,
                "systemd" => facts.has_systemd = yes,
                "unit" => facts.has_unit = yes,
                _ => {}
            }
        }
        facts
    }

    /// Is the binary there already?
    pub fn has(&self, binary: &Binary) -> bool {
        self.digest.as_ref() == Some(&binary.digest)
    }

    /// Can it be a host?
    ///
    /// # Errors
    /// What it lacks, and how to mend it: [`Code::ServerUnfit`], [`Code::DiskFull`] or [`Code::Conflict`].
    pub fn fits(&self, server: &Server, binary: &Binary) -> Result<(), Problem> {
        self.runs(server, binary)?;
        self.is_ours_to_change(server)?;
        self.is_free(server)?;
        let binary_bytes = if self.has(binary) { 0 } else { binary.size };
        has_room(server, super::PLACE, self.place_free, binary_bytes + ROOM_BYTES_MIN)?;
        has_room(server, STATE, self.state_free, ROOM_BYTES_MIN)
    }

    fn runs(&self, server: &Server, binary: &Binary) -> Result<(), Problem> {
        let system =
            if self.system.is_empty() { "something that does not say what it is" } else { &self.system };
        if system != "Linux" {
            return Err(unfit(server, &format!("runs {system}"), "hosts run Linux"));
        }
        if self.machine != binary.machine {
            let text = format!("is {}, and this lace is for {}", self.machine, binary.machine);
            let hint = format!("type the command with a lace that was built for {}", self.machine);
            return Err(unfit(server, &text, &hint));
        }
        let Some(needed) = &binary.glibc else { return Ok(()) };
        let build = "build lace there, or take a lace that was built on an older system or statically";
        match &self.glibc {
            None => Err(unfit(server, &format!("has no glibc, and this lace needs {needed}"), build)),
            Some(has) if numbers(has) < numbers(needed) => {
                Err(unfit(server, &format!("has glibc {has}, and this lace needs {needed}"), build))
            }
            Some(_) => Ok(()),
        }
    }

    fn is_ours_to_change(&self, server: &Server) -> Result<(), Problem> {
        if let Some(program) = self.lacks.first() {
            return Err(unfit(
                server,
                &format!("lacks the program {program}"),
                &format!("install {program} there"),
            ));
        }
        let hint = format!(
            "log in as root (--user root), or let {} become root there: \
             echo '{} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/lace",
            server.user, server.user
        );
        match (self.is_root, self.sudo) {
            (true, _) | (false, Some(true)) => Ok(()),
            (false, Some(false)) => Err(unfit(server, "wants a password for sudo", &hint)),
            (false, None) => Err(unfit(server, "has no sudo, and that user is not root", &hint)),
        }
    }

    fn is_free(&self, server: &Server) -> Result<(), Problem> {
        let there = |what: &str, hint: &str| {
            Err(Problem::new(Code::Conflict, format!("{server} {what} already")).hint(hint))
        };
        if self.has_controller {
            return there("has a controller", "it is a host of its own; `lace down` there ends it");
        }
        if self.has_state {
            let hint = format!(
                "`lace host remove NAME` of the controller that it belongs to takes it off; \
                 by hand there: lace down --erase, or remove {STATE} if nothing of it runs"
            );
            return there(&format!("is a host ({STATE} is there)"), &hint);
        }
        if self.has_unit {
            return there(
                "has a unit lace.service",
                "systemctl disable --now lace, and remove the unit there",
            );
        }
        Ok(())
    }
}

fn has_room(server: &Server, at: &str, free: Option<u64>, needed: u64) -> Result<(), Problem> {
    match free {
        Some(free) if free < needed => {
            let [free, needed] = [free, needed].map(|bytes| ByteSize(bytes).human());
            let text =
                format!("{server} has {free} left for {at}, and a host needs {needed}: its disk is full");
            Err(Problem::new(Code::DiskFull, text).hint("make room there, then repeat the command"))
        }
        _ => Ok(()),
    }
}

fn unfit(server: &Server, what: &str, hint: &str) -> Problem {
    Problem::new(Code::ServerUnfit, format!("{server} {what}")).hint(hint)
}

/// `2.36` as numbers, to be compared.
fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "system=Linux\nmachine=x86_64\nuid=0\nglibc=glibc 2.36\nplace_kib=9000000\nstate_kib=9000000\n";

    fn binary() -> Binary {
        Binary::pack(&[0; 1 << 10], "x86_64".into(), Some("2.34".into())).expect("packed")
    }

    fn refused(from: &str, to: &str) -> Problem {
        let server = Server::at("10.0.0.1", "ada").expect("a server");
        let said = GOOD.replace(from, to);
        let problem = Facts::read(&said).fits(&server, &binary()).expect_err(to);
        assert!(problem.hint.is_some() && problem.message.contains("10.0.0.1"), "{problem:?}");
        problem
    }

    #[test]
    fn what_a_server_lacks_is_said_with_its_remedy() {
        let server = Server::at("10.0.0.1", "ada").expect("a server");
        Facts::read(GOOD).fits(&server, &binary()).expect("good");
        Facts::read(&GOOD.replace("uid=0", "uid=1000\nsudo=yes")).fits(&server, &binary()).expect("by sudo");
        let cases = [
            ("system=Linux", "system=FreeBSD", "runs FreeBSD"),
            ("system=Linux", "", "does not say what it is"),
            ("machine=x86_64", "machine=aarch64", "is aarch64, and this lace is for x86_64"),
            ("glibc 2.36", "glibc 2.31", "has glibc 2.31, and this lace needs 2.34"),
            ("glibc=glibc 2.36", "glibc=", "has no glibc"),
            ("uid=0", "uid=1000\nsudo=password", "wants a password for sudo"),
            ("uid=0", "uid=1000", "has no sudo"),
            ("uid=0", "uid=0\nlacks=gzip", "lacks the program gzip"),
        ];
        for (from, to, told) in cases {
            let problem = refused(from, to);
            assert!(problem.message.contains(told), "{problem:?}");
            assert_eq!(problem.code, Code::ServerUnfit, "{told}");
        }
        for (from, to) in [("place_kib=9000000", "place_kib=9000"), ("state_kib=9000000", "state_kib=0")] {
            assert_eq!(refused(from, to).code, Code::DiskFull);
        }
        for there in ["state=yes", "controller=yes", "unit=yes"] {
            assert_eq!(refused("uid=0", &format!("uid=0\n{there}")).code, Code::Conflict);
        }
    }

    #[test]
    fn a_binary_that_is_there_needs_no_room() {
        let server = Server::at("10.0.0.1", "root").expect("a server");
        let mut large = binary();
        large.size = 1 << 40;
        assert!(Facts::read(GOOD).fits(&server, &large).is_err());
        let said = format!("{GOOD}digest={}\n", large.digest);
        Facts::read(&said).fits(&server, &large).expect("it is there");
    }

    /// The questions are put to this machine's own shell.
    #[test]
    fn the_questions_are_understood() {
        let output = std::process::Command::new("sh")
            .args(["-c", QUESTIONS, "lace", "/nowhere/at/all", "/nowhere/either"])
            .output()
            .expect("sh");
        let facts = Facts::read(&String::from_utf8_lossy(&output.stdout));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(facts.system, "Linux");
        assert!(facts.place_free.is_some_and(|free| free > 0), "{facts:?}");
        assert!(!facts.has_state && facts.digest.is_none(), "{facts:?}");
    }
}
