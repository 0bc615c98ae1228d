//! What nobody needs any more: ended operations and tasks beyond a number, blobs that no release and no package names, the single
//! charges of months of long ago.

use lace_model::Digest;
use lace_model::Span;
use lace_model::backup::Backup;
use lace_model::money::{Account, Bill, Charge, MONTHS_IN_ROWS, Month};
use lace_model::operation::{Operation, OperationState};
use lace_model::package::StoredPackage;
use lace_model::release::{Release, Tree};
use lace_model::task::NodeTask;
use lace_store::{Batch, Expect, Row, Store, StoreError};
use std::collections::{BTreeMap, BTreeSet};

/// Ended operations that are kept; a row is about a kilobyte.
const OPERATIONS_KEPT: usize = 2_000;
/// Ended tasks that are kept; a row is half a kilobyte.
const TASKS_KEPT: usize = 2_000;
/// Blobs younger than this stay: an upload puts chunks first, and names them in a release later.
const BLOB_GRACE: Span = Span::secs(24 * 3600);

/// Charges that one transaction makes part of a bill.
const CHARGES_AT_ONCE: usize = 4_000;

/// Removes what nobody needs any more. Blocks for as long as the disk takes.
///
/// # Errors
/// What the store says.
pub fn keep_house(store: &Store) -> Result<(), StoreError> {
    drop_operations(store)?;
    drop_tasks(store)?;
    sum_up_charges(store)?;
    let mut live = BTreeSet::new();
    for tree in named_trees(store)? {
        live.insert(tree);
        let Some(bytes) = store.blobs().get(&tree)? else { continue };
        // A tree that cannot be read names nothing that may be thrown away safely: nothing is collected then.
        let Ok(tree) = serde_json::from_slice::<Tree>(&bytes) else { return Ok(()) };
        live.extend(tree.chunks());
    }
    store.blobs().collect(&live, BLOB_GRACE)?;
    Ok(())
}

/// Of releases, packages and backups.
fn named_trees(store: &Store) -> Result<BTreeSet<Digest>, StoreError> {
    let releases = store.list::<Release>("")?.into_iter().map(|row| row.value.tree);
    let packages = store.list::<StoredPackage>("")?.into_iter().map(|row| row.value.tree);
    let backups = store.list::<Backup>("")?.into_iter().map(|row| row.value.tree);
    Ok(releases.chain(packages).chain(backups).collect())
}

fn drop_operations(store: &Store) -> Result<(), StoreError> {
    let mut ended: Vec<_> = store
        .list::<Operation>("")?
        .into_iter()
        .filter(|row| row.value.state != OperationState::Running)
        .map(|row| (row.value.ended_at, row.value.id))
        .collect();
    ended.sort_unstable();
    let over = ended.len().saturating_sub(OPERATIONS_KEPT);
    let mut batch = Batch::new(None);
    for (_, id) in ended.into_iter().take(over) {
        batch.delete::<Operation>(&id.to_string(), Expect::Any);
    }
    if !batch.is_empty() {
        store.commit(batch)?;
    }
    Ok(())
}

/// Of months of long ago only the sums stay: not a millionth is lost.
fn sum_up_charges(store: &Store) -> Result<(), StoreError> {
    let accounts = store.list::<Account>("")?;
    let months: BTreeSet<Month> = accounts.iter().flat_map(|row| row.value.months.keys().copied()).collect();
    for month in months.iter().rev().skip(MONTHS_IN_ROWS) {
        let charges = store.list::<Charge>(&format!("{month}/"))?;
        for some in charges.chunks(CHARGES_AT_ONCE) {
            sum_up(store, *month, some)?;
        }
    }
    Ok(())
}

fn sum_up(store: &Store, month: Month, charges: &[Row<Charge>]) -> Result<(), StoreError> {
    let known = store.list::<Bill>(&format!("{month}/"))?;
    let expect: BTreeMap<String, Expect> =
        known.iter().map(|row| (row.value.currency.clone(), Expect::Rev(row.rev))).collect();
    let mut bills: BTreeMap<String, Bill> =
        known.into_iter().map(|row| (row.value.currency.clone(), row.value)).collect();
    let mut batch = Batch::new(None);
    for charge in charges {
        let currency = charge.value.currency.clone();
        bills.entry(currency.clone()).or_insert_with(|| Bill::new(month, currency)).enter(&charge.value);
        batch.delete::<Charge>(&charge.value.key(), Expect::Rev(charge.rev));
    }
    for (currency, bill) in &bills {
        batch.put(bill, expect.get(currency).copied().unwrap_or(Expect::Absent));
    }
    store.commit(batch).map(drop)
}

/// Those of running operations stay: they are what the operation waits for.
fn drop_tasks(store: &Store) -> Result<(), StoreError> {
    let operations = store.list::<Operation>("")?.into_iter().map(|row| row.value);
    let running: BTreeSet<_> =
        operations.filter(|o| o.state == OperationState::Running).map(|o| o.id).collect();
    let mut ended: Vec<_> = store
        .list::<NodeTask>("")?
        .into_iter()
        .map(|row| row.value)
        .filter(|task| !task.state.is_open() && task.operation.is_none_or(|id| !running.contains(&id)))
        .map(|task| (task.ended_at, task.id))
        .collect();
    ended.sort_unstable();
    let over = ended.len().saturating_sub(TASKS_KEPT);
    let mut batch = Batch::new(None);
    for (_, id) in ended.into_iter().take(over) {
        batch.delete::<NodeTask>(&id.to_string(), Expect::Any);
    }
    if !batch.is_empty() {
        store.commit(batch)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_model::OperationId;
    use lace_store::{ManualClock, MasterKey};
    use std::sync::Arc;

    #[test]
    fn the_newest_ended_operations_stay_and_running_ones_too() {
        let store = Store::open_in_memory(MasterKey::from_bytes([1; 32]), Arc::new(ManualClock::at(1)))
            .expect("store");
        let mut batch = Batch::new(None);
        for n in 0..(OPERATIONS_KEPT as u64 + 5) {
            let operation = Operation {
                id: OperationId::derive(&[0; 32], &n.to_string()),
                verb: "scale".into(),
                subject: "shop".into(),
                actor: "test".into(),
                waits: Vec::new(),
                state: if n == 0 { OperationState::Running } else { OperationState::Done },
                code: None,
                message: String::new(),
                details: Vec::new(),
                started_at: n,
                ended_at: (n > 0).then_some(n),
                held_until: None,
            };
            batch.put(&operation, Expect::Absent);
        }
        store.commit(batch).expect("put");
        keep_house(&store).expect("kept");
        let left = store.list::<Operation>("").expect("list");
        assert_eq!(left.len(), OPERATIONS_KEPT + 1);
        assert!(left.iter().all(|row| row.value.ended_at.is_none_or(|at| at > 4)));
    }
}
