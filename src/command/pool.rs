//! `lace pool`: where hosts can be had.

use super::output::ago;
use super::provider::pair;
use super::{Exit, Outcome, Session, confirm, watch};
use clap::{Args, Subcommand};
use lace_model::pool::Pool;
use lace_model::{Millis, Name, Problem};
use lace_wire::api::PoolRequest;

const EXAMPLE: &str = "Example:
  lace pool add eu-small --provider my-ec2 --region eu-west-1 --image ami-123456 --profile t3.small
  lace pool set eu-small --price-per-hour 0.0228 --attr disk=ssd";

/// `lace pool`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct PoolArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: PoolVerb,
}

/// The verbs of `lace pool`.
#[derive(Subcommand, Debug)]
pub enum PoolVerb {
    /// Make one
    #[command(after_help = EXAMPLE)]
    Add {
        /// What it shall be called
        name: Name,
        /// Whose hosts these are
        #[arg(long, value_name = "NAME")]
        provider: Name,
        /// What is said of it.
        #[command(flatten)]
        said: Said,
    },
    /// Change one
    #[command(after_help = EXAMPLE)]
    Set {
        /// Its name
        name: Name,
        /// What is said of it.
        #[command(flatten)]
        said: Said,
    },
    /// List them
    #[command(after_help = "Example:\n  lace pool list")]
    List,
    /// Show one
    #[command(after_help = "Example:\n  lace pool show eu-small")]
    Show {
        /// Its name
        name: Name,
    },
    /// Remove one that neither hosts nor families use
    #[command(after_help = "Example:\n  lace pool remove eu-small")]
    Remove {
        /// Its name
        name: Name,
    },
}

/// What can be said of a pool.
#[derive(Args, Debug, Clone)]
pub struct Said {
    /// Region; that of the provider where not said
    #[arg(long)]
    pub region: Option<String>,
    /// Zone
    #[arg(long)]
    pub zone: Option<String>,
    /// What hosts boot from
    #[arg(long)]
    pub image: Option<String>,
    /// Hardware profile
    #[arg(long)]
    pub profile: Option<String>,
    /// An attribute that `where` may ask for (may be said again); NAME= takes it away
    #[arg(long = "attr", value_name = "NAME=VALUE", value_parser = pair)]
    pub attributes: Vec<(String, String)>,
    /// What an hour of a host costs: 0.0116 (USD) or "0.0116 EUR"; empty where it is not known
    #[arg(long, value_name = "AMOUNT")]
    pub price_per_hour: Option<String>,
    /// Hosts at most; 0 for no limit
    #[arg(long, value_name = "N")]
    pub max_hosts: Option<u32>,
}

fn request(provider: Option<Name>, said: Said) -> PoolRequest {
    PoolRequest {
        provider,
        region: said.region,
        zone: said.zone,
        image: said.image,
        profile: said.profile,
        attributes: said.attributes.into_iter().collect(),
        price_per_hour: said.price_per_hour,
        hosts_max: said.max_hosts,
    }
}

/// Runs `lace pool`.
pub async fn run(args: PoolArgs, s: &mut Session) -> Outcome {
    let client = s.client()?;
    let accepted = match args.verb {
        PoolVerb::List => return list(s).await,
        PoolVerb::Show { name } => return show(s, &name).await,
        PoolVerb::Add { name, provider, said } => {
            client.pool_add(&name, &request(Some(provider), said)).await?
        }
        PoolVerb::Set { name, said } => client.pool_set(&name, &request(None, said)).await?,
        PoolVerb::Remove { name } => {
            confirm::destructive(s, &format!("this removes pool {name}"))?;
            client.pool_remove(&name).await?
        }
    };
    watch::accepted(s, accepted).await
}

async fn list(s: &mut Session) -> Outcome {
    let pools = s.client()?.pools().await?;
    s.out.list(&pools, &["name", "provider", "region", "zone", "profile", "price"], |pool| {
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
        let price = pool.price.as_ref().map_or_else(|| "not known".into(), ToString::to_string);
        vec![
            pool.name.as_str().into(),
            pool.provider.as_str().into(),
            or_none(&pool.region).into(),
            or_none(&pool.zone).into(),
            or_none(&pool.profile).into(),
            price.into(),
        ]
    });
    Ok(Exit::DONE)
}

async fn show(s: &mut Session, name: &Name) -> Outcome {
    let found = s.client()?.pools().await?.into_iter().find(|pool| pool.name == *name);
    let pool = found.ok_or_else(|| Problem::not_found(format_args!("pool {name}")).hint("lace pool list"))?;
    let now = s.now();
    s.out.item(&pool, |pool| picture(pool, now));
    Ok(Exit::DONE)
}

fn picture(pool: &Pool, now: Millis) -> String {
    let price = pool.price.as_ref().map_or_else(
        || "not known, so never the cheapest".to_owned(),
        |price| format!("{price} ({}, {})", price.source, ago(now, price.at)),
    );
    let hosts = pool.hosts_max.map_or_else(|| "no limit".to_owned(), |hosts| hosts.to_string());
    let mut text = format!("price     {price}\nmax hosts {hosts}\n");
    for (key, value) in pool.known() {
        text.push_str(&format!("  {key} = {value}\n"));
    }
    text
}
