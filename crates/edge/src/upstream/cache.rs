//! Answers of upstreams, kept for a short while. The oldest leave first.

use super::exchange::question;
use super::outline::{self, Outline};
use crate::dns::{Ask, Packet, code};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nothing is believed longer than this, so that a change outside is seen soon.
const TTL_MAX: u32 = 300;
/// The lack of something, even shorter.
const TTL_NEGATIVE_MAX: u32 = 30;
const HEADER_BYTES: usize = 12;

/// One answer.
pub(super) struct Kept {
    bytes: Vec<u8>,
    outline: Outline,
    born: Instant,
    ttl: u32,
}

impl Kept {
    /// Nothing, where the bytes are no whole answer to the query.
    pub fn new(bytes: Vec<u8>, query: &[u8]) -> Option<Self> {
        let cut = bytes[2] & 0x02 != 0;
        let answered = matches!(u16::from(bytes[3] & 0x0F), code::NONE | code::NO_NAME);
        if bytes[5] == 0 {
            return None;
        }
        let outline = outline::read(&bytes, HEADER_BYTES + question(query).len());
        if outline.is_none() && !cut {
            return None;
        }
        let outline = outline.unwrap_or_default();
        let bound = if outline.positive { TTL_MAX } else { TTL_NEGATIVE_MAX };
        let ttl = outline.ttl_min.unwrap_or(0).min(bound);
        let ttl = if answered && !cut { ttl } else { 0 };
        Some(Self { bytes, outline, born: Instant::now(), ttl })
    }

    pub fn is_worth_keeping(&self) -> bool {
        self.ttl > 0
    }

    fn is_stale(&self, now: Instant) -> bool {
        now.duration_since(self.born) >= Duration::from_secs(self.ttl.into())
    }

    /// The answer for this client: its id, its spelling, aged times; cut where it does not fit.
    pub fn answer(&self, ask: &Ask, now: Instant) -> Vec<u8> {
        let code = u16::from(self.bytes[3] & 0x0F);
        if self.bytes.len() > ask.limit() {
            let mut packet = Packet::reply(ask, code, false);
            packet.truncate();
            return packet.finish(true);
        }
        let mut bytes = self.bytes.clone();
        bytes[..2].copy_from_slice(&ask.id.to_be_bytes());
        // Not our word, so without authority; forwarding is what we do.
        bytes[2] &= !0x04;
        bytes[3] |= 0x80;
        let question = ask.question(false);
        bytes[HEADER_BYTES..HEADER_BYTES + question.len()].copy_from_slice(&question);
        let age = u32::try_from(now.duration_since(self.born).as_secs()).unwrap_or(u32::MAX);
        for at in self.outline.ttls.iter().map(|at| usize::from(*at)) {
            if let Some(place) = bytes.get_mut(at..at + 4).and_then(|b| b.first_chunk_mut::<4>()) {
                *place = u32::from_be_bytes(*place).saturating_sub(age).to_be_bytes();
            }
        }
        bytes
    }
}

type Key = Box<[u8]>;

/// Bounded in entries and in bytes.
pub(super) struct Cache {
    entries_max: usize,
    bytes_max: usize,
    bytes: usize,
    entries: HashMap<Key, Arc<Kept>>,
    order: VecDeque<Key>,
}

impl Cache {
    pub fn new(entries_max: usize, bytes_max: usize) -> Self {
        let (entries, order) = (HashMap::new(), VecDeque::new());
        Self { entries_max, bytes_max, bytes: 0, entries, order }
    }

    pub fn get(&self, key: &[u8], now: Instant) -> Option<Arc<Kept>> {
        self.entries.get(key).filter(|kept| !kept.is_stale(now)).cloned()
    }

    pub fn put(&mut self, key: Key, kept: Kept) {
        self.bytes += weight(&key, &kept);
        match self.entries.insert(key.clone(), Arc::new(kept)) {
            Some(old) => self.bytes -= weight(&key, &old),
            None => self.order.push_back(key),
        }
        while self.entries.len() > self.entries_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some(old) = self.entries.remove(&oldest) {
                self.bytes -= weight(&oldest, &old);
            }
        }
    }
}

/// The key is held twice; the rest is what the tables around it cost, roughly.
fn weight(key: &[u8], kept: &Kept) -> usize {
    2 * key.len() + kept.bytes.len() + 2 * kept.outline.ttls.len() + 256
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Transport;
    use crate::upstream::exchange;
    use hickory_proto::op::{Message, Query};
    use hickory_proto::rr::{Name, RecordType};
    use proptest::prelude::*;

    fn ask(name: &str) -> Ask {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
        let bytes = message.to_vec().unwrap();
        Ask::parse(&bytes, Transport::Udp).ok().expect("a question")
    }

    /// One address record behind the question, to be damaged.
    fn good(query: &[u8]) -> Vec<u8> {
        let mut reply = query.to_vec();
        reply[2] |= 0x80;
        reply[7] = 1;
        reply.extend_from_slice(&[0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 1, 2, 3, 4]);
        reply
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..Default::default() })]

        /// What an upstream sends is bytes from outside: none may make us panic.
        #[test]
        fn damaged_answers_are_refused_or_passed_on(
            blows in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            tail in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let ask = ask("a.example.");
            let query = exchange::query(&ask, 7);
            let mut reply = [good(&query), tail].concat();
            for (at, value) in blows {
                let at = at.index(reply.len());
                reply[at] = value;
            }
            if exchange::fits(&query, &reply) && let Some(kept) = Kept::new(reply, &query) {
                let later = Instant::now() + Duration::from_secs(100);
                prop_assert!(kept.answer(&ask, later).len() <= ask.limit());
            }
        }
    }

    #[test]
    fn the_cache_is_bounded_in_entries_and_bytes() {
        for (entries, bytes) in [(10, usize::MAX), (usize::MAX, 4_000)] {
            let mut cache = Cache::new(entries, bytes);
            for number in 0..100 {
                let query = exchange::query(&ask(&format!("n{number}.example.")), 7);
                cache.put(query[2..].into(), Kept::new(good(&query), &query).unwrap());
            }
            assert!(cache.entries.len() <= 4_000 / 256, "{}", cache.entries.len());
            assert_eq!(cache.entries.len(), cache.order.len());
            let sum: usize = cache.entries.iter().map(|(key, kept)| weight(key, kept)).sum();
            assert_eq!(cache.bytes, sum);
            let newest = exchange::query(&ask("n99.example."), 7);
            assert!(cache.get(&newest[2..], Instant::now()).is_some());
        }
    }
}
