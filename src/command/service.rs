//! `lace service`: what services of packages can do beside running.

pub mod change;
mod spec;

use super::backup;
use super::op::{Shown, task_state};
use super::{Exit, Outcome, Session, watch};
use clap::{Args, Subcommand};
use lace_model::task::NodeTask;
use lace_model::{Code, OperationId, Problem, TargetPath};
use lace_wire::api::{NodeScripts, VerbRequest};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

/// Most bytes of a parameter that is read from a file: no parameter of a package may be longer.
const PARAMETER_BYTES_MAX: u64 = 64 << 10;

/// `lace service`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace service action shop/work run parameters=\"one two\"")]
pub struct ServiceArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: ServiceVerb,
}

/// The verbs of `lace service`.
#[derive(Subcommand, Debug)]
pub enum ServiceVerb {
    /// Make one of a package, with its application where that is missing
    #[command(
        after_help = "Example:\n  lace service create shop/cache --package redis --set maxmemory=48MiB"
    )]
    Create(spec::CreateArgs),
    /// Change settings; those that are not named stay as they are
    #[command(after_help = "Example:\n  lace service set shop/cache maxmemory=96MiB --unset append")]
    Set(spec::SetArgs),
    /// Let one use what another one provides: its address, and its password where it wants one
    #[command(after_help = "Example:\n  lace service link shop/app shop/cache --name store")]
    Link {
        /// The service that uses it
        from: TargetPath,
        /// The service that provides it
        to: TargetPath,
        /// How the link is called; as the service that provides it where none is said
        #[arg(long)]
        name: Option<String>,
    },
    /// Take a link away
    #[command(after_help = "Example:\n  lace service unlink shop/app store")]
    Unlink {
        /// The service that used it
        from: TargetPath,
        /// The link, or the service that it leads to
        to: String,
    },
    /// List services with their packages, releases and links
    #[command(after_help = "Example:\n  lace service list shop")]
    List {
        /// Of this application only
        app: Option<lace_model::AppName>,
    },
    /// Show what was said of one
    #[command(after_help = "Example:\n  lace service show shop/cache")]
    Show {
        /// The service
        target: TargetPath,
    },
    /// Run an action of its package
    #[command(after_help = "\
What a package can do: lace package show PACKAGE. Parameters are stored with the task, except those
that the package calls secret: these are kept sealed, and only while the action runs.

Example:
  lace service action shop/work run parameters=\"one two\"
  lace service action shop/work run parameters=@words.txt")]
    Action {
        /// The service, one of its families, or a node
        target: TargetPath,
        /// Its name
        action: String,
        /// NAME=VALUE, or NAME=@FILE
        parameters: Vec<String>,
    },
    /// Keep a copy of what it holds, as its package writes it
    #[command(after_help = "\
Copies are listed, downloaded and deleted by `lace backup`.

Example:
  lace service backup shop/db")]
    Backup(backup::CreateArgs),
    /// Give it such a copy, instead of what it holds
    #[command(after_help = backup::RESTORE_HELP)]
    Restore(backup::RestoreArgs),
    /// Show how the scripts of its code stand, on each node
    #[command(after_help = "Example:\n  lace service scripts shop/work")]
    Scripts {
        /// The service, one of its families, or a node
        target: TargetPath,
    },
}

/// Runs `lace service`.
pub async fn run(args: ServiceArgs, s: &mut Session) -> Outcome {
    match args.verb {
        ServiceVerb::Create(args) => return spec::create(args, s).await,
        ServiceVerb::Set(args) => return spec::set(args, s).await,
        ServiceVerb::Link { from, to, name } => return spec::link(&from, &to, name, s).await,
        ServiceVerb::Unlink { from, to } => return spec::unlink(&from, &to, s).await,
        ServiceVerb::List { app } => return spec::list(app, s).await,
        ServiceVerb::Show { target } => return spec::show(&target, s).await,
        ServiceVerb::Action { target, action, parameters } => {
            let parameters = parameters.iter().map(|text| parameter(text)).collect::<Result<_, _>>()?;
            let shown = act(s, &VerbRequest::Action { target, action, parameters }).await?;
            s.out.item(&shown, said);
        }
        ServiceVerb::Backup(args) => return backup::create(s, &args).await,
        ServiceVerb::Restore(args) => return backup::restore(s, &args).await,
        ServiceVerb::Scripts { target } => {
            let nodes: Vec<Scripts> =
                s.client()?.scripts(&target).await?.into_iter().map(Scripts::of).collect();
            table(s, &nodes);
        }
    }
    Ok(Exit::DONE)
}

/// Values that stand in files, read.
fn values(said: Vec<(String, String)>) -> Result<BTreeMap<String, String>, Problem> {
    said.into_iter().map(|(name, value)| parameter(&format!("{name}={value}"))).collect()
}

fn parameter(text: &str) -> Result<(String, String), Problem> {
    let usage = |text: String| Problem::new(Code::Usage, text).hint("write NAME=VALUE, or NAME=@FILE");
    let (name, value) = text.split_once('=').ok_or_else(|| usage(format!("{text:?} is no parameter")))?;
    let Some(file) = value.strip_prefix('@') else { return Ok((name.into(), value.into())) };
    let cannot = |why: String| usage(format!("parameter {name}: {file}: {why}"));
    let mut content = String::new();
    let open = std::fs::File::open(file).map_err(|e| cannot(e.to_string()))?;
    open.take(PARAMETER_BYTES_MAX + 1).read_to_string(&mut content).map_err(|e| cannot(e.to_string()))?;
    if content.len() as u64 > PARAMETER_BYTES_MAX {
        return Err(cannot(format!("it has more than {PARAMETER_BYTES_MAX} bytes")));
    }
    Ok((name.into(), content))
}

/// Asks for an action, waits for its end, and fetches what each node said.
async fn act(s: &mut Session, request: &VerbRequest) -> Result<Shown, Problem> {
    let accepted = s.client()?.verb(request).await?;
    let id = accepted.operation.ok_or_else(|| Problem::new(Code::Error, accepted.message))?;
    match watch::operation(s, id).await {
        Ok(operation) => Ok(Shown { operation, tasks: tasks(s, id).await? }),
        Err(problem) => {
            let failed = tasks(s, id).await.unwrap_or_default();
            let cause = |task: &NodeTask| Some(format!("{}: {}", task.path.short(), task.cause.clone()?));
            Err(problem.details(failed.iter().filter_map(cause)))
        }
    }
}

async fn tasks(s: &mut Session, id: OperationId) -> Result<Vec<NodeTask>, Problem> {
    let mut tasks = s.client()?.tasks(None, Some(id)).await?;
    tasks.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(tasks)
}

/// What the nodes said; who said nothing is done.
fn said(shown: &Shown) -> String {
    let mut text = String::new();
    if shown.tasks.is_empty() {
        text.push_str(&shown.operation.message);
    }
    for task in &shown.tasks {
        let name = task.path.short();
        if task.lines.is_empty() {
            text.push_str(&format!("{name}: {}\n", task_state(task.state)));
        }
        task.lines.iter().for_each(|line| text.push_str(&format!("{name}: {line}\n")));
    }
    text.trim_end().to_owned()
}

/// How the scripts of a node stand.
#[derive(Serialize)]
struct Scripts {
    node: String,
    scripts: BTreeMap<String, String>,
    /// Why it could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
}

impl Scripts {
    fn of(node: NodeScripts) -> Self {
        let scripts = node.scripts.into_iter().map(|script| (script.name, script.state)).collect();
        Self { node: node.path.short(), scripts, trouble: node.trouble }
    }
}

fn table(s: &mut Session, nodes: &[Scripts]) {
    let names: BTreeSet<&str> =
        nodes.iter().flat_map(|node| node.scripts.keys().map(String::as_str)).collect();
    let in_trouble = nodes.iter().any(|node| node.trouble.is_some()).then_some("trouble");
    let columns: Vec<&str> = ["node"].into_iter().chain(names.iter().copied()).chain(in_trouble).collect();
    s.out.list(nodes, &columns, |node| {
        let state = |name: &&str| node.scripts.get(*name).map_or("-", String::as_str).into();
        let trouble = in_trouble.map(|_| node.trouble.as_deref().unwrap_or("-").into());
        [node.node.as_str().into()].into_iter().chain(names.iter().map(state)).chain(trouble).collect()
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_said_or_read() {
        assert_eq!(parameter("a=b=c").unwrap(), ("a".into(), "b=c".into()));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "words\n").unwrap();
        let text = format!("a=@{}", file.path().display());
        assert_eq!(parameter(&text).unwrap(), ("a".into(), "words\n".into()));
        std::fs::write(file.path(), vec![b'a'; 70_000]).unwrap();
        for bad in [text.as_str(), "a", "a=@/no/such/file"] {
            assert_eq!(parameter(bad).unwrap_err().code, Code::Usage, "{bad}");
        }
    }
}
