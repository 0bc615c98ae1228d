//! Who claims how much of a host.

use lace_model::host::Capacity;
use lace_model::money::AccountName;
use lace_model::{AppName, ByteSize, CpuMillis, Name};
use std::collections::BTreeMap;

/// What nodes and jobs claim of a host: their limits, whether used or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Processor.
    pub cpu: CpuMillis,
    /// Memory.
    pub memory: ByteSize,
}

impl Claim {
    /// One more claim.
    pub fn add(&mut self, cpu: CpuMillis, memory: ByteSize) {
        self.cpu = CpuMillis(self.cpu.0.saturating_add(cpu.0));
        self.memory = ByteSize(self.memory.0.saturating_add(memory.0));
    }
}

/// Shares of a host: half its price is for its processors and half for its memory, and each pays of both what it claims. What
/// nobody claims is idle. Where more is claimed than there is, or nobody knows how much there is, nothing is.
pub fn shares(
    pool: &Name,
    capacity: &Capacity,
    claims: &BTreeMap<AppName, Claim>,
) -> BTreeMap<AccountName, u64> {
    let (parts, idle) = parts(capacity, claims);
    let mut shares: BTreeMap<AccountName, u64> =
        parts.into_iter().map(|(app, share)| (AccountName::App(app), share)).collect();
    if idle > 0 || shares.is_empty() {
        shares.insert(AccountName::Idle(pool.clone()), idle.max(1));
    }
    shares
}

/// The same among whatever claims, those who claim nothing left out, and what is idle.
pub(crate) fn parts<K: Ord + Clone>(
    capacity: &Capacity,
    claims: &BTreeMap<K, Claim>,
) -> (BTreeMap<K, u64>, u64) {
    let cpu: u64 = claims.values().map(|claim| u64::from(claim.cpu.0)).sum();
    let memory: u64 = claims.values().map(|claim| kib(claim.memory)).sum();
    let whole_cpu = u64::from(capacity.cpu.0).max(cpu).max(1);
    let whole_memory = kib(capacity.memory).max(memory).max(1);
    let weight = |cpu: u64, memory: u64| {
        cpu.saturating_mul(whole_memory).saturating_add(memory.saturating_mul(whole_cpu))
    };
    let share = |claim: &Claim| weight(u64::from(claim.cpu.0), kib(claim.memory));
    let parts = claims.iter().map(|(who, claim)| (who.clone(), share(claim))).filter(|(_, share)| *share > 0);
    (parts.collect(), weight(whole_cpu - cpu, whole_memory - memory))
}

/// In kibibytes, so that products fit: of 64 PiB and 65,535 processors.
fn kib(memory: ByteSize) -> u64 {
    memory.0 >> 10
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn of(capacity: (u32, u64), claims: &[(&str, u32, u64)]) -> Vec<(String, u64)> {
        let capacity = Capacity { cpu: CpuMillis(capacity.0), memory: ByteSize::mib(capacity.1), slots: 10 };
        let claim = |cpu, memory| Claim { cpu: CpuMillis(cpu), memory: ByteSize::mib(memory) };
        let claims = claims.iter().map(|(app, cpu, memory)| (name(app), claim(*cpu, *memory))).collect();
        let shares = shares(&name("eu"), &capacity, &claims);
        let whole: u64 = shares.values().sum();
        shares.into_iter().map(|(who, share)| (who.to_string(), share * 1_000 / whole)).collect()
    }

    #[test]
    fn claims_pay_and_the_rest_is_idle() {
        let as_said = |said: &[(&str, u64)]| -> Vec<(String, u64)> {
            said.iter().map(|(who, share)| ((*who).to_owned(), *share)).collect()
        };
        assert_eq!(of((1_000, 1_024), &[]), as_said(&[("idle/eu", 1_000)]));
        assert_eq!(
            of((1_000, 1_024), &[("a", 500, 512), ("b", 250, 0)]),
            as_said(&[("a", 500), ("b", 125), ("idle/eu", 375)])
        );
        assert_eq!(of((1_000, 1_024), &[("a", 1_000, 1_024)]), as_said(&[("a", 1_000)]), "nothing is idle");
        assert_eq!(
            of((100, 100), &[("a", 300, 100), ("b", 100, 100)]),
            as_said(&[("a", 625), ("b", 375)]),
            "more than there is"
        );
        assert_eq!(
            of((0, 0), &[("a", 100, 100)]),
            as_said(&[("a", 1_000)]),
            "nobody knows how much there is"
        );
    }
}
