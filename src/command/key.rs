//! `lace key`: who may push releases of a service by git.

use super::output::{Cell, ago};
use super::{Exit, Outcome, Session, confirm, session};
use clap::{Args, Subcommand};
use lace_model::{Name, Problem, TargetPath};
use lace_wire::api::{KeyRequest, PushView};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most bytes of a file that is read as a public key: more is refused anyway.
const KEY_BYTES_MAX: u64 = 16 << 10;

/// `lace key`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace key add shop/work ~/.ssh/id_ed25519.pub")]
pub struct KeyArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: KeyVerb,
}

/// The verbs of `lace key`.
#[derive(Subcommand, Debug)]
pub enum KeyVerb {
    /// Let a key push releases of a service; says what to type to push
    #[command(after_help = "\
The same key again changes whether what it pushes is put to use at once.

Example:
  lace key add shop/work ~/.ssh/id_ed25519.pub
  lace key add shop/work ci.pub --name ci --auto-enable")]
    Add {
        /// The service
        target: TargetPath,
        /// The file with the public half, or - for the input
        file: PathBuf,
        /// What it is called; as the file's last word says where none is said
        #[arg(long)]
        name: Option<Name>,
        /// What it pushes is put to use at once
        #[arg(long)]
        auto_enable: bool,
    },
    /// List the keys of a service
    #[command(after_help = "Example:\n  lace key list shop/work")]
    List {
        /// The service
        target: TargetPath,
    },
    /// Let a key push no more; with the last one goes the repository, releases stay
    #[command(after_help = "Example:\n  lace key remove shop/work ada")]
    Remove {
        /// The service
        target: TargetPath,
        /// The key's name
        name: Name,
    },
}

/// Runs `lace key`.
pub async fn run(args: KeyArgs, s: &mut Session) -> Outcome {
    match args.verb {
        KeyVerb::Add { target, file, name, auto_enable } => {
            let request = KeyRequest { key: read(s, &file)?, target, name, auto_enable };
            let view = s.client()?.key_add(&request).await?;
            s.out.item(&view, |view| added(view, &request.target));
        }
        KeyVerb::List { target } => list(s, &target).await?,
        KeyVerb::Remove { target, name } => {
            confirm::destructive(s, &format!("this lets key {name} push no more releases of {target}"))?;
            let accepted = s.client()?.key_remove(&target, &name).await?;
            s.out.say(accepted.message);
        }
    }
    Ok(Exit::DONE)
}

fn read(s: &mut Session, file: &Path) -> Result<String, Problem> {
    if file == Path::new("-") {
        let bytes = s.read_input(KEY_BYTES_MAX as usize)?;
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    let cannot = |e: std::io::Error| session::cannot_read(file, &e);
    let mut bytes = Vec::new();
    let open = std::fs::File::open(s.at(file)).map_err(cannot)?;
    open.take(KEY_BYTES_MAX).read_to_end(&mut bytes).map_err(cannot)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What to type to push, for people.
pub fn how(view: &PushView, target: &TargetPath) -> Vec<String> {
    let (Some(url), Some(host_key)) = (&view.url, &view.host_key) else {
        return vec!["pushes come in nowhere: lace up --git ADDRESS:PORT".into()];
    };
    if view.keys.is_empty() {
        return vec![format!("lace key add {target} ~/.ssh/id_ed25519.pub")];
    }
    vec![
        format!("git remote add lace {url}"),
        "git push lace main".into(),
        format!("(the controller's key: ED25519 {host_key})"),
    ]
}

fn added(view: &PushView, target: &TargetPath) -> String {
    let last = view.keys.last();
    let head = last.map(|key| {
        let at_once = if key.auto_enable { ", and what it pushes is put to use at once" } else { "" };
        format!("key {} ({}) may push releases of {target}{at_once}", key.name, key.fingerprint)
    });
    let lines = how(view, target).into_iter().map(|line| format!("  {line}"));
    head.into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

async fn list(s: &mut Session, target: &TargetPath) -> Result<(), Problem> {
    let view = s.client()?.pushes(target).await?;
    let now = s.now();
    s.out.list(&view.keys, &["name", "kind", "fingerprint", "enables", "added", "by"], |key| {
        vec![
            key.name.as_str().into(),
            key.kind.as_str().into(),
            key.fingerprint.as_str().into(),
            if key.auto_enable { Cell::warning("at once") } else { Cell::faint("no") },
            ago(now, key.added_at).into(),
            key.added_by.as_str().into(),
        ]
    });
    Ok(())
}
