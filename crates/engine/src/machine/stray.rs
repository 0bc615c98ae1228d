//! What providers have and what is known, compared. Machines of ours that nobody here ordered are deleted; those of other
//! installations, and those that were ordered before this state was restored, are told of and left alone. Hosts that a provider
//! has taken away are marked.

use super::Accounts;
use lace_model::event::NewEvent;
use lace_model::machine::Machine;
use lace_model::pool::Pool;
use lace_model::provider::Provider as Row;
use lace_model::{Millis, Name, Span};
use lace_providers::provider::{Error, Instance, InstanceState, Provider, Stranger};
use lace_store::{Batch, Expect, Store, StoreError};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::task::{JoinError, JoinSet};

/// Providers are asked this often.
const PERIOD_MS: Millis = 300_000;
/// Machines of others that are told of one by one.
const STRANGERS_MAX: usize = 1_000;
/// A provider's list may lack what was made so lately.
const LISTED_AFTER: Span = Span::secs(5 * 60);

/// When they are looked for again, and of which was told. A place that does not answer keeps nobody else waiting.
#[derive(Default)]
pub(super) struct Strays {
    next: Millis,
    told: BTreeSet<String>,
    looks: JoinSet<(Place, Result<Looked, Error>)>,
    looked_at: BTreeSet<Place>,
}

/// Where machines of ours may be.
pub(super) type Place = (Name, Option<String>);

/// What comes of a look.
pub(super) type Answered = Result<(Place, Result<Looked, Error>), JoinError>;

/// What was found in a place.
pub(super) struct Looked {
    /// Nobody here ordered them; they are deleted.
    deleted: Vec<Instance>,
    /// Machines of this installation, of another epoch or of none.
    older: Vec<Instance>,
    strangers: Vec<Stranger>,
    /// Keys of the machines of ours that stand.
    standing: BTreeSet<String>,
}

impl Strays {
    /// Asks everywhere, where it is time to, and is not asked already.
    ///
    /// # Errors
    /// What the store says.
    pub fn ask(
        &mut self,
        store: &Store,
        accounts: &Arc<dyn Accounts>,
        now: Millis,
    ) -> Result<(), StoreError> {
        if now < self.next {
            return Ok(());
        }
        self.next = now + PERIOD_MS;
        if self.looks.is_empty() {
            self.looked_at.clear();
        }
        for place in places(store)? {
            if self.looked_at.insert(place.clone()) {
                let (store, accounts) = (store.clone(), Arc::clone(accounts));
                self.looks.spawn(async move {
                    let looked = match accounts.open(&place.0, place.1.as_deref()) {
                        Ok(account) => look_at(&store, account.as_ref()).await,
                        Err(error) => Err(error),
                    };
                    (place, looked)
                });
            }
        }
        Ok(())
    }

    /// Is anybody asked now?
    pub fn is_busy(&self) -> bool {
        !self.looks.is_empty()
    }

    /// The next place that answers; none where nobody is asked. Nothing is lost where this is not waited for.
    pub async fn next(&mut self) -> Option<Answered> {
        self.looks.join_next().await
    }

    /// Says what was found in a place.
    ///
    /// # Errors
    /// What the store says. What a provider says is logged: the next look may do better.
    pub async fn heard(&mut self, store: &Store, answered: Answered, now: Millis) -> Result<(), StoreError> {
        let (place, looked) = match answered {
            Ok(answered) => answered,
            Err(error) => {
                tracing::error!(%error, "a provider could not be looked at");
                return Ok(());
            }
        };
        self.looked_at.remove(&place);
        match looked {
            Ok(looked) => self.tell(store, &place, looked, now).await,
            Err(error) => {
                tracing::warn!(provider = %place.0, %error, "strays could not be looked for");
                Ok(())
            }
        }
    }

    async fn tell(
        &mut self,
        store: &Store,
        place: &Place,
        looked: Looked,
        now: Millis,
    ) -> Result<(), StoreError> {
        let subject = format!("provider/{}", place.0);
        let mut batch = Batch::new(None);
        for stray in looked.deleted {
            let text = format!("deleted the machine {}: nobody here ordered it", stray.id);
            batch.event(NewEvent::new("host.stray", &subject, text));
        }
        let older = looked.older.into_iter().map(|machine| {
            let text = format!(
                "the machine {0} was ordered before this state was restored, and is not in it: it is left alone. \
                 Delete it at {1} where nothing on it is needed",
                machine.id, place.0
            );
            (machine.id, text)
        });
        let strangers = looked.strangers.into_iter().map(|Stranger { id, installation }| {
            let text = format!("the machine {id} is of installation {installation}: it is left alone");
            (id, text)
        });
        for (id, text) in older.chain(strangers) {
            if self.told.len() < STRANGERS_MAX && self.told.insert(id) {
                batch.event(NewEvent::new("host.stranger", &subject, text));
            }
        }
        if !batch.is_empty() {
            store.commit_async(batch).await?;
        }
        mark(store, place, &looked.standing, now).await
    }
}

async fn look_at(store: &Store, account: &dyn Provider) -> Result<Looked, Error> {
    let there = account.hosts().await?.into_iter();
    // Read after the list: a row is written before its machine is made.
    let epoch = store.meta().map_err(Error::temporary)?.epoch;
    let rows = store.list::<Machine>("").map_err(Error::temporary)?;
    let ordered: BTreeSet<String> =
        rows.iter().filter(|row| row.value.counts()).map(|row| row.value.id.to_string()).collect();
    let stands = |state| !matches!(state, InstanceState::Leaving | InstanceState::Gone);
    let there: Vec<Instance> = there.filter(|host| stands(host.state)).collect();
    let standing = there.iter().map(|host| host.key.to_string()).collect();
    let strays = there.into_iter().filter(|host| !ordered.contains(host.key.as_str()));
    // Only what this very state ordered can be known to be ordered by nobody.
    let (deleted, older): (Vec<_>, Vec<_>) = strays.partition(|stray| stray.epoch == Some(epoch));
    for stray in &deleted {
        account.delete_host(&stray.key).await?;
    }
    Ok(Looked { deleted, older, strangers: account.strangers().await?, standing })
}

/// Hosts that the provider has no longer, and those that it has again. Whether the host is gone, too, is the engine's to say.
async fn mark(
    store: &Store,
    place: &Place,
    standing: &BTreeSet<String>,
    now: Millis,
) -> Result<(), StoreError> {
    for row in store.list::<Machine>("")? {
        let machine = row.value;
        let here = machine.provider == place.0 && machine.region == place.1;
        if !here || !machine.is_host() || now < machine.since + LISTED_AFTER.ms() {
            continue;
        }
        // Written each time: the engine looks at it each time.
        let taken_at = (!standing.contains(&machine.id.to_string())).then_some(now);
        if taken_at.is_none() && machine.taken_at.is_none() {
            continue;
        }
        let mut batch = Batch::new(None);
        if taken_at.is_some() && machine.taken_at.is_none() {
            let instance = machine.instance.as_deref().unwrap_or("its machine");
            let text = format!("{} has {instance} no longer, and nobody here gave it back", place.0);
            batch.event(NewEvent::new("host.taken", format!("host/{}", machine.name), text));
        }
        batch.put(&Machine { taken_at, ..machine }, Expect::Rev(row.rev));
        match store.commit_async(batch).await {
            Err(StoreError::Conflict { .. }) => {}
            done => drop(done?),
        }
    }
    Ok(())
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
