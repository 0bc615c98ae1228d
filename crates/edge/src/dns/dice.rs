//! The order of addresses in an answer.

/// A small generator (xorshift64*, Vigna 2016) that shuffles answers. Not for secrets: ids of forwarded queries come
/// from the kernel.
pub struct Dice(u64);

impl Dice {
    /// The same seed gives the same order.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `bound`, or 0 where there is none.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let roll = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        (roll as usize).checked_rem(bound).unwrap_or(0)
    }

    /// At most `count` of the items, from a random place on, in random order. Costs `count`, not the whole.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T], count: usize) -> Vec<T> {
        let start = self.below(items.len());
        let mut picked: Vec<T> =
            items.iter().cycle().skip(start).take(count.min(items.len())).copied().collect();
        for i in (1..picked.len()).rev() {
            picked.swap(i, self.below(i + 1));
        }
        picked
    }
}
