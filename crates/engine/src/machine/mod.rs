//! Machines that were ordered: made at their provider, waited for, given up, taken away.
//!
//! The planner orders, by rows; this room makes them so, beside the loop, since providers take their time. It reads everything
//! again each time, and a row's id is the key at the provider: what broke off is simply done again.

mod make;
mod stray;

use lace_model::event::NewEvent;
use lace_model::machine::{ASK_AGAIN_AFTER, BOOT_WITHIN, Machine, MachineState};
use lace_model::{HostId, Millis, Name};
use lace_providers::provider::{Error, Key, Provider};
use lace_store::{Batch, Clock, Expect, Row, Store, StoreError};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Everything is looked at again this often.
const PERIOD: Duration = Duration::from_secs(10);
/// Changes that come close upon each other are taken together.
const REST: Duration = Duration::from_secs(1);
/// Machines that are tended at once at each provider: they limit how often they are asked.
const AT_ONCE: usize = 8;
/// What failed and may pass is tried again after so long at first, then after twice that, and so on.
const AGAIN_MS: Millis = 5_000;
const AGAIN_MS_MAX: Millis = 60_000;
/// One look waits so long for providers. Whoever takes longer is heard in a later one, and keeps nobody else waiting.
const PATIENCE: Duration = Duration::from_secs(2);
/// A row that changed while its machine was made is read and written anew at most so often.
const MERGES_MAX: usize = 4;

/// The way to providers; handed in by the composition.
pub trait Accounts: Send + Sync + 'static {
    /// An account of a provider in a region. The same value for all machines there.
    ///
    /// # Errors
    /// Where its credentials are missing, or it has no machines.
    fn open(&self, provider: &Name, region: Option<&str>) -> Result<Arc<dyn Provider>, Error>;

    /// What the machine boots with, its ticket in it: the same text each time.
    ///
    /// # Errors
    /// Where none can be made now.
    fn user_data(&self, machine: &Machine) -> Result<String, Error>;

    /// Its ticket is of no use any more: nobody joins with it from now on.
    fn forget(&self, machine: &Machine);
}

/// Tends machines until the store cannot be written.
///
/// # Errors
/// What the store says.
pub async fn keep_machines(
    store: Store,
    clock: Arc<dyn Clock>,
    accounts: Arc<dyn Accounts>,
) -> Result<(), StoreError> {
    let mut changed = store.watch();
    let mut machines = Machines::new(store, clock, accounts);
    loop {
        machines.turn().await?;
        tokio::time::sleep(REST).await;
        let period = if machines.is_busy() { Duration::ZERO } else { PERIOD };
        tokio::select! {
            Ok(()) = changed.changed() => {}
            () = tokio::time::sleep(period) => {}
        }
    }
}

/// All machines, and when each is looked at again.
pub struct Machines {
    store: Store,
    clock: Arc<dyn Clock>,
    accounts: Arc<dyn Accounts>,
    later: HashMap<HostId, Later>,
    strays: stray::Strays,
    tended: JoinSet<(Row<Machine>, Next)>,
    /// Those that are being tended, and at whose provider.
    busy: HashMap<HostId, Name>,
}

#[derive(Clone, Copy)]
struct Later {
    at: Millis,
    pause_ms: Millis,
}

/// What becomes of a machine.
enum Next {
    Stay,
    /// It is so now.
    Put(Machine),
    /// Not yet, for the reason in it.
    Again(Machine),
    /// Nothing of it is left, its row included.
    Gone,
}

impl Machines {
    /// Nothing is asked yet.
    pub fn new(store: Store, clock: Arc<dyn Clock>, accounts: Arc<dyn Accounts>) -> Self {
        let (later, busy) = Default::default();
        Self { store, clock, accounts, later, strays: stray::Strays::default(), tended: JoinSet::new(), busy }
    }

    /// Is any provider asked now?
    pub fn is_busy(&self) -> bool {
        !self.busy.is_empty() || self.strays.is_busy()
    }

    /// Looks at all once. Providers that take longer than two seconds are heard in a later look.
    ///
    /// # Errors
    /// What the store says.
    pub async fn turn(&mut self) -> Result<(), StoreError> {
        // After a restore, what is there may be more than what is known: nothing is touched until a person has looked.
        if self.store.meta()?.adopt {
            return Ok(());
        }
        self.strays.ask(&self.store, &self.accounts, self.clock.now_ms())?;
        let rows = self.store.list::<Machine>("")?;
        self.later.retain(|id, _| rows.iter().any(|row| row.value.id == *id));
        let now = self.clock.now_ms();
        let last = lasts(&rows);
        let due = |row: &Row<Machine>| self.later.get(&row.value.id).is_none_or(|later| later.at <= now);
        let mut waiting: Vec<Row<Machine>> =
            rows.into_iter().filter(|row| due(row) && !self.busy.contains_key(&row.value.id)).collect();
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            for row in std::mem::take(&mut waiting) {
                if self.busy.values().filter(|provider| **provider == row.value.provider).count() < AT_ONCE {
                    self.begin(row, &last, now);
                } else {
                    waiting.push(row);
                }
            }
            if self.tended.is_empty() {
                self.busy.clear();
            }
            if !self.is_busy() {
                return Ok(());
            }
            tokio::select! {
                biased;
                Some(tended) = self.tended.join_next() => match tended {
                    Ok((row, next)) => {
                        self.busy.remove(&row.value.id);
                        self.write(row, next).await?;
                    }
                    Err(error) => tracing::error!(%error, "a machine could not be tended"),
                },
                Some(looked) = self.strays.next() => self.strays.heard(&self.store, looked, now).await?,
                () = tokio::time::sleep_until(until) => return Ok(()),
            }
        }
    }

    fn begin(&mut self, row: Row<Machine>, last: &HashSet<HostId>, now: Millis) {
        let (store, accounts) = (self.store.clone(), Arc::clone(&self.accounts));
        let last = last.contains(&row.value.id);
        self.busy.insert(row.value.id, row.value.provider.clone());
        self.tended.spawn(async move {
            let next = tend(&store, accounts.as_ref(), &row.value, last, now).await;
            (row, next)
        });
    }

    async fn write(&mut self, row: Row<Machine>, next: Next) -> Result<(), StoreError> {
        let (id, now) = (row.value.id, self.clock.now_ms());
        let mut batch = Batch::new(None);
        let mut made = None;
        match next {
            Next::Stay => return Ok(()),
            Next::Again(machine) => {
                let pause_ms =
                    self.later.get(&id).map_or(AGAIN_MS, |later| (later.pause_ms * 2).min(AGAIN_MS_MAX));
                self.later.insert(id, Later { at: now + pause_ms, pause_ms });
                if machine == row.value {
                    return Ok(());
                }
                batch.put(&machine, Expect::Rev(row.rev));
            }
            Next::Put(machine) => {
                self.later.remove(&id);
                batch.event(told(&machine));
                batch.put(&machine, Expect::Rev(row.rev));
                made = Some(machine).filter(|machine| machine.state == MachineState::Made);
            }
            Next::Gone => {
                self.later.remove(&id);
                batch.delete::<Machine>(&id.to_string(), Expect::Rev(row.rev));
            }
        }
        match self.store.commit_async(batch).await {
            // It changed meanwhile, and is looked at again; what was bought is not forgotten over that.
            Err(StoreError::Conflict { .. }) => match made {
                Some(made) => self.keep(&made).await,
                None => Ok(()),
            },
            done => done.map(drop),
        }
    }

    /// A machine was made while its row became another one: that one says now what was made.
    async fn keep(&self, made: &Machine) -> Result<(), StoreError> {
        for _ in 0..MERGES_MAX {
            let row = self.store.get::<Machine>(&made.id.to_string())?;
            let Some(Row { value, rev }) = row.filter(|row| row.value.instance.is_none()) else { break };
            let Machine { instance, zone, kind, address, .. } = made.clone();
            let mut batch = Batch::new(None);
            batch.put(&Machine { instance, zone, kind, address, ..value }, Expect::Rev(rev));
            match self.store.commit_async(batch).await {
                Err(StoreError::Conflict { .. }) => {}
                done => return done.map(drop),
            }
        }
        Ok(())
    }
}

fn told(machine: &Machine) -> NewEvent {
    let subject = format!("host/{}", machine.name);
    let (pool, why) = (&machine.pool, machine.why.as_deref().unwrap_or("nobody knows why"));
    match machine.state {
        MachineState::Made => {
            let instance = machine.instance.as_deref().unwrap_or("a machine");
            NewEvent::new("host.made", subject, format!("{} made {instance}: it boots", machine.provider))
        }
        MachineState::GivenUp => {
            NewEvent::new("host.given-up", subject, format!("pool {pool} gave no host: {why}"))
        }
        _ => NewEvent::new("host.leaves", subject, format!("its machine goes back to pool {pool}")),
    }
}

/// Machines with which nothing of ours is left at their provider, in their region: the network goes with them. Of several that
/// leave together each tries, and whoever comes after the others have gone succeeds.
fn lasts(rows: &[Row<Machine>]) -> HashSet<HostId> {
    let place = |machine: &Machine| (machine.provider.clone(), machine.region.clone());
    let alone = |row: &&Row<Machine>| {
        let mut others = rows.iter().filter(|other| other.value.id != row.value.id);
        let stays = |other: &Machine| other.counts() && other.state != MachineState::Leaving;
        !others.any(|other| stays(&other.value) && place(&other.value) == place(&row.value))
    };
    rows.iter().filter(alone).map(|row| row.value.id).collect()
}

async fn tend(store: &Store, accounts: &dyn Accounts, machine: &Machine, last: bool, now: Millis) -> Next {
    let late = now >= machine.ordered_at + BOOT_WITHIN.ms();
    match machine.state {
        MachineState::Ordered | MachineState::Made if late => give_up(accounts, machine, now).await,
        MachineState::Ordered => make::make(store, accounts, machine, now).await,
        MachineState::Leaving => leave(store, accounts, machine, last).await,
        MachineState::GivenUp if now >= machine.since + ASK_AGAIN_AFTER.ms() => {
            forget(store, accounts, machine, last).await
        }
        MachineState::Made | MachineState::Joined | MachineState::GivenUp => Next::Stay,
    }
}

/// Its time is over.
async fn give_up(accounts: &dyn Accounts, machine: &Machine, now: Millis) -> Next {
    let was = machine.why.clone().unwrap_or_else(|| "it was made, and did not join".to_owned());
    abandon(accounts, machine, format!("not there within {BOOT_WITHIN}: {was}"), now).await
}

/// Nothing of it is left, whether it was made or not: it is paid for no longer, and nobody joins with its ticket.
async fn abandon(accounts: &dyn Accounts, machine: &Machine, why: String, now: Millis) -> Next {
    match delete(accounts, machine).await {
        // Who does not let us in made nothing that is known; what there is all the same is found as a stray.
        // What it says is what is wrong now, the same each time.
        Err(error) if error.may_pass() || machine.instance.is_some() => Next::Again(Machine {
            why: Some(format!("cannot be deleted: {}", words(&error))),
            ..machine.clone()
        }),
        _ => {
            accounts.forget(machine);
            Next::Put(Machine { why: Some(why), ..machine.clone() }.now(MachineState::GivenUp, now))
        }
    }
}

async fn leave(store: &Store, accounts: &dyn Accounts, machine: &Machine, last: bool) -> Next {
    let left = match delete(accounts, machine).await {
        Ok(()) if last => make::delete_network(store, accounts, machine).await,
        other => other,
    };
    match left {
        Ok(()) => {
            accounts.forget(machine);
            Next::Gone
        }
        Err(error) => Next::Again(because(machine, &error)),
    }
}

/// Nothing of the machine is left. Its network may be, where it was made before the machine could not be.
async fn forget(store: &Store, accounts: &dyn Accounts, machine: &Machine, last: bool) -> Next {
    let left = if last { make::delete_network(store, accounts, machine).await } else { Ok(()) };
    match left {
        Err(error) if error.may_pass() => Next::Again(because(machine, &error)),
        _ => Next::Gone,
    }
}

async fn delete(accounts: &dyn Accounts, machine: &Machine) -> Result<(), Error> {
    account(accounts, machine)?.delete_host(&key(machine)).await
}

/// The account that it is ordered from.
fn account(accounts: &dyn Accounts, machine: &Machine) -> Result<Arc<dyn Provider>, Error> {
    accounts.open(&machine.provider, machine.region.as_deref())
}

fn because(machine: &Machine, error: &Error) -> Machine {
    Machine { why: Some(words(error)), ..machine.clone() }
}

fn words(error: &Error) -> String {
    error.hint().map_or_else(|| error.to_string(), |hint| format!("{error} ({hint})"))
}

/// An id in small letters is a key anywhere.
fn key(machine: &Machine) -> Key {
    let text = machine.id.to_string();
    Key::new(&text).unwrap_or_else(|_| unreachable!("{text} is an id"))
}
