//! Networks: a VPC with a subnet for each zone, a gateway, a route table, a group of rules, a key to log in with.
//!
//! A saga: each step finds its part by tag or makes it, so that a call that broke off anywhere is repeated; a call that fails
//! takes away what it made. Deleting is the same sweep, of everything.

mod build;
mod parts;
mod range;
mod sweep;

use super::{Ec2, Ours};
use crate::ec2::action::Which;
use crate::provider::{Error, Key, Network, NetworkWanted, Result};
use parts::Parts;

/// Machines that are not gone.
const THERE: [&str; 5] = ["pending", "running", "shutting-down", "stopping", "stopped"];

pub(super) async fn ensure(ec2: &Ec2, wanted: &NetworkWanted) -> Result<Network> {
    let zones = ec2.open_zones().await?;
    if let Some(zone) = wanted.zones.iter().find(|zone| !zones.contains(zone)) {
        let zones = zones.join(", ");
        return Err(Error::invalid(format_args!(
            "{} has no zone {zone}: there are {zones}",
            ec2.client.region()
        )));
    }
    let before = parts::look(ec2, &wanted.key).await?;
    let mut now = before.clone();
    match build::build(ec2, wanted, &mut now).await {
        Ok(network) => Ok(network),
        Err(error) => Err(undo(ec2, &wanted.key, &before, now, error).await),
    }
}

/// What was made meanwhile goes: also what an answer that was lost did not tell of.
async fn undo(ec2: &Ec2, key: &Key, before: &Parts, known: Parts, error: Error) -> Error {
    let found = parts::look(ec2, key).await.unwrap_or_default();
    let made = known.and(found).but(before);
    match sweep::sweep(ec2, &made).await {
        Ok(()) => error,
        Err(left) => error.also(format_args!("what was made before that is not all undone: {left}")),
    }
}

pub(super) async fn delete(ec2: &Ec2, key: &Key) -> Result<()> {
    let parts = parts::look(ec2, key).await?;
    let inside = machines_in(ec2, &parts).await?;
    if inside > 0 {
        return Err(Error::in_use(format_args!("network {key} has {inside} machines still")));
    }
    sweep::sweep(ec2, &parts).await
}

/// Machines, anybody's, that are in our VPC, or under our rules in somebody else's.
async fn machines_in(ec2: &Ec2, parts: &Parts) -> Result<usize> {
    let vpcs: Vec<&str> = parts.vpcs.iter().map(|vpc| vpc.id.as_str()).collect();
    let groups: Vec<&str> = parts.groups.iter().map(|group| group.id.as_str()).collect();
    let mut inside = 0;
    for (name, ids) in [("vpc-id", vpcs), ("instance.group-id", groups)] {
        if !ids.is_empty() && inside == 0 {
            let filters: [(&str, &[&str]); 2] = [(name, &ids), ("instance-state-name", &THERE)];
            inside = ec2.client.machines(Which::Filters(&filters)).await?.len();
        }
    }
    Ok(inside)
}
