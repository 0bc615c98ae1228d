//! Makes a machine: its network, then itself. What its pool says is what it becomes.

use super::{Accounts, Next, abandon, account, because, key, words};
use lace_model::Millis;
use lace_model::machine::{Machine, MachineState};
use lace_model::pool::{ADOPT, Pool};
use lace_providers::provider::{
    EPOCH, Error, HostWanted, Instance, Key, Network, NetworkWanted, Port, Provider,
};
use lace_store::Store;
use std::collections::BTreeMap;

/// What machines of ours have at every provider, inside: far from the addresses of nodes (10.192.0.0/10).
const RANGE: &str = "10.80.0.0/16";
/// The attribute of pools whose machines may be taken away, for less money.
const SPOT: &str = "spot";
/// The attribute of pools that says the size of the first disk.
const DISK: &str = "disk_gib";

pub(super) async fn make(store: &Store, accounts: &dyn Accounts, machine: &Machine, now: Millis) -> Next {
    match made(store, accounts, machine).await {
        Ok(instance) => {
            let Instance { id, zone, kind, private, .. } = instance;
            let (instance, zone, kind) = (Some(id), Some(zone), Some(kind));
            let made = Machine { instance, zone, kind, address: private, why: None, ..machine.clone() };
            Next::Put(made.now(MachineState::Made, now))
        }
        Err(error) if may_come(&error) => Next::Again(because(machine, &error)),
        // Another pool is next.
        Err(error) => abandon(accounts, machine, words(&error), now).await,
    }
}

/// No room here is a reason to ask elsewhere, not to wait.
fn may_come(error: &Error) -> bool {
    matches!(
        error,
        Error::Throttled { .. } | Error::Temporary { .. } | Error::InUse { .. } | Error::NotFound { .. }
    )
}

async fn made(store: &Store, accounts: &dyn Accounts, machine: &Machine) -> Result<Instance, Error> {
    let pool = store.get::<Pool>(machine.pool.as_str()).map_err(Error::temporary)?.map(|row| row.value);
    let pool =
        pool.ok_or_else(|| Error::invalid(format_args!("there is no pool {} any more", machine.pool)))?;
    let said = |what: &Option<String>, word: &str| {
        let lacks = || Error::invalid(format_args!("pool {} says no {word}", pool.name));
        what.clone().ok_or_else(lacks)
    };
    let (kind, image) = (said(&pool.profile, "profile")?, said(&pool.image, "image")?);
    let account = account(accounts, machine)?;
    // Before anything is made: where machines could not call us, none is.
    let user_data = accounts.user_data(machine)?;
    let mut tags = BTreeMap::from([("lace-pool".to_owned(), pool.name.to_string())]);
    tags.extend(machine.epoch.map(|epoch| (EPOCH.to_owned(), epoch.to_string())));
    let (network, zone) = network(account.as_ref(), &pool).await?;
    let wanted = HostWanted {
        key: key(machine),
        name: format!("lace {}", machine.name),
        network,
        zone: Some(zone),
        kind,
        image,
        user_data,
        spot: pool.attributes.get(SPOT).is_some_and(|said| said == "true"),
        disk_gib: pool.attributes.get(DISK).and_then(|said| said.parse().ok()),
        tags,
    };
    account.create_host(&wanted).await
}

/// One network for all machines of an account in a region, so that they reach each other.
async fn network(account: &dyn Provider, pool: &Pool) -> Result<(Network, String), Error> {
    let zone = match &pool.zone {
        Some(zone) => zone.clone(),
        None => account.zones().await?.into_iter().next().ok_or_else(|| Error::NoCapacity {
            what: format!("no zone takes machines of pool {}", pool.name),
        })?,
    };
    let everywhere = ["0.0.0.0/0"];
    let wanted = NetworkWanted {
        key: network_key(Some(pool))?,
        range: RANGE.to_owned(),
        zones: vec![zone.clone()],
        adopt: pool.attributes.get(ADOPT).cloned(),
        ports: vec![Port::tcp(80, &everywhere), Port::tcp(443, &everywhere)],
        login: None,
    };
    Ok((account.ensure_network(&wanted).await?, zone))
}

fn network_key(pool: Option<&Pool>) -> Result<Key, Error> {
    let adopt = pool.and_then(|pool| pool.attributes.get(ADOPT));
    let named = adopt.map_or("net".to_owned(), |vpc| format!("net-{vpc}"));
    Key::new(&named).map_err(Error::invalid)
}

/// The network that a machine was in goes, once the machine is gone for good.
pub(super) async fn delete_network(
    store: &Store,
    accounts: &dyn Accounts,
    machine: &Machine,
) -> Result<(), Error> {
    let pool = store.get::<Pool>(machine.pool.as_str()).map_err(Error::temporary)?.map(|row| row.value);
    account(accounts, machine)?.delete_network(&network_key(pool.as_ref())?).await
}
