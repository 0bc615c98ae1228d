//! `lace provider`: accounts at infrastructures.

use super::{Exit, Outcome, Session, confirm, watch};
use clap::{Args, Subcommand};
use lace_model::provider::{Provider, ProviderKind};
use lace_model::{Code, Name, Problem};
use lace_wire::api::ProviderRequest;
use std::collections::BTreeMap;

const EXAMPLE: &str = "Example:\n  lace provider add my-ec2 --kind ec2 --region eu-west-1 --from-env";
/// Credentials on stdin have at most so many bytes.
const CREDENTIALS_BYTES_MAX: usize = 32 << 10;

/// `lace provider`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct ProviderArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: ProviderVerb,
}

/// The verbs of `lace provider`.
#[derive(Subcommand, Debug)]
pub enum ProviderVerb {
    /// Register one; its credentials are sealed and never shown again
    #[command(after_help = EXAMPLE)]
    Add {
        /// What it shall be called
        name: Name,
        /// local, ssh, sim or ec2
        #[arg(long)]
        kind: ProviderKind,
        /// What is said of it.
        #[command(flatten)]
        said: Said,
    },
    /// Change one
    #[command(after_help = "Example:\n  lace provider set my-ec2 --stdin < keys")]
    Set {
        /// Its name
        name: Name,
        /// What is said of it.
        #[command(flatten)]
        said: Said,
    },
    /// List them
    #[command(after_help = "Example:\n  lace provider list")]
    List,
    /// Show one
    #[command(after_help = "Example:\n  lace provider show my-ec2")]
    Show {
        /// Its name
        name: Name,
    },
    /// Remove one that no pool uses, its credentials with it
    #[command(after_help = "Example:\n  lace provider remove my-ec2")]
    Remove {
        /// Its name
        name: Name,
    },
}

/// What can be said of a provider.
#[derive(Args, Debug, Clone)]
pub struct Said {
    /// The region of its pools, where they say none
    #[arg(long)]
    pub region: Option<String>,
    /// Where its API answers, where that is not the usual place
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// What is taken off the prices of its pools, such as 7.5%; empty for nothing
    #[arg(long, value_name = "PERCENT")]
    pub discount: Option<String>,
    /// A credential (may be said again); others on this machine may read it in the list of processes
    #[arg(long = "credential", value_name = "NAME=VALUE", value_parser = pair)]
    pub credentials: Vec<(String, String)>,
    /// Credentials from the usual variables of the environment, such as AWS_ACCESS_KEY_ID
    #[arg(long)]
    pub from_env: bool,
    /// Credentials from stdin, a line NAME=VALUE each
    #[arg(long)]
    pub stdin: bool,
}

/// `NAME=VALUE`. The value may be anything, so it is not in the message.
pub fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

/// Runs `lace provider`.
pub async fn run(args: ProviderArgs, s: &mut Session) -> Outcome {
    let client = s.client()?;
    let accepted = match args.verb {
        ProviderVerb::List => return list(s).await,
        ProviderVerb::Show { name } => return show(s, &name).await,
        ProviderVerb::Add { name, kind, said } => {
            let request = request(s, Some(kind), kind, said)?;
            client.provider_add(&name, &request).await?
        }
        ProviderVerb::Set { name, said } => {
            let kind = one(s, &name).await?.kind;
            let request = request(s, None, kind, said)?;
            client.provider_set(&name, &request).await?
        }
        ProviderVerb::Remove { name } => {
            confirm::destructive(s, &format!("this removes provider {name} and its credentials"))?;
            client.provider_remove(&name).await?
        }
    };
    watch::accepted(s, accepted).await
}

fn request(
    s: &mut Session,
    told: Option<ProviderKind>,
    kind: ProviderKind,
    said: Said,
) -> Result<ProviderRequest, Problem> {
    let mut credentials = BTreeMap::new();
    if said.from_env {
        credentials.extend(of_environment(s, kind)?);
    }
    if said.stdin {
        credentials.extend(of_stdin(s)?);
    }
    credentials.extend(said.credentials);
    Ok(ProviderRequest {
        kind: told,
        region: said.region,
        endpoint: said.endpoint,
        discount: said.discount,
        credentials,
    })
}

fn of_environment(s: &Session, kind: ProviderKind) -> Result<BTreeMap<String, String>, Problem> {
    let mut found = BTreeMap::new();
    for key in kind.credentials() {
        match s.world.var(key.variable) {
            Some(value) => drop(found.insert(key.name.to_owned(), value.to_owned())),
            None if key.required => {
                let text = format!("the environment has no {}", key.variable);
                return Err(Problem::new(Code::Usage, text));
            }
            None => {}
        }
    }
    Ok(found)
}

fn of_stdin(s: &mut Session) -> Result<BTreeMap<String, String>, Problem> {
    let text = s.read_input(CREDENTIALS_BYTES_MAX)?;
    let bad = |why: String| Problem::new(Code::Usage, format!("the credentials on stdin: {why}"));
    let text = String::from_utf8(text).map_err(|_| bad("they are no text".to_owned()))?;
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    lines.map(|(line, n)| pair(line).map_err(|e| bad(format!("line {n}: {e}")))).collect()
}

async fn list(s: &mut Session) -> Outcome {
    let providers = s.client()?.providers().await?;
    s.out.list(&providers, &["name", "kind", "region", "endpoint", "credentials"], |provider| {
        vec![
            provider.name.as_str().into(),
            provider.kind.word().into(),
            provider.region.as_deref().unwrap_or("-").into(),
            provider.endpoint.as_deref().unwrap_or("-").into(),
            names(provider).into(),
        ]
    });
    Ok(Exit::DONE)
}

fn names(provider: &Provider) -> String {
    if provider.credentials.is_empty() { "-".into() } else { provider.credentials.join(" ") }
}

async fn one(s: &mut Session, name: &Name) -> Result<Provider, Problem> {
    let found = s.client()?.providers().await?.into_iter().find(|provider| provider.name == *name);
    found.ok_or_else(|| Problem::not_found(format_args!("provider {name}")).hint("lace provider list"))
}

async fn show(s: &mut Session, name: &Name) -> Outcome {
    let provider = one(s, name).await?;
    s.out.item(&provider, |provider| {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        format!(
            "name         {}\nkind         {}\nregion       {}\nendpoint     {}\ndiscount     {}\ncredentials  {}\n",
            provider.name,
            provider.kind,
            or_none(&provider.region),
            or_none(&provider.endpoint),
            provider.discount.map_or_else(|| "-".into(), |discount| discount.to_string()),
            names(provider),
        )
    });
    Ok(Exit::DONE)
}
