//! The loop: looks at what changed, obtains what is due, sleeps until something else is.

use crate::doors::Doors;
use crate::row::{CLAIM_MS, Wish, tidy};
use crate::{Refused, acme, internal, leaf};
use lace_model::Millis;
use lace_model::authority::{AUTHORITY_KEY, Authority, ChallengeKind};
use lace_model::certificate::CertificateSource;
use lace_model::family::{Application, Service};
use lace_planner::{errands, wishes};
use lace_store::{Clock, Rev, Store, StoreError};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Orders that are under way at a time: authorities count them.
const ORDERS_MAX: usize = 4;
/// One order, all its talk included, has this long.
const ORDER_WITHIN: Duration = Duration::from_secs(300);
/// Everything is looked at again this often, though nothing called for it.
const PERIOD: Duration = Duration::from_secs(600);
/// Changes are looked at together.
const BREATH: Duration = Duration::from_millis(200);
const CHANGES_AT_ONCE: usize = 5_000;

/// What the loop needs.
pub struct Keeper {
    /// What is kept.
    pub store: Store,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The door of this machine, where there is one: it is asked whether a challenge has come to doors.
    pub door: Option<SocketAddr>,
}

/// Runs for ever.
pub async fn keep(keeper: Keeper) {
    // Where the process has chosen one already, that stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let keeper = Arc::new(keeper);
    let mut changed = keeper.store.watch();
    let mut running: JoinSet<Wish> = JoinSet::new();
    let mut under_way = BTreeSet::new();
    let mut seen = *changed.borrow_and_update();
    let mut next_at = keeper.begin(&mut running, &mut under_way).await;
    loop {
        let now = keeper.clock.now_ms();
        let nap = next_at.map_or(PERIOD, |at| Duration::from_millis(at.saturating_sub(now)).min(PERIOD));
        tokio::select! {
            Ok(()) = changed.changed() => {
                sleep(BREATH).await;
                let last = *changed.borrow_and_update();
                if !keeper.concerns_us(std::mem::replace(&mut seen, last)).await {
                    continue;
                }
            }
            Some(ended) = running.join_next() => {
                // One that panicked is not known by name: it is tried again when the period is over.
                if let Ok(wish) = ended { under_way.remove(&wish); } else if running.is_empty() { under_way.clear(); }
            }
            () = sleep(nap.max(BREATH)) => {}
        }
        next_at = keeper.begin(&mut running, &mut under_way).await;
    }
}

impl Keeper {
    /// Did an application, a service or the authority change?
    async fn concerns_us(&self, since: Rev) -> bool {
        let store = self.store.clone();
        let changes = tokio::task::spawn_blocking(move || store.changes(since, CHANGES_AT_ONCE)).await;
        match changes {
            Ok(Ok(rows)) => {
                rows.len() == CHANGES_AT_ONCE
                    || rows.iter().any(|row| ["app", "service", "authority"].contains(&row.kind.as_str()))
            }
            _ => true,
        }
    }

    /// Begins what is due and not under way; says when something else is.
    async fn begin(
        self: &Arc<Self>,
        running: &mut JoinSet<Wish>,
        under_way: &mut BTreeSet<Wish>,
    ) -> Option<Millis> {
        let this = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || this.look()).await;
        let (due, next_at) = match looked {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!(%error, "certificates were not looked at");
                return None;
            }
            Err(_) => return None,
        };
        for wish in due {
            if under_way.len() < ORDERS_MAX && under_way.insert(wish.clone()) {
                let this = Arc::clone(self);
                running.spawn(async move {
                    this.obtain(&wish).await;
                    wish
                });
            }
        }
        next_at
    }

    fn look(&self) -> Result<(Vec<Wish>, Option<Millis>), Refused> {
        let now = self.clock.now_ms();
        let has_authority = self.authority()?.is_some();
        let (mut due, mut next_at) = (Vec::new(), None::<Millis>);
        for row in self.store.list::<Application>("")? {
            let app = row.value;
            let services = self.store.list::<Service>(&format!("{}/", app.name))?;
            let live = services.iter().filter(|service| !service.value.deleting);
            let routes = live.flat_map(|service| service.value.spec.routes.iter().flatten());
            let found = errands(&app, &wishes(routes, has_authority), now);
            tidy(&self.store, &app.name, &found)?;
            let wish = |(host, source)| Wish { app: app.name.clone(), host, source };
            due.extend(found.due.into_iter().map(wish));
            next_at = next_at.into_iter().chain(found.next_at).min();
        }
        Ok((due, next_at))
    }

    fn authority(&self) -> Result<Option<Authority>, StoreError> {
        Ok(self.store.get::<Authority>(AUTHORITY_KEY)?.map(|row| row.value))
    }

    /// From the order to the row; a failure is written down, too. Nothing where another controller is at it.
    async fn obtain(&self, wish: &Wish) {
        match wish.claim(&self.store, self.clock.now_ms()) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(app = %wish.app, host = wish.host, %error, "an order was not claimed");
                return sleep(PERIOD / 10).await;
            }
        }
        let ordered = tokio::select! {
            ordered = timeout(ORDER_WITHIN, self.order(wish)) => ordered,
            never = self.hold(wish) => match never {},
        };
        let late = |_| Err(Refused::new(format_args!("it took longer than {} s", ORDER_WITHIN.as_secs())));
        let kept = ordered.unwrap_or_else(late).and_then(|pem| {
            let leaf = leaf::read(&pem)?;
            wish.obtained(&self.store, &pem, leaf, self.clock.now_ms())
        });
        let Err(refused) = kept else { return };
        tracing::warn!(app = %wish.app, host = wish.host, cause = refused.cause, "no certificate");
        if let Err(error) = wish.failed(&self.store, &refused, self.clock.now_ms()) {
            tracing::warn!(app = %wish.app, host = wish.host, %error, "the failure is not written down");
            sleep(PERIOD / 10).await;
        }
    }

    /// Says again and again that it is at it.
    async fn hold(&self, wish: &Wish) -> Infallible {
        loop {
            sleep(Duration::from_millis(CLAIM_MS / 4)).await;
            if let Err(error) = wish.hold(&self.store, self.clock.now_ms()) {
                tracing::warn!(app = %wish.app, host = wish.host, %error, "a claim was not held");
            }
        }
    }

    async fn order(&self, wish: &Wish) -> Result<String, Refused> {
        let host = wish.host.as_str();
        if wish.source == CertificateSource::Internal {
            return internal::issue(&self.store, host, self.clock.now_ms());
        }
        let authority = self.authority()?.ok_or_else(|| Refused::new("no authority is set any more"))?;
        let kind = authority.challenge.unwrap_or_else(|| self.in_turn(wish));
        let doors = Doors { keeper: self, wish };
        acme::order(&self.store, &authority, (host, kind), &doors).await
    }

    /// One way failed: the other may do.
    fn in_turn(&self, wish: &Wish) -> ChallengeKind {
        let row = self.store.get::<Application>(wish.app.as_str()).ok().flatten();
        let entry = row.and_then(|row| row.value.obtaining.into_iter().find(|o| o.host == wish.host));
        if entry.is_some_and(|o| o.failures % 2 == 1) {
            ChallengeKind::TlsAlpn01
        } else {
            ChallengeKind::Http01
        }
    }
}
