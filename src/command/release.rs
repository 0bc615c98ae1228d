//! `lace release`: uploaded versions of code.

use super::output::{Cell, ago, clock};
use super::upload::{Wish, upload, words};
use super::{Exit, Outcome, Session, confirm, source, watch};
use clap::{Args, Subcommand};
use lace_model::release::{Release, Tree};
use lace_model::{ByteSize, Code, Digest, Name, Problem, TargetPath};
use lace_wire::api::VerbRequest;
use lace_wire::client::Client;
use serde::Serialize;
use std::path::{Path, PathBuf};

const EXAMPLE: &str = "Example:
  lace release upload riak riak.tar.gz --start \"bin/riak start\" --template etc/vm.args
  lace release upload riak https://example.com/riak.tar.gz --sha256 9f86d0...
  lace release upload game _build/prod/rel/game --git https://example.com/game.git#v2 --build \"rebar3 as prod release\"";

/// `lace release`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct ReleaseArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: ReleaseVerb,
}

/// The verbs of `lace release`.
#[derive(Subcommand, Debug)]
pub enum ReleaseVerb {
    /// Upload a directory, an archive, or what a git repository builds; only what is missing travels
    #[command(after_help = EXAMPLE)]
    Upload(UploadArgs),
    /// List them, the newest of each name first
    #[command(after_help = "Example:\n  lace release list\n  lace release list shop/game")]
    List {
        /// Those of this service, and which of them it runs
        target: Option<TargetPath>,
    },
    /// Show one
    #[command(after_help = "Example:\n  lace release show game@1.2.0")]
    Show {
        /// NAME, or NAME@VERSION
        release: String,
    },
    /// Let a service run another release or version
    #[command(after_help = "Example:
  lace release activate shop/game game@1.2.0
  lace release activate shop/game game@1.2.0 --hot   in the running Erlang nodes, one after the other")]
    Activate {
        /// The service
        target: TargetPath,
        /// NAME, or NAME@VERSION
        #[arg(value_parser = release_text)]
        release: String,
        /// Change Erlang nodes over as they run, one after the other; the release needs a relup from the former one
        #[arg(long)]
        hot: bool,
    },
    /// Write one to a directory
    #[command(after_help = "Example:\n  lace release download game@1.2.0 ./game")]
    Download {
        /// NAME, or NAME@VERSION
        release: String,
        /// The directory to make
        dir: PathBuf,
    },
    /// Delete one; never one that is in use
    #[command(after_help = "Example:\n  lace release delete game@1.1.0")]
    Delete {
        /// NAME@VERSION
        #[arg(value_parser = release_text)]
        release: String,
    },
}

/// `lace release upload`.
#[derive(Args, Debug)]
pub struct UploadArgs {
    /// Its name
    pub name: Name,
    /// A directory, an archive (tar, gz, bz2, xz, zst, zip) or its address; with --git, where the build steps put it
    #[arg(required_unless_present = "git")]
    pub path: Option<String>,
    /// Its version, where its own is not meant
    #[arg(long, value_name = "V")]
    pub version: Option<String>,
    /// What starts it in the foreground
    #[arg(long, value_name = "CMD", value_parser = command)]
    pub start: Option<CommandWords>,
    /// It has no start command: a service's package says what runs
    #[arg(long, conflicts_with = "start")]
    pub files: bool,
    /// What stops it
    #[arg(long, value_name = "CMD", value_parser = command)]
    pub stop: Option<CommandWords>,
    /// A file of it that is a template (may be said again)
    #[arg(long = "template", value_name = "FILE")]
    pub templates: Vec<String>,
    /// The SHA-256 that the file behind an address must have
    #[arg(long, value_name = "HEX", conflicts_with = "git")]
    pub sha256: Option<String>,
    /// A git repository to make it from; a branch or tag behind #
    #[arg(long, value_name = "URL")]
    pub git: Option<String>,
    /// A build step, run in the repository without a shell (may be said again)
    #[arg(long, value_name = "CMD", value_parser = command, requires = "git")]
    pub build: Vec<CommandWords>,
}

/// The words of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandWords(pub Vec<String>);

fn command(text: &str) -> Result<CommandWords, String> {
    words(text).map(CommandWords)
}

fn release_text(text: &str) -> Result<String, String> {
    super::family::release_ref(text).map(|_| text.to_owned())
}

/// Runs `lace release`.
pub async fn run(args: ReleaseArgs, s: &mut Session) -> Outcome {
    match args.verb {
        ReleaseVerb::Upload(args) => upload_one(args, s).await?,
        ReleaseVerb::List { target: None } => list(s).await?,
        ReleaseVerb::List { target: Some(target) } => versions(s, &target).await?,
        ReleaseVerb::Show { release } => {
            let release = find(&s.client()?, &release).await?;
            s.out.item(&release, picture);
        }
        ReleaseVerb::Activate { target, release, hot } => {
            let accepted = s.client()?.verb(&VerbRequest::Activate { target, release, hot }).await?;
            return watch::accepted(s, accepted).await;
        }
        ReleaseVerb::Download { release, dir } => download(s, &release, &dir).await?,
        ReleaseVerb::Delete { release } => {
            confirm::destructive(s, &format!("this deletes release {release}"))?;
            s.client()?.release_delete(&release).await?;
            s.out.say(format!("release {release} is deleted"));
        }
    }
    Ok(Exit::DONE)
}

async fn upload_one(args: UploadArgs, s: &mut Session) -> Result<(), Problem> {
    let fetched = source::fetch(s, &args).await?;
    let wish = Wish {
        name: Some(args.name),
        version: args.version,
        kind: None,
        start: args.start.map(|words| words.0),
        stop: args.stop.map(|words| words.0),
        templates: args.templates,
        packaged: args.files,
        manifest: None,
    };
    let release = upload(s, &fetched.path, wish).await?;
    s.out.item(&release, |release| format!("{}@{}", release.name, release.version));
    Ok(())
}

async fn list(s: &mut Session) -> Result<(), Problem> {
    let mut releases = s.client()?.releases().await?;
    releases.sort_by(|a, b| a.name.cmp(&b.name).then(b.uploaded_at.cmp(&a.uploaded_at)));
    let now = s.now();
    s.out.list(&releases, &["name", "version", "kind", "size", "uploaded", "start"], |release| {
        vec![
            release.name.as_str().into(),
            release.version.as_str().into(),
            kind(release).into(),
            ByteSize(release.bytes).human().into(),
            ago(now, release.uploaded_at).into(),
            release.start.join(" ").into(),
        ]
    });
    Ok(())
}

/// A release of a service.
#[derive(Serialize)]
struct Version {
    #[serde(flatten)]
    release: Release,
    /// The service runs it, or shall.
    active: bool,
}

async fn versions(s: &mut Session, target: &TargetPath) -> Result<(), Problem> {
    let client = s.client()?;
    let active = client.revision(target).await?.spec.release;
    let name = active.split('@').next().unwrap_or_default().to_owned();
    let mut releases = client.releases().await?;
    releases.retain(|release| release.name.as_str() == name);
    releases.sort_by_key(|release| std::cmp::Reverse(release.uploaded_at));
    let version = |release: Release| Version {
        active: format!("{}@{}", release.name, release.version) == active,
        release,
    };
    let versions: Vec<Version> = releases.into_iter().map(version).collect();
    let now = s.now();
    s.out.list(&versions, &["name", "version", "state", "size", "uploaded", "commit"], |version| {
        let release = &version.release;
        vec![
            release.name.as_str().into(),
            release.version.as_str().into(),
            if version.active { Cell::good("active") } else { Cell::faint("kept") },
            ByteSize(release.bytes).human().into(),
            ago(now, release.uploaded_at).into(),
            release.pushed.as_ref().map_or("-", |commit| commit.subject.as_str()).into(),
        ]
    });
    Ok(())
}

fn kind(release: &Release) -> String {
    format!("{:?}", release.kind).to_lowercase()
}

/// One release, as `NAME@VERSION`, or the newest of a name.
async fn find(client: &Client, text: &str) -> Result<Release, Problem> {
    if text.contains('@') {
        return client.release(text).await;
    }
    let releases = client.releases().await?.into_iter();
    let newest = releases.filter(|release| release.name.as_str() == text).max_by_key(|r| r.uploaded_at);
    newest.ok_or_else(|| Problem::not_found(format_args!("release {text}")).hint("lace release list"))
}

fn picture(release: &Release) -> String {
    let needs = &release.needs;
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let erts = match (&needs.erts, needs.erts_included) {
        (None, _) => "-".to_owned(),
        (Some(erts), true) => format!("{erts}, brought along"),
        (Some(erts), false) => format!("{erts}, of the host"),
    };
    format!(
        "release   {}@{}\nkind      {}\nsize      {}\ntree      {}\nuploaded  {}\nstart     {}\n\
         stop      {}\ntemplates {}\narch      {}\nglibc     {}\nversions  {}\nlibraries {}\nprograms  {}\nerts      {erts}\n",
        release.name,
        release.version,
        kind(release),
        ByteSize(release.bytes).human(),
        release.tree.short(),
        clock(release.uploaded_at),
        release.start.join(" "),
        release.stop.as_ref().map_or_else(|| "signal".into(), |words| words.join(" ")),
        or_dash(&release.templates),
        dash(&needs.arch),
        dash(&needs.glibc),
        or_dash(
            &needs.versions.iter().map(|(word, version)| format!("{word}_{version}")).collect::<Vec<_>>()
        ),
        or_dash(&needs.libraries),
        or_dash(&needs.programs),
    )
}

fn or_dash(texts: &[String]) -> String {
    if texts.is_empty() { "-".into() } else { texts.join(" ") }
}

async fn download(s: &mut Session, text: &str, dir: &Path) -> Result<(), Problem> {
    let goal = s.at(dir);
    if goal.exists() {
        return Err(Problem::new(Code::Conflict, format!("{} is there already", dir.display()))
            .hint("name a directory that is not there yet"));
    }
    let client = s.client()?;
    let release = find(&client, text).await?;
    let tree = client.blob_get(release.tree).await?;
    let tree: Tree = serde_json::from_slice(&tree)
        .map_err(|e| Problem::new(Code::Error, format!("the release's tree is damaged: {e}")))?;
    let runtime = tokio::runtime::Handle::current();
    let written = tokio::task::spawn_blocking(move || {
        lace_release::materialise(&tree, &goal, |digest: &Digest| {
            let bytes = runtime.block_on(client.blob_get(*digest)).map_err(std::io::Error::other)?;
            Ok(bytes.to_vec())
        })
    });
    let written = written.await.map_err(|e| Problem::new(Code::Error, e.to_string()))?;
    written.map_err(|e| e.problem())?;
    s.out.say(format!("{}@{} is in {}", release.name, release.version, dir.display()));
    Ok(())
}
