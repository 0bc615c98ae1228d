//! Role `sim`: a simulated account in a process of its own, whose machines are hosts over the real link.
//!
//! `lace provider add moon --kind sim --region sim --endpoint http://127.0.0.1:7490` makes it one of an installation. Everything is in
//! memory: when this process ends, its machines vanish, as those of a provider would that burned down.

use super::{Failure, asked_to_end, block_on};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use axum::{Json, Router};
use clap::Parser;
use lace_agent::AgentError;
use lace_model::host::{Capacity, JoinTicket};
use lace_model::{ByteSize, CpuMillis, Name, Span};
use lace_providers::provider::{Error, HostKind, Result};
use lace_providers::sim::{Cloud, Question, Shape};
use lace_store::{Clock, SystemClock};
use lace_wire::link::frame::HostFacts;
use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// A question has what a machine boots with, and little more.
const QUESTION_BYTES_MAX: usize = 128 << 10;
/// Machines come up, and go, this often.
const LOOK: Duration = Duration::from_millis(100);
/// What machines boot from, and are.
const IMAGE: &str = "base";
const KIND: &str = "small";
const REGION: &str = "sim";

/// The role's words.
#[derive(Parser, Debug, Clone)]
#[command(name = "lace sim")]
pub struct SimArgs {
    /// Where it answers; an address of this machine's own
    #[arg(long, default_value = "127.0.0.1:7490")]
    pub listen: SocketAddr,
    /// Machines at most
    #[arg(long, default_value_t = 10_000)]
    pub hosts: usize,
    /// How long a machine boots
    #[arg(long, default_value = "2s")]
    pub boot: Span,
    /// Zones
    #[arg(long, default_values_t = ["sim-a".to_owned(), "sim-b".to_owned()], value_delimiter = ',')]
    pub zones: Vec<String>,
    /// Processors of a machine
    #[arg(long, default_value = "4")]
    pub cpu: CpuMillis,
    /// Memory of a machine
    #[arg(long, default_value = "8GiB")]
    pub memory: ByteSize,
    /// Nodes that a machine takes at most
    #[arg(long, default_value_t = 100)]
    pub slots: u32,
}

/// Runs the role.
pub fn main(words: Vec<String>) -> ExitCode {
    let args = SimArgs::parse_from(std::iter::once("lace sim".into()).chain(words));
    block_on(2, "sim", serve(args))
}

async fn serve(args: SimArgs) -> std::result::Result<(), Failure> {
    if !args.listen.ip().is_loopback() {
        return Err(super::Usage(format!(
            "--listen {}: nothing here is encrypted: use 127.0.0.1",
            args.listen
        ))
        .into());
    }
    let cloud = Cloud::new(shape(&args), Arc::new(|| SystemClock.now_ms()));
    let tcp = tokio::net::TcpListener::bind(args.listen).await;
    let tcp = tcp.map_err(|error| format!("cannot listen on {}: {error}", args.listen))?;
    tracing::info!(listen = %tcp.local_addr()?, hosts = args.hosts, "simulates machines");
    let router = Router::new().route("/call", post(call)).layer(DefaultBodyLimit::max(QUESTION_BYTES_MAX));
    let router = router.with_state(cloud.clone());
    tokio::select! {
        () = asked_to_end() => Ok(()),
        () = live(cloud, facts(&args)) => Ok(()),
        ended = axum::serve(tcp, router).into_future() => Ok(ended?),
    }
}

fn shape(args: &SimArgs) -> Shape {
    let memory_mib = args.memory.0 >> 20;
    let (name, architectures) = (KIND.to_owned(), vec![std::env::consts::ARCH.to_owned()]);
    Shape {
        secret: std::env::var("LACE_SIM_SECRET").unwrap_or_default(),
        region: REGION.to_owned(),
        zones: args.zones.clone(),
        kinds: vec![HostKind { name, cpus: args.cpu.0.div_ceil(1000), memory_mib, architectures }],
        images: vec![IMAGE.to_owned()],
        boot_ms: args.boot.ms(),
        leave_ms: 1_000,
        networks_max: 10,
        hosts_max: args.hosts,
        addresses_max: args.hosts,
        volumes_max: args.hosts,
    }
}

/// Releases find on a simulated machine what this one has.
fn facts(args: &SimArgs) -> HostFacts {
    let mut facts =
        lace_agent::host_facts(Capacity { cpu: args.cpu, memory: args.memory, slots: args.slots });
    facts.attributes.insert("simulated".to_owned(), "true".to_owned());
    facts
}

async fn call(State(cloud): State<Cloud>, body: Bytes) -> Json<Result<Value>> {
    Json(match serde_json::from_slice::<Question>(&body) {
        Ok(question) => cloud.answer(question).await,
        Err(error) => Err(Error::invalid(format_args!("this is no question: {error}"))),
    })
}

/// Gives each machine that runs a life as a host, as long as it runs.
async fn live(cloud: Cloud, facts: HostFacts) {
    let mut alive: HashMap<String, AbortHandle> = HashMap::new();
    let mut looks = tokio::time::interval(LOOK);
    loop {
        looks.tick().await;
        let mut running: HashMap<String, Option<String>> = HashMap::new();
        cloud.running(|id, booted_with| {
            let new = (!alive.contains_key(id)).then(|| booted_with.to_owned());
            running.insert(id.to_owned(), new);
        });
        alive.retain(|id, life| {
            let runs = running.contains_key(id);
            if !runs {
                life.abort();
            }
            runs
        });
        for (id, booted_with) in running.into_iter().filter_map(|(id, new)| Some((id, new?))) {
            let life = tokio::spawn(one(id.clone(), booted_with, facts.clone()));
            alive.insert(id, life.abort_handle());
        }
    }
}

async fn one(id: String, booted_with: String, facts: HostFacts) {
    let ticket = match booted_with.parse::<JoinTicket>() {
        Ok(ticket) => ticket,
        Err(error) => return tracing::warn!(id, error, "a machine booted with no ticket"),
    };
    let named = ticket.name.clone().map_or_else(|| Name::new(&id), Ok);
    let Ok(name) = named else { return tracing::warn!(id, "no name for a host") };
    match lace_agent::simulate(&ticket, name, facts).await {
        Ok(()) | Err(AgentError::Dismissed) => {}
        Err(error) => tracing::warn!(id, %error, "a machine is no host"),
    }
}
