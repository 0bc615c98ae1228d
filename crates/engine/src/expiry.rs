//! Certificates that end soon: an event some days before, and once more as the end comes nearer.

use lace_model::Millis;
use lace_model::event::NewEvent;
use lace_model::family::Application;
use lace_planner::{days_left, warning_due};
use lace_store::{Batch, Expect, Row, Store, StoreError};

/// Warns of what is due. A row that changed meanwhile is looked at the next time.
///
/// # Errors
/// What the store says.
pub fn warn_of_certificates(store: &Store, now: Millis) -> Result<(), StoreError> {
    for row in store.list::<Application>("")? {
        match warn(store, row, now) {
            Err(StoreError::Conflict { .. }) => {}
            done => done?,
        }
    }
    Ok(())
}

fn warn(store: &Store, mut row: Row<Application>, now: Millis) -> Result<(), StoreError> {
    let mut batch = Batch::new(None);
    let failing: Vec<String> =
        row.value.obtaining.iter().filter(|o| o.failures > 0).map(|o| o.host.clone()).collect();
    for certificate in &mut row.value.certificates {
        // What Lace renews by itself is told of where that fails.
        let is_given = certificate.source.is_given();
        if !is_given && !failing.contains(&certificate.host) {
            continue;
        }
        let Some(step) = warning_due(certificate, now) else { continue };
        certificate.warned_days = Some(step);
        let subject = format!("{}/certificate/{}", row.value.name, certificate.host);
        let (kind, message) = match days_left(certificate, now) {
            _ if step == 0 => ("certificate.ended", "it has ended: clients refuse it".to_owned()),
            days if !is_given => (
                "certificate.ends-soon",
                format!("it ends in {days} days and could not be renewed so far: see `lace route show`"),
            ),
            days => (
                "certificate.ends-soon",
                format!("it ends in {days} days: give a new one with `lace route cert add`"),
            ),
        };
        batch.event(NewEvent::new(kind, subject, message));
    }
    if batch.is_empty() {
        return Ok(());
    }
    batch.put(&row.value, Expect::Rev(row.rev));
    store.commit(batch).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_model::Digest;
    use lace_model::certificate::{Certificate, CertificateSource};
    use lace_store::{ManualClock, MasterKey};
    use std::sync::Arc;

    #[test]
    fn an_end_that_comes_is_told_once_for_each_step() {
        const DAY_MS: Millis = 24 * 3_600 * 1_000;
        let store = Store::open_in_memory(MasterKey::from_bytes([1; 32]), Arc::new(ManualClock::at(1)))
            .expect("store");
        let certificate = Certificate {
            host: "a.b".into(),
            names: vec!["a.b".into()],
            not_before: 0,
            not_after: 100 * DAY_MS,
            issuer: String::new(),
            digest: Digest::of(b"a"),
            version: 1,
            added_at: 0,
            warned_days: None,
            source: CertificateSource::Given,
        };
        let mut app = Application::new("shop".parse().expect("a name"), 1);
        app.certificates.push(certificate);
        let mut batch = Batch::new(None);
        batch.put(&app, Expect::Absent);
        store.commit(batch).expect("committed");
        let mut told = Vec::new();
        for day in [10, 70, 71, 94, 94, 99, 101, 300] {
            let before = *store.watch_events().borrow();
            warn_of_certificates(&store, day * DAY_MS).expect("looked at");
            told.push(*store.watch_events().borrow() - before);
        }
        assert_eq!(told, [0, 1, 0, 1, 0, 1, 1, 0]);
    }
}
