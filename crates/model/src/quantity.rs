//! Sizes, spans of time, shares of a processor. Each parses from the text that people write and prints it again.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A moment: milliseconds since the Unix epoch.
pub type Millis = u64;

/// A text that is not the quantity it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}")]
pub struct QuantityError {
    text: String,
    what: &'static str,
}

fn bad(text: &str, what: &'static str) -> QuantityError {
    QuantityError { text: text.into(), what }
}

/// A number of bytes: `512MiB`, `10GiB`, `1.5GB`, `4096`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

const BYTE_UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

impl ByteSize {
    /// Mebibytes.
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }
}

impl FromStr for ByteSize {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        const WHAT: &str = "a size: write a number and B, KiB, MiB, GiB, TiB, kB, MB or GB";
        let trimmed = text.trim();
        let (number, unit) = BYTE_UNITS
            .iter()
            .find_map(|(suffix, unit)| trimmed.strip_suffix(suffix).map(|n| (n, *unit)))
            .unwrap_or((trimmed, 1));
        // Whole numbers stay exact: a float has 53 bits only.
        if let Some(bytes) = number.trim().parse::<u64>().ok().and_then(|n| n.checked_mul(unit)) {
            return Ok(Self(bytes));
        }
        let number: f64 = number.trim().parse().map_err(|_| bad(text, WHAT))?;
        let bytes = number * unit as f64;
        if !(0.0..=9e18).contains(&bytes) {
            return Err(bad(text, WHAT));
        }
        Ok(Self(bytes.round() as u64))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (suffix, unit) in [("TiB", 1u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 >= unit && self.0.is_multiple_of(unit) {
                return write!(f, "{}{suffix}", self.0 / unit);
            }
        }
        write!(f, "{}B", self.0)
    }
}

impl ByteSize {
    /// For people, in the largest unit that fits: one decimal below 100, such as `21.2 GiB`, `1.5 MiB`, `180 KiB`.
    pub fn human(self) -> String {
        for (suffix, unit) in [("TiB", 1u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 >= unit {
                let whole = self.0 as f64 / unit as f64;
                let text = if whole < 99.95 { format!("{whole:.1}") } else { format!("{whole:.0}") };
                return format!("{} {suffix}", text.strip_suffix(".0").unwrap_or(&text));
            }
        }
        format!("{} B", self.0)
    }
}

/// A length of time in milliseconds: `500ms`, `30s`, `5m`, `2h`, `1d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub u64);

impl Span {
    /// Seconds.
    pub const fn secs(n: u64) -> Self {
        Self(n * 1000)
    }
    /// Milliseconds.
    pub const fn ms(self) -> u64 {
        self.0
    }
}

impl FromStr for Span {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        const WHAT: &str = "a length of time: write a number and ms, s, m, h or d";
        let trimmed = text.trim();
        let units = [("ms", 1.0), ("s", 1e3), ("m", 6e4), ("h", 3.6e6), ("d", 8.64e7)];
        let (number, unit) = units
            .iter()
            .find_map(|(suffix, unit)| Some((trimmed.strip_suffix(suffix)?, *unit)))
            .ok_or_else(|| bad(text, WHAT))?;
        let number: f64 = number.trim().parse().map_err(|_| bad(text, WHAT))?;
        if !(0.0..=3.2e11).contains(&(number * unit)) {
            return Err(bad(text, WHAT));
        }
        Ok(Self((number * unit).round() as u64))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (suffix, unit) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
            if self.0 >= unit && self.0.is_multiple_of(unit) {
                return write!(f, "{}{suffix}", self.0 / unit);
            }
        }
        write!(f, "{}ms", self.0)
    }
}

/// Thousandths of a processor; people write processors: `0.5`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuMillis(pub u32);

impl FromStr for CpuMillis {
    type Err = QuantityError;
    fn from_str(text: &str) -> Result<Self, QuantityError> {
        const WHAT: &str = "a share of processors: write a number such as 0.5 or 2";
        let cpus: f64 = text.trim().parse().map_err(|_| bad(text, WHAT))?;
        if !(0.001..=4096.0).contains(&cpus) {
            return Err(bad(text, WHAT));
        }
        Ok(Self((cpus * 1000.0).round() as u32))
    }
}

impl fmt::Display for CpuMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.0) / 1000.0)
    }
}

macro_rules! text_or_number {
    ($($kind:ty),*) => {$(
        impl Serialize for $kind {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                #[serde(untagged)]
                enum Either { Text(String), Whole(u64), Number(f64) }
                let text = match Either::deserialize(from)? {
                    Either::Text(text) => text,
                    Either::Whole(n) => n.to_string(),
                    Either::Number(n) => n.to_string(),
                };
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
text_or_number!(ByteSize, Span, CpuMillis);
