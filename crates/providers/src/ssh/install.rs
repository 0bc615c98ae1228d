//! Our binary on a server, and all of it off again.

use super::connection::Connection;
use super::run::Script;
use super::{Binary, Facts, STATE, binary};
use lace_model::{Code, Problem};
use std::time::Duration;

/// The binary may take this long: 100 MB over a line of 2 Mbit/s.
const COPIED_WITHIN: Duration = Duration::from_secs(600);
/// A short piece of work may take this long on a busy server.
const DONE_WITHIN: Duration = Duration::from_secs(60);
/// A host may take this long to end its nodes.
const ENDED_WITHIN: Duration = Duration::from_secs(180);
/// A host that was removed ends by itself; it has this long, in fifths of a second.
const LEAVES_WITHIN_FIFTHS: &str = "75";

/// Written beside and moved, after its digest was compared. `$1` is the directory, `$2` the digest.
const COPY: &str = "\
    umask 022; mkdir -p \"$1\" || exit 1; new=\"$1/new.$$\"; trap 'rm -f \"$new\"' EXIT; \
    gzip -dc >\"$new\" || exit 1; has=$(sha256sum <\"$new\" | cut -d' ' -f1); \
    [ \"$has\" = \"$2\" ] || { echo \"its digest is $has, not $2\" >&2; exit 1; }; \
    chmod 755 \"$new\" && mv -f \"$new\" \"$1/lace\"";

/// The ticket is on stdin: it is never in a list of processes, and in a file of root's only.
const JOIN: &str = "\"$1/lace\" up --detach --state \"$2\" --join -";

/// Its first line is ours, so that there are always two: the failure keeps all of them.
const DOCTOR: &str = "echo doctor; \"$1/lace\" doctor 2>&1";

/// What joined goes on under systemd, so that it comes up at every boot: `$1` is the binary's directory, `$2` the state's.
pub const UNIT: &str = "\
    unit=/etc/systemd/system/lace.service; \
    \"$1/lace\" up --unit --state \"$2\" >\"$unit.new\" && mv -f \"$unit.new\" \"$unit\" && \
    \"$1/lace\" down --keep-nodes --state \"$2\" && \
    systemctl daemon-reload && systemctl enable --now lace.service";

/// Ends and removes everything. `$1` is the binary's directory (it may be gone), `$2` the state's, `$3` how long the host
/// may take to end by itself, `$4` whether the binary goes too.
const CLEAR: &str = "\
    unit=/etc/systemd/system/lace.service; \
    n=0; while [ -e \"$2\" ] && [ $n -lt \"$3\" ]; do sleep 0.2; n=$((n+1)); done; \
    if [ -e \"$unit\" ] && grep -qF \"$1/\" \"$unit\"; then \
      systemctl disable --now lace.service; rm -f \"$unit\"; systemctl daemon-reload; fi; \
    if [ -e \"$2/host.json\" ]; then \"$1/lace\" down --erase --state \"$2\" || exit 1; fi; \
    [ -e \"$2/up.json\" ] || rm -rf \"$2\" || exit 1; \
    if [ \"$4\" = all ]; then rm -rf \"$1\" || exit 1; rmdir \"$(dirname \"$1\")\" 2>/dev/null; fi; true";

impl Connection {
    /// Brings the binary, unless it is there. Answers whether it was brought.
    ///
    /// # Errors
    /// [`Code::DiskFull`] and the like, with what the server said; a directory may be left then.
    pub async fn copy(&self, binary: &Binary, facts: &Facts) -> Result<bool, Problem> {
        if facts.has(binary) {
            return Ok(false);
        }
        let words = [binary.place(), binary.digest.clone()];
        self.act("copy the binary", COPY, &words, binary.packed(), COPIED_WITHIN).await?;
        Ok(true)
    }

    /// Asks the binary whether the server has what nodes need.
    ///
    /// # Errors
    /// [`Code::ServerUnfit`] with what is missing.
    pub async fn examine(&self, binary: &Binary) -> Result<(), Problem> {
        let asked = self.act("run lace doctor", DOCTOR, &[binary.place()], b"", DONE_WITHIN).await;
        asked.map(drop).map_err(|problem| match problem.code {
            Code::Error => Problem::new(
                Code::ServerUnfit,
                format!("{} lacks what nodes need, as `lace doctor` says there", self.server),
            )
            .details(troubles(&problem.details))
            .hint("mend that there, then repeat the command"),
            _ => problem,
        })
    }

    /// Joins with a ticket, and waits until the server is a host.
    ///
    /// # Errors
    /// With what `lace up` said there.
    pub async fn join(&self, binary: &Binary, ticket: &str) -> Result<(), Problem> {
        let words = [binary.place(), STATE.to_owned()];
        self.act("join", JOIN, &words, ticket.as_bytes(), DONE_WITHIN).await.map(drop)
    }

    /// Lets systemd keep the host up, from now on and at every boot.
    ///
    /// # Errors
    /// With what systemd said.
    pub async fn keep_up(&self, binary: &Binary) -> Result<(), Problem> {
        let words = [binary.place(), STATE.to_owned()];
        self.act("be kept up by systemd", UNIT, &words, b"", DONE_WITHIN).await.map(drop)
    }

    /// Leaves nothing: nodes, roles, unit, state, and the binary with this digest if `with_binary`. A host that was
    /// removed at its controller ends by itself, and is given time for that if `leaves`. Safe to repeat.
    ///
    /// # Errors
    /// With what is in the way.
    pub async fn clear(&self, digest: &str, leaves: bool, with_binary: bool) -> Result<(), Problem> {
        let patience = if leaves { LEAVES_WITHIN_FIFTHS } else { "0" };
        let what = if with_binary { "all" } else { "state" };
        let words = [&binary::place(digest), STATE, patience, what].map(str::to_owned);
        self.act("remove what is lace's", CLEAR, &words, b"", ENDED_WITHIN).await.map(drop)
    }

    async fn act(
        &self,
        deed: &'static str,
        text: &'static str,
        words: &[String],
        input: &[u8],
        within: Duration,
    ) -> Result<super::Said, Problem> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.run_as_root(&Script { deed, text, words: &words, input, within }).await
    }
}

/// The lines of `lace doctor` that are no "ok".
fn troubles(lines: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut in_trouble = false;
    for line in lines {
        if !line.starts_with(' ') {
            in_trouble = line.starts_with("problem");
        }
        if in_trouble {
            kept.push(line.clone());
        }
    }
    if kept.is_empty() { lines.to_vec() } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn only_problems_of_the_doctor_are_told() {
        let lines =
            ["ok       a: 1", "problem  b: none", "         install b", "warning  c: 2", "         see c"];
        let lines = lines.map(str::to_owned);
        assert_eq!(troubles(&lines), ["problem  b: none", "         install b"]);
        assert_eq!(troubles(&lines[..1]), ["ok       a: 1"]);
    }

    fn sh(text: &str, words: &[&str], input: &[u8]) -> (bool, String) {
        use std::io::Write;
        let mut child = Command::new("sh")
            .args(["-c", text, "lace"])
            .args(words)
            .stdin(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("sh");
        let _ = child.stdin.take().expect("piped").write_all(input);
        let output = child.wait_with_output().expect("ended");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    #[test]
    fn a_copy_is_whole_or_not_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let binary = Binary::pack(b"#!/bin/sh\nexit 3\n", "any".into(), None).expect("packed");
        let place = dir.path().join("lib").join(&binary.digest);
        let text = place.to_str().expect("text");
        let (done, said) = sh(COPY, &[text, &binary.digest], &binary.packed()[..20]);
        assert!(!done && said.contains("gzip"), "cut off: {said}");
        let (done, said) = sh(COPY, &[text, "0000"], binary.packed());
        assert!(!done && said.contains("its digest is"), "{said}");
        assert_eq!(std::fs::read_dir(&place).expect("there").count(), 0, "nothing half");
        assert!(sh(COPY, &[text, &binary.digest], binary.packed()).0);
        assert_eq!(Command::new(place.join("lace")).status().expect("runs").code(), Some(3));
        let state = dir.path().join("state");
        std::fs::create_dir(&state).expect("made");
        assert!(sh(CLEAR, &[text, state.to_str().expect("text"), "0", "all"], b"").0);
        assert_eq!(std::fs::read_dir(dir.path()).expect("there").count(), 0, "nothing is left");
    }

    #[test]
    fn a_controller_is_never_cleared() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("up.json"), "{}").expect("written");
        assert!(sh(CLEAR, &["/nowhere/at/all", dir.path().to_str().expect("text"), "0", "state"], b"").0);
        assert!(dir.path().join("up.json").exists());
    }
}
