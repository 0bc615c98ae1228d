//! Watches how much comes out of an archive for what goes in, while it is read.

use crate::error::ReleaseError;
use crate::tree::Limits;
use std::cell::Cell;
use std::io::{self, Read};

/// Bytes of headers and padding that an entry may cost in a tar, beside its content.
const ENTRY_BYTES_MAX: u64 = 4096;

/// Counts both sides of a decompressor.
pub(super) struct Meter {
    limits: Limits,
    taken: Cell<u64>,
    given: Cell<u64>,
    refused: Cell<Option<&'static str>>,
}

impl Meter {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, taken: Cell::new(0), given: Cell::new(0), refused: Cell::new(None) }
    }

    /// Counts what the decompressor takes.
    pub(super) fn input<'m, R: Read + 'm>(&'m self, inner: R) -> impl Read + 'm {
        Counting { inner, count: &self.taken, meter: None }
    }

    /// Counts what it gives, and stops where that is too much.
    pub(super) fn output<'m, R: Read + 'm>(&'m self, inner: R) -> impl Read + 'm {
        Counting { inner, count: &self.given, meter: Some(self) }
    }

    /// Why it was stopped, if it was.
    pub(super) fn refusal(&self) -> Option<ReleaseError> {
        self.refused.get().map(|what| ReleaseError::TooLarge(what.into()))
    }

    fn judge(&self) -> io::Result<()> {
        let why = excess(&self.limits, self.taken.get(), self.given.get());
        self.refused.set(why);
        why.map_or(Ok(()), |why| Err(io::Error::other(why)))
    }
}

/// Is so much out of so little too much?
pub(super) fn excess(limits: &Limits, taken: u64, given: u64) -> Option<&'static str> {
    let headers = (limits.entries as u64).saturating_mul(ENTRY_BYTES_MAX);
    if given > limits.bytes.saturating_add(headers) {
        return Some("the archive holds more bytes than a release may have");
    }
    let bomb = given > limits.growth_free && given > taken.saturating_mul(limits.growth);
    bomb.then_some("the archive grows beyond measure when it is unpacked (a bomb?)")
}

struct Counting<'m, R> {
    inner: R,
    count: &'m Cell<u64>,
    meter: Option<&'m Meter>,
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count.set(self.count.get() + n as u64);
        self.meter.map_or(Ok(()), Meter::judge)?;
        Ok(n)
    }
}
