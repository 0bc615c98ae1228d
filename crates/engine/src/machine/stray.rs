//! Machines at providers that nobody here ordered: ours are deleted, those of other installations are told of and left alone.

use super::Accounts;
use lace_model::event::NewEvent;
use lace_model::machine::Machine;
use lace_model::pool::Pool;
use lace_model::provider::Provider as Row;
use lace_model::{Millis, Name};
use lace_providers::provider::{Error, InstanceState, Provider};
use lace_store::{Batch, Store, StoreError};
use std::collections::BTreeSet;

/// Providers are asked this often.
const PERIOD_MS: Millis = 300_000;
/// Machines of others that are told of one by one.
const STRANGERS_MAX: usize = 1_000;

/// When they are looked for again, and of which was told.
#[derive(Default)]
pub(super) struct Strays {
    next: Millis,
    told: BTreeSet<String>,
}

/// Where machines of ours may be.
type Place = (Name, Option<String>);

impl Strays {
    /// Looks everywhere, where it is time to.
    ///
    /// # Errors
    /// What the store says. What a provider says is logged: the next look may do better.
    pub async fn look(
        &mut self,
        store: &Store,
        accounts: &dyn Accounts,
        now: Millis,
    ) -> Result<(), StoreError> {
        if now < self.next {
            return Ok(());
        }
        self.next = now + PERIOD_MS;
        for (provider, region) in places(store)? {
            let mut batch = Batch::new(None);
            let looked = match accounts.open(&provider, region.as_deref()) {
                Ok(account) => self.look_at(store, account.as_ref(), &provider, &mut batch).await,
                Err(error) => Err(error),
            };
            if let Err(error) = looked {
                tracing::warn!(%provider, %error, "strays could not be looked for");
            }
            if !batch.is_empty() {
                store.commit_async(batch).await?;
            }
        }
        Ok(())
    }

    async fn look_at(
        &mut self,
        store: &Store,
        account: &dyn Provider,
        provider: &Name,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let subject = format!("provider/{provider}");
        let there = account.hosts().await?.into_iter();
        // Read after the list: a row is written before its machine is made.
        let rows = store.list::<Machine>("").map_err(Error::temporary)?;
        let ordered: BTreeSet<String> =
            rows.iter().filter(|row| row.value.counts()).map(|row| row.value.id.to_string()).collect();
        let stands = |state| !matches!(state, InstanceState::Leaving | InstanceState::Gone);
        for stray in there.filter(|host| stands(host.state) && !ordered.contains(host.key.as_str())) {
            account.delete_host(&stray.key).await?;
            let text = format!("deleted the machine {}: nobody here ordered it", stray.id);
            batch.event(NewEvent::new("host.stray", &subject, text));
        }
        for stranger in account.strangers().await? {
            if self.told.len() < STRANGERS_MAX && self.told.insert(stranger.id.clone()) {
                let (id, whose) = (stranger.id, stranger.installation);
                let text = format!("the machine {id} is of installation {whose}: it is left alone");
                batch.event(NewEvent::new("host.stranger", &subject, text));
            }
        }
        Ok(())
    }
}

/// The accounts and regions of all pools that hosts are made from, and of all machines.
fn places(store: &Store) -> Result<BTreeSet<Place>, StoreError> {
    let providers = store.list::<Row>("")?;
    let known = |name: &Name| providers.iter().map(|row| &row.value).find(|row| row.name == *name);
    let pools = store.list::<Pool>("")?.into_iter().filter_map(|pool| {
        let provider = known(&pool.value.provider).filter(|row| row.makes_hosts())?;
        let region = pool.value.region.or_else(|| provider.region.clone());
        Some((provider.name.clone(), region))
    });
    let machines = store.list::<Machine>("")?.into_iter();
    let machines = machines.map(|row| (row.value.provider, row.value.region));
    Ok(pools.chain(machines).filter(|(name, _)| known(name).is_some()).collect())
}
