//! `lace ccl`: what CCL did, from its own file: one source, built once, as a cluster with failover.

mod build;
mod config;
mod estate;
mod manifest;
mod memory;
mod source;

use super::exec::{self, ExecArgs};
use super::verb::{self, DeleteArgs};
use super::{Outcome, Session, apply, deploy};
use clap::{Args, Subcommand};
use config::{Config, Provider};
use lace_model::{AppName, Code, Problem, TargetPath};
use std::path::{Path, PathBuf};

/// `lace ccl`.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  lace ccl deploy --config m8ball.config
  lace ccl execute \"bin/m8ball rpc net_adm ping \\\"['m8ball@{{first}}']\\\"\"
  lace ccl destroy")]
pub struct CclArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: CclVerb,
}

/// The verbs of `lace ccl`.
#[derive(Subcommand, Debug)]
pub enum CclVerb {
    /// Build what a CCL file names, and run it as a cluster
    Deploy(CclDeployArgs),
    /// Run a command in every node of the cluster
    Execute(ExecuteArgs),
    /// Delete the cluster and its application
    Destroy(DestroyArgs),
}

/// `lace ccl deploy`.
#[derive(Args, Debug)]
#[command(after_help = "\
The file holds Erlang terms, {KEY, VALUE}. each (or one list of such pairs). The source comes from
git: github_username and github_project (github_branch), or git_url (an address or a path; #BRANCH).
ccl_buildsteps run once, in a job node; steps that would start the result are left out. The release
is found by its releases/start_erl.data, or by ccl_output. {{ccl_name}} in *.config and vm.args
becomes the node's name.

  {ccl_provider, local}.            this machine; ec2 with ec2_* keys: a machine there for each node,
                                    by a provider and a pool NAME-ec2; destroy gives them back
  {git_url, \"./m8ball\"}.
  {ccl_clustersize, 3}.
  {ccl_failovernodename, m8ball}.   the name before the @, and the application that moves
  {ccl_failovernodes, 2}.           how many nodes may take it over
  {ccl_buildsteps, [\"make\", \"make rel\"]}.

Also known: ccl_name, ccl_output, ccl_start, ccl_failoverapp.

Example:
  lace ccl deploy --config m8ball.config")]
pub struct CclDeployArgs {
    /// The file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Which cluster: where nothing is said, the one that was deployed last.
#[derive(Args, Debug, Clone, Default)]
pub struct Which {
    /// The file that it was deployed from
    #[arg(long, value_name = "FILE", conflicts_with = "app")]
    pub config: Option<PathBuf>,
    /// Its application
    #[arg(long, value_name = "APP")]
    pub app: Option<AppName>,
}

/// `lace ccl execute`.
#[derive(Args, Debug)]
#[command(after_help = "\
The command goes to a shell in the release's directory of every node. {{first}}, {{self}}, {{all}} and
{{index}} are filled in, as in `lace exec`. The status is the highest of the nodes'.

Example:
  lace ccl execute \"echo {{self}} asks {{first}}\"")]
pub struct ExecuteArgs {
    /// The command
    pub command: String,
    /// Which cluster.
    #[command(flatten)]
    pub which: Which,
}

/// `lace ccl destroy`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace ccl destroy --config m8ball.config")]
pub struct DestroyArgs {
    /// Which cluster.
    #[command(flatten)]
    pub which: Which,
}

/// Runs `lace ccl`.
pub async fn run(args: CclArgs, s: &mut Session) -> Outcome {
    match args.verb {
        CclVerb::Deploy(args) => deploy(args, s).await,
        CclVerb::Execute(args) => execute(args, s).await,
        CclVerb::Destroy(args) => destroy(args, s).await,
    }
}

fn read(s: &mut Session, path: &Path) -> Result<Config, Problem> {
    let text = s.read_text(path)?;
    let here = s.at(path).parent().and_then(|dir| std::fs::canonicalize(dir).ok());
    let here = here.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let read = config::read(&text, here.as_deref().unwrap_or("app"));
    let read = read.map_err(|wrong| {
        let message = format!("{}: {} mistakes", path.display(), wrong.len());
        let message = if wrong.len() == 1 { format!("{}: 1 mistake", path.display()) } else { message };
        Problem::new(Code::InvalidManifest, message)
            .details(wrong)
            .hint("lace ccl deploy --help shows the keys")
    })?;
    read.notes.iter().for_each(|note| s.out.note(note));
    Ok(read.config)
}

async fn deploy(args: CclDeployArgs, s: &mut Session) -> Outcome {
    let config = read(s, &args.config)?;
    let estate = match config.provider {
        Provider::Local => None,
        Provider::Ec2 => Some(estate::of(&config)?),
    };
    if let Some(estate) = &estate {
        estate::write(estate, s).await?;
    }
    // A path in the file counts from the file.
    let near = s.at(&args.config).parent().map(Path::to_path_buf).unwrap_or_default();
    let app = config.name.clone();
    // What a first build that fails leaves behind can be destroyed without naming it.
    if memory::last(s).is_err() {
        memory::keep(s, &app)?;
    }
    let built = build::run(s, &config, &near).await?;
    let pool = estate.as_ref().map(|estate| estate.name.as_str());
    let mut located = manifest::of(&config, &built, pool)?;
    super::manifest::bring_releases(s, &mut located).await?;
    let request = super::manifest::ManifestArgs::default().request(located.manifest);
    // Whoever does not wait for machines that boot has told all the same what is to be destroyed.
    memory::keep(s, &app)?;
    apply::submit(s, request).await?;
    deploy::where_it_is(s, whole(app)).await
}

fn whole(app: AppName) -> TargetPath {
    TargetPath { app, service: None, family: None, index: None }
}

fn meant(s: &mut Session, which: Which) -> Result<AppName, Problem> {
    match (which.app, which.config) {
        (Some(app), _) => Ok(app),
        (None, Some(path)) => Ok(read(s, &path)?.name),
        (None, None) => memory::last(s),
    }
}

async fn execute(args: ExecuteArgs, s: &mut Session) -> Outcome {
    let target = whole(meant(s, args.which)?);
    let command = vec!["sh".to_owned(), "-c".to_owned(), args.command];
    exec::run(ExecArgs { target, parallel: 32, first: false, stdin: false, env: Vec::new(), command }, s)
        .await
}

async fn destroy(args: DestroyArgs, s: &mut Session) -> Outcome {
    let app = meant(s, args.which)?;
    let deleted =
        verb::delete(DeleteArgs { target: whole(app.clone()), force: false, delete_data: false }, s);
    let exit = deleted.await?;
    estate::give_back(&app, s).await?;
    memory::forget(s, &app)?;
    Ok(exit)
}
