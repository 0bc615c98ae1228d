//! `lace family`: families made and changed without a manifest.

use super::apply::submit;
use super::{Outcome, Session, status, watch};
use clap::{Args, Subcommand, ValueEnum};
use lace_model::application::{ApplicationSpec, ApplyRequest, FamilySpec, ServiceSpec};
use lace_model::beam::Beam;
use lace_model::family::Select;
use lace_model::release::ReleaseRef;
use lace_model::{ByteSize, Code, CpuMillis, Name, Problem, ServiceName, TargetPath};
use lace_wire::client::Client;

const EXAMPLE: &str = "Example:
  lace family create shop/riak --release riak --count 3 --bootstrap cmd:bin/bootstrap
  lace family set shop/riak --memory 512MiB";

/// `lace family`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct FamilyArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: FamilyVerb,
}

/// The verbs of `lace family`.
#[derive(Subcommand, Debug)]
pub enum FamilyVerb {
    /// Make one, with its application and service where they are missing
    #[command(after_help = EXAMPLE)]
    Create(Settings),
    /// Change one
    #[command(after_help = EXAMPLE)]
    Set(Settings),
    /// Show one with its nodes
    #[command(after_help = "Example:\n  lace family show shop/riak")]
    Show {
        /// APP/SERVICE[/FAMILY]
        target: TargetPath,
    },
}

/// What can be said about a family.
#[derive(Args, Debug, Clone)]
pub struct Settings {
    /// APP/SERVICE[/FAMILY]
    pub target: TargetPath,
    /// The release of the service: NAME[@VERSION]
    #[arg(long, value_name = "NAME[@V]", value_parser = release_ref)]
    pub release: Option<ReleaseRef>,
    /// Wanted nodes
    #[arg(long, value_name = "N")]
    pub count: Option<u32>,
    /// How hosts are chosen
    #[arg(long, value_enum, value_name = "HOW")]
    pub select: Option<Choice>,
    /// Processors of each node
    #[arg(long)]
    pub cpu: Option<CpuMillis>,
    /// Memory of each node
    #[arg(long)]
    pub memory: Option<ByteSize>,
    /// Disk of each node
    #[arg(long)]
    pub disk: Option<ByteSize>,
    /// At most so many nodes on one host
    #[arg(long, value_name = "N")]
    pub per_host: Option<u32>,
    /// Only hosts of this pool, the first said before the next (may be said again)
    #[arg(long = "pool", value_name = "NAME")]
    pub pools: Vec<Name>,
    /// Only hosts of which this holds, for example: memory >= 4*GiB && "ssd" in tags
    #[arg(long = "where", value_name = "CEL")]
    pub condition: Option<String>,
    /// How nodes come together: join-first, none, or cmd:PROGRAM WORDS
    #[arg(long, value_name = "HOW", value_parser = bootstrap)]
    pub bootstrap: Option<Bootstrap>,
}

/// How hosts are chosen, as the command line says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// The lowest price
    Cheapest,
    /// Over hosts
    Spread,
    /// One after the other
    Pack,
    /// In the order of the pools
    First,
    /// Seeded
    Random,
    /// In turn
    RoundRobin,
}

impl From<Choice> for Select {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Cheapest => Self::Cheapest,
            Choice::Spread => Self::Spread,
            Choice::Pack => Self::Pack,
            Choice::First => Self::First,
            Choice::Random => Self::Random,
            Choice::RoundRobin => Self::RoundRobin,
        }
    }
}

/// How nodes come together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bootstrap {
    /// By connecting to the first one.
    JoinFirst,
    /// They do that themselves, or not at all.
    None,
    /// By a command in each node.
    Command(Vec<String>),
}

fn bootstrap(text: &str) -> Result<Bootstrap, String> {
    let words = |rest: &str| rest.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    match text.strip_prefix("cmd:").map(words) {
        None if text == "join-first" => Ok(Bootstrap::JoinFirst),
        None if text == "none" => Ok(Bootstrap::None),
        Some(words) if !words.is_empty() => Ok(Bootstrap::Command(words)),
        _ => Err(format!("{text:?} is none of join-first, none and cmd:PROGRAM")),
    }
}

/// `NAME[@VERSION]`.
pub fn release_ref(text: &str) -> Result<ReleaseRef, String> {
    let (name, version) = match text.split_once('@') {
        Some((name, version)) => (name, Some(version.to_owned())),
        None => (text, None),
    };
    Ok(ReleaseRef { name: Name::new(name).map_err(|e| e.to_string())?, version })
}

/// Runs `lace family`.
pub async fn run(args: FamilyArgs, s: &mut Session) -> Outcome {
    match args.verb {
        FamilyVerb::Create(settings) => create(s, settings).await,
        FamilyVerb::Set(settings) => {
            let request = request(&settings)?;
            known(&s.client()?, &settings.target).await?;
            submit(s, request).await
        }
        FamilyVerb::Show { target } => {
            status::run(status::StatusArgs { target: Some(target), watch: false }, s).await
        }
    }
}

async fn known(client: &Client, target: &TargetPath) -> Result<(), Problem> {
    client.status(Some(target)).await.map(drop).map_err(|problem| match problem.code {
        Code::NotFound => problem.hint(format!("make it with: lace family create {target}")),
        _ => problem,
    })
}

async fn create(s: &mut Session, settings: Settings) -> Outcome {
    let mut request = request(&settings)?;
    for family in request.spec.services.values_mut().flat_map(|spec| spec.families.values_mut()) {
        family.count.get_or_insert(1);
    }
    let client = s.client()?;
    let app = &settings.target.app;
    let live = match client.export(app).await {
        Ok(spec) => Some(spec),
        Err(problem) if problem.code == Code::NotFound => None,
        Err(problem) => return Err(problem),
    };
    // What is missing is made by the same statement: what is refused leaves nothing behind.
    let accepted = client.apply(&request).await?;
    if live.is_none() {
        s.out.note(format!("application {app} is made"));
    }
    let known = live.unwrap_or_default().services;
    for service in request.spec.services.keys().filter(|name| !known.contains_key(*name)) {
        s.out.note(format!("service {app}/{service} is made"));
    }
    watch::accepted(s, accepted).await
}

/// The service of a target.
pub fn service_of(target: &TargetPath) -> Result<ServiceName, Problem> {
    target.service.clone().filter(|_| target.index.is_none()).ok_or_else(|| {
        Problem::new(Code::Usage, format!("{target} is not a service"))
            .hint("write APP/SERVICE or APP/SERVICE/FAMILY")
    })
}

/// A statement about one service only.
pub fn about_service(target: &TargetPath, spec: ServiceSpec) -> Result<ApplyRequest, Problem> {
    let service = service_of(target)?;
    let spec = ApplicationSpec { services: [(service, spec)].into() };
    Ok(ApplyRequest { app: target.app.clone(), spec, prune: false, delete_data: false, plan: None })
}

fn request(settings: &Settings) -> Result<ApplyRequest, Problem> {
    let service = service_of(&settings.target)?;
    let family = FamilySpec {
        count: settings.count,
        cpu: settings.cpu,
        memory: settings.memory,
        disk: settings.disk,
        select: settings.select.map(Select::from),
        per_host: settings.per_host,
        pools: (!settings.pools.is_empty()).then(|| settings.pools.clone()),
        condition: settings.condition.clone(),
        ..FamilySpec::default()
    };
    let (beam, bootstrap) = match settings.bootstrap.clone() {
        None => (None, None),
        Some(Bootstrap::JoinFirst) => (Some(Beam { join: true, ..Beam::default() }), None),
        Some(Bootstrap::None) => (None, Some(Vec::new())),
        Some(Bootstrap::Command(words)) => (None, Some(words)),
    };
    let name = settings.target.family.clone().unwrap_or(service);
    let spec = ServiceSpec {
        release: settings.release.clone(),
        beam,
        bootstrap,
        families: [(name, family)].into(),
        ..ServiceSpec::default()
    };
    about_service(&settings.target, spec)
}
