//! Scripts on a server. They are constant: what differs comes as arguments, what is secret or large on stdin.

use super::connection::{Connection, silent, unreachable};
use lace_model::{Code, Problem};
use russh::ChannelMsg;
use std::pin::pin;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// Most bytes of each output that are kept.
const SAID_BYTES_MAX: usize = 64 << 10;
/// Where programs are, also for those who log in without a whole environment.
const HEAD: &str =
    "export LC_ALL=C PATH=\"$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin\"; ";

/// One script with its arguments: no line breaks, since some shells take none within quotes.
pub(super) struct Script<'a> {
    /// What it does, to be said when it fails: `copy the binary`.
    pub deed: &'static str,
    /// The text.
    pub text: &'static str,
    /// `$1` and so on.
    pub words: &'a [&'a str],
    /// What it reads.
    pub input: &'a [u8],
    /// How long it may take.
    pub within: Duration,
}

/// What a script said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Its exit status; none where the connection ended before.
    pub status: Option<u32>,
    /// Its output.
    pub out: String,
    /// Its error output.
    pub err: String,
}

impl Connection {
    /// Runs a script as the user that logged in.
    pub(super) async fn run(&self, script: &Script<'_>) -> Result<Said, Problem> {
        self.perform(line(false, script), script).await
    }

    /// Runs a script as root.
    ///
    /// # Errors
    /// It ended with another status than 0: with what it said.
    pub(super) async fn run_as_root(&self, script: &Script<'_>) -> Result<Said, Problem> {
        let said = self.perform(line(!self.is_root, script), script).await?;
        if said.status == Some(0) {
            return Ok(said);
        }
        let last = said.err.lines().chain(said.out.lines()).filter(|l| !l.trim().is_empty());
        let last: Vec<String> = last.map(str::to_owned).collect();
        let text = format!("{} could not {}", self.server, script.deed);
        if last.iter().any(|line| line.contains("No space left on device")) {
            return Err(Problem::new(Code::DiskFull, format!("{text}: its disk is full"))
                .details(last)
                .hint("make room there, then repeat the command"));
        }
        if let [only] = &last[..] {
            let reason = only.strip_prefix("error: ").unwrap_or(only);
            return Err(Problem::new(Code::Error, format!("{text}: {reason}")));
        }
        let tail = last.len().saturating_sub(10);
        Err(Problem::new(Code::Error, text).details(last.into_iter().skip(tail)))
    }

    async fn perform(&self, line: String, script: &Script<'_>) -> Result<Said, Problem> {
        match tokio::time::timeout(script.within, self.converse(line, script.input)).await {
            Ok(Ok(said)) => Ok(said),
            Ok(Err(error)) => {
                Err(unreachable(&self.server, &format!("hung up when it should {}: {error}", script.deed)))
            }
            Err(_) => Err(silent(&self.server, &format!("did not {}", script.deed), script.within)),
        }
    }

    async fn converse(&self, line: String, input: &[u8]) -> Result<Said, russh::Error> {
        let channel = self.handle.channel_open_session().await?;
        channel.exec(true, line).await?;
        let (mut hears, speaks) = channel.split();
        let mut writer = speaks.make_writer();
        let speak = async {
            // A script that ends early does not read all: its status says why.
            let _ = writer.write_all(input).await;
            let _ = speaks.eof().await;
        };
        let hear = async {
            let mut said = Said::default();
            while let Some(message) = hears.wait().await {
                match message {
                    ChannelMsg::Data { data } => keep(&mut said.out, &data),
                    ChannelMsg::ExtendedData { data, .. } => keep(&mut said.err, &data),
                    ChannelMsg::ExitStatus { exit_status } => said.status = Some(exit_status),
                    ChannelMsg::Close => break,
                    _ => {}
                }
            }
            said
        };
        let (mut speak, mut hear) = (pin!(speak), pin!(hear));
        tokio::select! {
            said = &mut hear => return Ok(said),
            () = &mut speak => {}
        }
        Ok(hear.await)
    }
}

fn keep(text: &mut String, data: &[u8]) {
    let left = SAID_BYTES_MAX.saturating_sub(text.len());
    text.push_str(&String::from_utf8_lossy(&data[..data.len().min(left)]));
}

/// The line for the user's shell, whichever that is.
fn line(by_sudo: bool, script: &Script<'_>) -> String {
    let mut line = String::from(if by_sudo { "sudo -n sh -c " } else { "sh -c " });
    line.push_str(&quoted(&format!("{HEAD}{}", script.text)));
    line.push_str(" lace");
    for word in script.words {
        line.push(' ');
        line.push_str(&quoted(word));
    }
    line
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_as_they_are() {
        let words = ["a b", "it's", "$HOME;`x`", ""];
        let script = Script {
            deed: "count",
            text: "printf \"%s|\" \"$@\"",
            words: &words,
            input: b"",
            within: Duration::ZERO,
        };
        assert_eq!(quoted("it's"), "'it'\\''s'");
        let line = line(true, &script);
        assert!(line.starts_with("sudo -n sh -c 'export LC_ALL=C"), "{line}");
        assert!(line.ends_with("\"$@\"' lace 'a b' 'it'\\''s' '$HOME;`x`' ''"), "{line}");
        let output =
            std::process::Command::new("sh").args(["-c", &line["sudo -n ".len()..]]).output().expect("sh");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "a b|it's|$HOME;`x`||");
    }

    #[test]
    fn what_is_said_is_kept_to_a_limit() {
        let mut text = String::new();
        keep(&mut text, &vec![b'a'; SAID_BYTES_MAX - 1]);
        keep(&mut text, b"bcd");
        keep(&mut text, b"e");
        assert_eq!((text.len(), text.ends_with("ab")), (SAID_BYTES_MAX, true));
    }
}
