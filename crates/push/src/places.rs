//! Who may push now: few at a time, and nobody all of them.

use std::net::IpAddr;
use std::sync::Mutex;
use tokio::sync::Notify;

/// Pushes at a time: each is a process that packs.
const PUSHES_MAX: usize = 4;
/// Of one key at a time: the others have their places.
const OF_KEY_MAX: usize = 2;
/// From one address at a time; behind one may be many people.
const FROM_ADDRESS_MAX: usize = 3;
/// Connections from one address at a time, of those that have pushes or shall have.
pub(crate) const CONNECTIONS_OF_ADDRESS_MAX: usize = 24;

/// Who wants a place, or has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taker {
    pub key: String,
    pub address: IpAddr,
    /// Only one push at a time writes into a repository: so what another one left there is nobody's.
    pub repository: String,
}

/// The places, and who has them.
#[derive(Default)]
pub(crate) struct Places {
    taken: Mutex<Vec<Taker>>,
    freed: Notify,
}

/// A place; free again when dropped.
pub(crate) struct Place<'a> {
    places: &'a Places,
    taker: Taker,
}

impl Places {
    /// Waits until there is a place for this one.
    pub async fn take(&self, taker: Taker) -> Place<'_> {
        loop {
            let mut freed = std::pin::pin!(self.freed.notified());
            freed.as_mut().enable();
            if self.try_take(&taker) {
                return Place { places: self, taker };
            }
            freed.await;
        }
    }

    fn try_take(&self, taker: &Taker) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(|broken| broken.into_inner());
        let may = may_push(&taken, taker);
        if may {
            taken.push(taker.clone());
        }
        may
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(|broken| broken.into_inner());
        if let Some(at) = taken.iter().position(|taker| *taker == self.taker) {
            taken.swap_remove(at);
        }
        drop(taken);
        self.places.freed.notify_waiters();
    }
}

fn may_push(taken: &[Taker], taker: &Taker) -> bool {
    let of = |is: &dyn Fn(&Taker) -> bool| taken.iter().filter(|other| is(other)).count();
    taken.len() < PUSHES_MAX
        && of(&|other| other.key == taker.key) < OF_KEY_MAX
        && of(&|other| other.address == taker.address) < FROM_ADDRESS_MAX
        && of(&|other| other.repository == taker.repository) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taker(key: &str, address: u8, repository: &str) -> Taker {
        Taker { key: key.into(), address: IpAddr::from([10, 0, 0, address]), repository: repository.into() }
    }

    #[test]
    fn nobody_has_all_places() {
        let check = |taken: &[Taker], wanted: Taker, expected: bool| {
            assert_eq!(may_push(taken, &wanted), expected, "{taken:?} {wanted:?}");
        };
        let two = [taker("a", 1, "x"), taker("a", 1, "y")];
        check(&[], taker("a", 1, "x"), true);
        check(&two[..1], taker("b", 2, "x"), false);
        check(&two[..1], taker("a", 1, "y"), true);
        check(&two, taker("a", 2, "z"), false);
        check(&two, taker("b", 1, "z"), true);
        let three = [&two[..], &[taker("b", 1, "z")]].concat();
        check(&three, taker("c", 1, "w"), false);
        check(&three, taker("c", 2, "w"), true);
        let four = [&three[..], &[taker("c", 2, "w")]].concat();
        check(&four, taker("d", 3, "v"), false);
    }

    #[tokio::test]
    async fn whoever_waits_is_told_that_there_is_a_place() {
        let places = Places::default();
        let first = places.take(taker("a", 1, "x")).await;
        let second = places.take(taker("b", 2, "x"));
        tokio::pin!(second);
        assert!(futures::poll!(second.as_mut()).is_pending());
        drop(first);
        let _second = second.await;
        assert_eq!(places.taken.lock().expect("whole").len(), 1);
    }
}
