//! Public addresses that stay.

use super::{Ec2, KEY, Ours, host};
use crate::ec2::action::{ElasticAddress, Which};
use crate::provider::{Address, Error, Key, Result};

pub(super) async fn create(ec2: &Ec2, key: &Key) -> Result<Address> {
    if let Some(found) = with_key(ec2, key).await? {
        return Ok(seen(found, key.clone()));
    }
    ec2.room_for(&["addresses"]).await?;
    let (id, ip) = ec2.client.allocate(&ec2.tags(key, &format!("lace {key}"))).await?;
    Ok(Address { id, key: key.clone(), ip, leads_to: None })
}

/// The first of them, should there be more: an answer that was lost may have left one that nobody had seen yet.
async fn with_key(ec2: &Ec2, key: &Key) -> Result<Option<ElasticAddress>> {
    let ours = Ours::of(ec2, key);
    let found = ec2.client.addresses(Which::Filters(&ours.filters()), KEY).await?;
    Ok(found.into_iter().min_by(|a, b| a.id.cmp(&b.id)))
}

pub(super) async fn found(ec2: &Ec2, which: Which<'_>) -> Result<Vec<Address>> {
    let all = ec2.client.addresses(which, KEY).await?.into_iter();
    Ok(all
        .filter_map(|one| Some((one.key.as_deref()?.parse().ok()?, one)))
        .map(|(key, one)| seen(one, key))
        .collect())
}

pub(super) async fn lead(ec2: &Ec2, key: &Key, to: &Key) -> Result<()> {
    let address = with_key(ec2, key).await?.ok_or_else(|| Error::not_found(format_args!("address {key}")))?;
    let machine = host::living(ec2, to).await?;
    match address.machine.as_ref() == Some(&machine.id) {
        true => Ok(()),
        false => Ok(ec2.client.lead(&address.id, &machine.id).await?),
    }
}

pub(super) async fn delete(ec2: &Ec2, key: &Key) -> Result<()> {
    while let Some(address) = with_key(ec2, key).await? {
        if let Some(association) = &address.association {
            gone(ec2.client.unlead(association).await)?;
        }
        gone(ec2.client.release(&address.id).await)?;
    }
    Ok(())
}

fn gone(done: crate::ec2::action::Answer<()>) -> Result<()> {
    match done {
        Err(fault) if fault.is_not_found() => Ok(()),
        other => Ok(other?),
    }
}

fn seen(found: ElasticAddress, key: Key) -> Address {
    Address { id: found.id, key, ip: found.ip, leads_to: found.machine }
}
