//! What is written down of certificates: in the application's row, with an event.

use crate::Refused;
use crate::leaf::Leaf;
use lace_model::authority::{CAUSE_CHARS_MAX, Challenge, INSTALLATION, Obtaining};
use lace_model::certificate::{CERTIFICATES_MAX, Certificate, CertificateSource, secret_of};
use lace_model::event::NewEvent;
use lace_model::family::Application;
use lace_model::{AppName, Digest, Millis};
use lace_planner::{Errands, errands, try_again_at};
use lace_store::{Batch, Expect, SecretValue, Store, StoreError};
use std::collections::BTreeMap;

/// How often a row is read again that changed meanwhile.
const TRIES: usize = 10;
/// For so long who is at an order has claimed it, and says so again before that is over. One that was cut short (its
/// controller ended) is placed again after this time, by whoever sees it first.
pub(crate) const CLAIM_MS: Millis = 60_000;

/// The name under which the installation's own sealed values are kept.
pub(crate) fn installation() -> AppName {
    AppName::new(INSTALLATION).expect("a name")
}

/// Whose certificate, for which host name, from whom.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Wish {
    pub app: AppName,
    pub host: String,
    pub source: CertificateSource,
}

impl Wish {
    fn subject(&self) -> String {
        format!("{}/certificate/{}", self.app, self.host)
    }

    /// Takes the order for this controller, where it is still due and no other one has it. One write decides, so that of
    /// several controllers on one state one places it.
    pub fn claim(&self, store: &Store, now: Millis) -> Result<bool, Refused> {
        let wishes = BTreeMap::from([(self.host.clone(), self.source)]);
        change_if(store, &self.app, Batch::new(None), |app, _| {
            let is_due = !errands(app, &wishes, now).due.is_empty();
            if is_due {
                let entry = self.entry(app);
                (entry.claimed, entry.next_at) = (true, now + CLAIM_MS);
            }
            is_due
        })
    }

    /// It is still at it.
    pub fn hold(&self, store: &Store, now: Millis) -> Result<(), Refused> {
        change(store, &self.app, |app, _| self.entry(app).next_at = now + CLAIM_MS)
    }

    /// Doors show this from now on.
    pub fn show(&self, store: &Store, challenge: Challenge, now: Millis) -> Result<(), Refused> {
        change(store, &self.app, |app, _| {
            let entry = self.entry(app);
            entry.challenge = Some(challenge.clone());
            (entry.claimed, entry.next_at) = (true, now + CLAIM_MS);
        })
    }

    /// It failed. Says when it is tried again.
    pub fn failed(&self, store: &Store, refused: &Refused, now: Millis) -> Result<Millis, Refused> {
        let mut next_at = now;
        change(store, &self.app, |app, events| {
            let entry = self.entry(app);
            entry.failures = entry.failures.saturating_add(1);
            (entry.challenge, entry.asked, entry.claimed) = (None, false, false);
            next_at = try_again_at(&self.host, entry.failures, refused.later, now);
            entry.next_at = next_at;
            let cause: String = refused.cause.chars().take(CAUSE_CHARS_MAX).collect();
            let left = lace_model::Span((next_at - now) / 1_000 * 1_000);
            let told = format!("try {}: {cause}; again in {left}", entry.failures);
            entry.cause = Some(cause);
            events.push(NewEvent::new("certificate.failed", self.subject(), told));
        })?;
        Ok(next_at)
    }

    /// It is there: the value is sealed, then the row names its version, as with those that people give.
    pub fn obtained(&self, store: &Store, pem: &str, leaf: Leaf, now: Millis) -> Result<(), Refused> {
        let row = store.get::<Application>(self.app.as_str())?;
        let live =
            row.filter(|row| !row.value.deleting).ok_or_else(|| Refused::new("the application is gone"))?;
        let others = live.value.certificates.iter().filter(|c| c.host != self.host).count();
        if others >= CERTIFICATES_MAX {
            let cause = format!("{} has {CERTIFICATES_MAX} certificates already: remove one", self.app);
            return Err(Refused::new(cause));
        }
        let mut batch = Batch::new(None);
        let value = SecretValue::new(pem.as_bytes().to_vec());
        batch.secret_put(&self.app, &secret_of(&self.host), value, true);
        let version = store.commit(batch)?.secrets.first().map_or(1, |secret| secret.2);
        let certificate = Certificate {
            host: self.host.clone(),
            names: leaf.names,
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            issuer: leaf.issuer,
            digest: Digest::of(pem.as_bytes()),
            version,
            added_at: now,
            warned_days: None,
            source: self.source,
        };
        change(store, &self.app, |app, events| {
            app.obtaining.retain(|o| o.host != self.host);
            // Somebody gave one meanwhile: it stands.
            if app
                .certificates
                .iter()
                .any(|c| c.source.is_given() && c.host == self.host && c.not_after > now)
            {
                return;
            }
            let former = app.certificates.iter().any(|c| c.host == self.host && c.source == self.source);
            app.certificates.retain(|c| c.host != self.host);
            app.certificates.push(certificate.clone());
            app.certificates.sort_by(|a, b| a.host.cmp(&b.host));
            let kind = if former { "certificate.renewed" } else { "certificate.obtained" };
            let left = lace_model::Span(certificate.not_after.saturating_sub(now) / 1_000 * 1_000);
            let told = format!("issued by {}, good for {left}", certificate.issuer);
            events.push(NewEvent::new(kind, self.subject(), told));
        })
    }

    fn entry<'a>(&self, app: &'a mut Application) -> &'a mut Obtaining {
        let at = app.obtaining.iter().position(|o| o.host == self.host).unwrap_or_else(|| {
            app.obtaining.push(Obtaining::new(&self.host, self.source));
            app.obtaining.len() - 1
        });
        let entry = &mut app.obtaining[at];
        entry.source = self.source;
        entry
    }
}

/// Forgets what is settled and what is over.
pub(crate) fn tidy(store: &Store, app: &AppName, errands: &Errands) -> Result<(), Refused> {
    if errands.settled.is_empty() && errands.over.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::new(None);
    errands.over.iter().for_each(|host| batch.secret_remove(app, &secret_of(host)));
    change_if(store, app, batch, |app, _| {
        app.obtaining.retain(|o| !errands.settled.contains(&o.host));
        app.certificates.retain(|c| c.source.is_given() || !errands.over.contains(&c.host));
        true
    })
    .map(drop)
}

fn change(
    store: &Store,
    app: &AppName,
    mut edit: impl FnMut(&mut Application, &mut Vec<NewEvent>),
) -> Result<(), Refused> {
    let edit = |app: &mut Application, events: &mut Vec<NewEvent>| {
        edit(app, events);
        true
    };
    change_if(store, app, Batch::new(None), edit).map(drop)
}

/// Reads, changes and writes the row, again where somebody else wrote it meanwhile. Says whether it was to be changed.
fn change_if(
    store: &Store,
    app: &AppName,
    first: Batch,
    mut edit: impl FnMut(&mut Application, &mut Vec<NewEvent>) -> bool,
) -> Result<bool, Refused> {
    let mut first = Some(first);
    for _ in 0..TRIES {
        let Some(mut row) = store.get::<Application>(app.as_str())? else {
            return Err(Refused::new("the application is gone"));
        };
        let mut events = Vec::new();
        if !edit(&mut row.value, &mut events) {
            return Ok(false);
        }
        let mut batch = Batch::new(None);
        batch.put(&row.value, Expect::Rev(row.rev));
        events.into_iter().for_each(|event| batch.event(event));
        match store.commit(batch) {
            Err(StoreError::Conflict { .. }) => {}
            done => {
                done?;
                // Values go after the row that named them: were this cut short, they would only lie there.
                let values = first.take().filter(|batch| !batch.is_empty());
                values.map_or(Ok(()), |batch| store.commit(batch).map(drop))?;
                return Ok(true);
            }
        }
    }
    Err(Refused::new("the application's row changes all the time"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_store::{MasterKey, SystemClock};
    use std::sync::Arc;

    fn begun() -> (Store, Wish) {
        let app: AppName = "shop".parse().expect("a name");
        let key = MasterKey::from_bytes([7; 32]);
        let store = Store::open_in_memory(key, Arc::new(SystemClock)).expect("a store");
        let mut batch = Batch::new(None);
        batch.put(&Application::new(app.clone(), 0), Expect::Absent);
        store.commit(batch).expect("committed");
        (store, Wish { app, host: "a.example.com".into(), source: CertificateSource::Acme })
    }

    #[test]
    fn one_of_many_gets_the_order() {
        let (store, wish) = begun();
        let claim = || wish.claim(&store, 1_000).expect("read and written");
        let won = std::thread::scope(|scope| {
            let tried = [(); 8].map(|()| scope.spawn(claim));
            tried.into_iter().map(|thread| thread.join().expect("ended")).filter(|won| *won).count()
        });
        assert_eq!(won, 1);
    }

    #[test]
    fn a_claim_ends_unless_it_is_held() {
        let (store, wish) = begun();
        let claims = |now| wish.claim(&store, now).expect("read and written");
        assert!(claims(0) && !claims(CLAIM_MS - 1));
        wish.hold(&store, CLAIM_MS - 1).expect("held");
        assert!(!claims(CLAIM_MS), "it is at it still");
        assert!(claims(2 * CLAIM_MS), "whoever had it has gone");
        let next = wish.failed(&store, &Refused::new("no"), 2 * CLAIM_MS).expect("written");
        assert!(!claims(next - 1) && claims(next), "after a failure its pause counts");
    }
}
