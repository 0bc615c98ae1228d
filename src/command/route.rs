//! `lace route`: ways in from outside.

use super::apply::submit;
use super::certificate::{self, CertVerb, ends_in};
use super::family::{about_service, service_of};
use super::{Exit, Outcome, Session};
use clap::{Args, Subcommand, ValueEnum};
use lace_model::application::ServiceSpec;
use lace_model::route::{self, RouteSpec, RouteTls, usual_host};
use lace_model::{Code, Name, Problem, ServicePath, TargetPath};
use lace_wire::route::RouteView;

const EXAMPLE: &str = "Example:\n  lace route add shop/web shop.example.com --port 8080";

/// `lace route`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct RouteArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: RouteVerb,
}

/// The verbs of `lace route`.
#[derive(Subcommand, Debug)]
pub enum RouteVerb {
    /// Add one: a host name and a path, or a port for TCP
    #[command(after_help = EXAMPLE)]
    Add {
        /// The service
        target: TargetPath,
        /// HOST, HOST/PATH, or :PORT for TCP
        #[arg(value_name = "HOST[/PATH]|:PORT")]
        door: String,
        /// Port of the nodes
        #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
        port: u16,
        /// TLS where a certificate is held for the name or can be obtained (and plain HTTP leads there), TLS by the
        /// installation's own authority, or plain HTTP only
        #[arg(long, value_enum, default_value_t = Tls::Auto)]
        tls: Tls,
        /// A client stays with the node that it got first
        #[arg(long)]
        sticky: bool,
        /// Write each request to the access log of the host that served it
        #[arg(long)]
        log: bool,
        /// Only this family, with this part of the requests; several times for several families
        #[arg(long, value_name = "FAMILY=PART", value_parser = weight)]
        weight: Vec<(Name, u16)>,
        /// Requests that a node gets at a time; more wait for a place
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
        concurrency: Option<u32>,
    },
    /// Certificates for them
    #[command(after_help = "Example:\n  lace route cert list shop")]
    Cert {
        /// What to do
        #[command(subcommand)]
        verb: CertVerb,
    },
    /// List them
    #[command(after_help = "Example:\n  lace route list shop")]
    List {
        /// Whose
        target: Option<TargetPath>,
    },
    /// Show those of a service
    #[command(after_help = "Example:\n  lace route show shop/web")]
    Show {
        /// The service
        target: TargetPath,
    },
    /// Remove one
    #[command(after_help = "Example:\n  lace route remove shop/web shop.example.com")]
    Remove {
        /// The service
        target: TargetPath,
        /// As it was added
        #[arg(value_name = "HOST[/PATH]|:PORT")]
        door: String,
    },
}

/// What a route does about TLS.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Tls {
    /// No certificate, and no way from plain HTTP to TLS
    Off,
    /// TLS where a certificate is held for the name, or can be obtained: see `lace authority`
    Auto,
    /// TLS with a certificate of the installation's own authority: see `lace authority ca`
    Internal,
}

/// Runs `lace route`.
pub async fn run(args: RouteArgs, s: &mut Session) -> Outcome {
    match args.verb {
        RouteVerb::Add { target, door, port, tls, sticky, log, weight, concurrency } => {
            let tls = match tls {
                Tls::Off => RouteTls::Off,
                Tls::Auto => RouteTls::Auto,
                Tls::Internal => RouteTls::Internal,
            };
            let route = RouteSpec {
                tls,
                sticky,
                log,
                families: weight.into_iter().collect(),
                concurrency,
                ..parse(&door, port)?
            };
            add(s, &target, route).await
        }
        RouteVerb::Cert { verb } => certificate::run(verb, s).await,
        RouteVerb::Remove { target, door } => remove(s, &target, &door).await,
        RouteVerb::List { target } => list(s, target.as_ref()).await,
        RouteVerb::Show { target } => list(s, Some(&target)).await,
    }
}

/// `backend=90`.
fn weight(text: &str) -> Result<(Name, u16), String> {
    let bad = || format!("{text:?} is not a family and its part such as backend=90");
    let (family, part) = text.split_once('=').ok_or_else(bad)?;
    let part = part.parse().ok().filter(|part| *part <= route::WEIGHT_MAX).ok_or_else(bad)?;
    Ok((Name::new(family).map_err(|error| error.to_string())?, part))
}

/// `shop.example.com/api`, or `:5432`.
fn parse(door: &str, port: u16) -> Result<RouteSpec, Problem> {
    let bad = |message: String| Problem::new(Code::Usage, message);
    if let Some(listen) = door.strip_prefix(':').or(door.strip_prefix("tcp:")) {
        let listen = listen.parse().map_err(|_| bad(format!("{door:?} is no port: write :5432")))?;
        return Ok(RouteSpec { listen: Some(listen), ..RouteSpec::new(port) });
    }
    let (host, path) = door.split_at(door.find('/').unwrap_or(door.len()));
    let path = route::path_prefix(if path.is_empty() { "/" } else { path }).map_err(bad)?;
    let host = Some(route::host_name(host).map_err(bad)?);
    Ok(RouteSpec { host, path, ..RouteSpec::new(port) })
}

fn usual(target: &TargetPath) -> Result<String, Problem> {
    Ok(usual_host(&ServicePath { app: target.app.clone(), service: service_of(target)? }))
}

async fn live(s: &Session, target: &TargetPath) -> Result<Vec<RouteSpec>, Problem> {
    let service = service_of(target)?;
    let mut spec = s.client()?.export(&target.app).await?;
    let found = spec.services.remove(&service).ok_or_else(|| {
        Problem::not_found(format_args!("service {}/{service}", target.app)).hint("lace status")
    })?;
    Ok(found.routes.unwrap_or_default())
}

async fn set(s: &mut Session, target: &TargetPath, routes: Vec<RouteSpec>) -> Outcome {
    let spec = ServiceSpec { routes: Some(routes), ..ServiceSpec::default() };
    let request = about_service(target, spec)?;
    submit(s, request).await
}

async fn add(s: &mut Session, target: &TargetPath, route: RouteSpec) -> Outcome {
    let usual = usual(target)?;
    let mut routes = live(s, target).await?;
    routes.retain(|other| other.door(&usual) != route.door(&usual));
    routes.push(route);
    set(s, target, routes).await
}

async fn remove(s: &mut Session, target: &TargetPath, door: &str) -> Outcome {
    let usual = usual(target)?;
    let gone = parse(door, 1)?.door(&usual);
    let mut routes = live(s, target).await?;
    let before = routes.len();
    routes.retain(|route| route.door(&usual) != gone);
    if routes.len() == before {
        return Err(Problem::not_found(format_args!("route {gone} of {target}"))
            .hint(format!("lace route list {target}")));
    }
    set(s, target, routes).await
}

async fn list(s: &mut Session, target: Option<&TargetPath>) -> Outcome {
    let routes = s.client()?.routes(target).await?;
    let now = s.now();
    s.out.list(&routes, &["SERVICE", "ROUTE", "PORT", "URL", "TLS", ""], |route| {
        let said = if route.declared { "" } else { "usual" };
        let remark = if route.maintenance { "maintenance" } else { said };
        vec![
            route.service.as_str().into(),
            route.door.as_str().into(),
            route.port.into(),
            route.url.as_deref().unwrap_or("-").into(),
            tls(route, now).into(),
            remark.into(),
        ]
    });
    if s.out.for_people() {
        let mut told: Vec<_> = routes.iter().filter_map(|route| route.obtaining.clone()).collect();
        told.dedup();
        told.iter().for_each(|sentence| s.out.line(sentence));
    }
    Ok(Exit::DONE)
}

/// `61 days`; `61 days, not renewed`; `ordered`.
fn tls(route: &RouteView, now: u64) -> String {
    match (route.certificate_until, &route.obtaining) {
        (Some(end), None) => ends_in(now, end),
        (Some(end), Some(_)) => format!("{}, not renewed", ends_in(now, end)),
        (None, Some(_)) => "ordered".to_owned(),
        (None, None) => "-".to_owned(),
    }
}
