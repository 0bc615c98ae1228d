//! One batch, step by step, on a connection that is inside a transaction.

use crate::batch::{Batch, Committed, Step};
use crate::heads::Heads;
use crate::{ChangeRow, MasterKey, Result, Rev, audit, event, meta, object, secret};
use lace_model::Millis;
use rusqlite::Connection;

/// Everything that a step may touch.
pub(crate) struct Bench<'a> {
    pub conn: &'a Connection,
    pub heads: &'a mut Heads,
    pub key: &'a MasterKey,
    pub now: Millis,
}

/// Does all steps, or stops at the first that cannot be done: then the caller rolls back.
pub(crate) fn apply(bench: &mut Bench<'_>, batch: &Batch) -> Result<Committed> {
    let mut done = Committed::default();
    for step in &batch.steps {
        apply_step(bench, batch.actor.as_deref(), step, &mut done)?;
    }
    done.rev = Rev(bench.heads.rev);
    done.event = bench.heads.event;
    Ok(done)
}

fn apply_step(bench: &mut Bench<'_>, actor: Option<&str>, step: &Step, done: &mut Committed) -> Result<()> {
    let (conn, now) = (bench.conn, bench.now);
    let heads = &mut *bench.heads;
    match step {
        Step::Require { kind, key, expect } => object::require(conn, kind, key, *expect)?,
        Step::Put { kind, key, schema, json, expect } => {
            let put = object::Put { kind, key, schema: *schema, json, expect: *expect };
            done.changes.extend(object::put(conn, heads, &put)?);
        }
        Step::Delete { kind, key, expect } => {
            done.changes.extend(object::delete(conn, heads, (kind, key), *expect)?);
        }
        Step::Event(new) => event::add(conn, heads, now, new, actor)?,
        Step::Audit { action, subject, outcome } => {
            audit::add(conn, heads, &audit::Entry { at: now, actor, action, subject, outcome })?;
        }
        Step::SecretPut { app, name, value, generated } => {
            let put = secret::Put { app, name, value, generated: *generated };
            let (change, version): (ChangeRow, u64) = secret::put(conn, heads, bench.key, now, &put)?;
            done.changes.push(change);
            done.secrets.push((app.clone(), name.clone(), version));
        }
        Step::SecretRemove { app, name } => {
            done.changes.extend(secret::remove(conn, heads, app, name.as_deref())?);
        }
        Step::SecretCopy { from, to } => {
            done.changes.extend(secret::copy(conn, heads, bench.key, from, to)?);
        }
        Step::Adopted => meta::adopted(conn)?,
    }
    Ok(())
}
