//! `lace firewall`: who may reach a service from outside its application.

use super::apply::submit;
use super::family::{about_service, service_of};
use super::{Exit, Outcome, Session};
use clap::{Args, Subcommand};
use lace_model::application::ServiceSpec;
use lace_model::revision::Opening;
use lace_model::{Code, Problem, TargetPath};

const EXAMPLE: &str = "Example:\n  lace firewall set shop/riak tcp:8096:8099 --from any";

/// `lace firewall`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct FirewallArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: FirewallVerb,
}

/// The verbs of `lace firewall`.
#[derive(Subcommand, Debug)]
pub enum FirewallVerb {
    /// Set the openings, as a whole
    #[command(after_help = EXAMPLE)]
    Set {
        /// The service
        target: TargetPath,
        /// tcp:PORT, tcp:FIRST:LAST or udp:PORT
        #[arg(required = true, value_name = "OPENING")]
        openings: Vec<String>,
        /// From where: any, an application, or a network
        #[arg(long, value_name = "any|APP|CIDR")]
        from: Option<String>,
    },
    /// Show the openings
    #[command(after_help = "Example:\n  lace firewall show shop/riak")]
    Show {
        /// The service
        target: TargetPath,
    },
    /// Close everything
    #[command(after_help = "Example:\n  lace firewall clear shop/riak")]
    Clear {
        /// The service
        target: TargetPath,
    },
}

/// Runs `lace firewall`.
pub async fn run(args: FirewallArgs, s: &mut Session) -> Outcome {
    match args.verb {
        FirewallVerb::Set { target, openings, from } => {
            let from = from.as_deref();
            let openings: Result<Vec<Opening>, Problem> =
                openings.iter().map(|text| opening(text, from)).collect();
            set(s, &target, openings?).await
        }
        FirewallVerb::Clear { target } => set(s, &target, Vec::new()).await,
        FirewallVerb::Show { target } => show(s, &target).await,
    }
}

fn opening(text: &str, from: Option<&str>) -> Result<Opening, Problem> {
    let whole = match from {
        Some(from) if !text.contains(" from ") => format!("{text} from {from}"),
        _ => text.to_owned(),
    };
    whole.parse().map_err(|message| Problem::new(Code::Usage, message))
}

async fn set(s: &mut Session, target: &TargetPath, openings: Vec<Opening>) -> Outcome {
    let spec = ServiceSpec { firewall: Some(openings), ..ServiceSpec::default() };
    let request = about_service(target, spec)?;
    known(s, target).await?;
    submit(s, request).await
}

async fn known(s: &Session, target: &TargetPath) -> Result<ServiceSpec, Problem> {
    let service = service_of(target)?;
    let mut spec = s.client()?.export(&target.app).await?;
    spec.services.remove(&service).ok_or_else(|| {
        Problem::not_found(format_args!("service {}/{service}", target.app)).hint("lace status")
    })
}

async fn show(s: &mut Session, target: &TargetPath) -> Outcome {
    let spec = known(s, target).await?;
    let openings: Vec<String> = spec.firewall.unwrap_or_default().iter().map(ToString::to_string).collect();
    if openings.is_empty() {
        s.out.say(format!("{target}: closed to everybody outside the application"));
    }
    if s.out.for_people() {
        openings.iter().for_each(|line| s.out.line(line));
    } else {
        s.out.list(&openings, &[], |_| Vec::new());
    }
    Ok(Exit::DONE)
}
