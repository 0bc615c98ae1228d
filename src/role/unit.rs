//! `lace up --unit`: a unit of systemd that brings this installation up at every boot, printed for whoever wants it.

use super::join::Joined;
use super::paths::State;
use super::process::executable;
use super::{Failure, up};
use crate::command::UpArgs;
use std::io::Write;
use std::path::Path;

/// Prints it, with the words of this command line.
pub fn print(args: &UpArgs, state: &State) -> Result<(), Failure> {
    let mut words = vec![executable().display().to_string()];
    words.extend(up::said_words(args));
    words.extend(["--state".to_owned(), state.dir().display().to_string()]);
    let mut out = std::io::stdout().lock();
    let joined = Joined::read(state).map(|_| state.joined());
    out.write_all(unit(&words, joined.as_deref()).as_bytes())?;
    Ok(out.flush()?)
}

/// Nodes live in cgroups of their own and outlive `lace up`, so only its own process is systemd's to end. What ended well
/// was asked to end. A host that was removed is never started again: it would be a controller.
fn unit(words: &[String], joined: Option<&Path>) -> String {
    let condition = joined.map(|file| {
        let path = file.display().to_string().replace('%', "%%");
        format!("ConditionPathExists={path}\n")
    });
    let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!(
        "# lace up --unit > /etc/systemd/system/lace.service\n\
         # systemctl enable --now lace\n\
         [Unit]\n\
         Description=Lace: controller and agent of this machine\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         StartLimitIntervalSec=0\n\
         {}\n\
         [Service]\n\
         ExecStart={}\n\
         KillMode=process\n\
         Restart=on-failure\n\
         RestartSec=1\n\
         TimeoutStopSec=30\n\
         LimitNOFILE=1048576\n\
         OOMScoreAdjust=-900\n\n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        condition.unwrap_or_default(),
        line.join(" ")
    )
}

/// A word as systemd.service(5) reads it: specifiers and variables stand for themselves.
fn quoted(word: &str) -> String {
    let text = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    if text == word && !text.contains(char::is_whitespace) { text } else { format!("\"{text}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_for_themselves() {
        assert_eq!(quoted("--listen"), "--listen");
        assert_eq!(quoted("/var/my state"), "\"/var/my state\"");
        assert_eq!(quoted("50%$x\"\\"), "\"50%%$$x\\\"\\\\\"");
        let words = ["/usr/bin/lace".into(), "up".into()];
        let text = unit(&words, None);
        assert!(text.contains("\nExecStart=/usr/bin/lace up\n") && !text.contains("Condition"), "{text}");
        let text = unit(&words, Some(Path::new("/var/a%b/host.json")));
        assert!(text.contains("\nConditionPathExists=/var/a%%b/host.json\n\n[Service]"), "{text}");
    }
}
