//! Money: who pays what of a host, the ledger of it, and sums by month.
//!
//! All amounts are whole millionths of a currency ([`crate::pool::MICRO`]). What a host costs is divided among the applications
//! on it by what they claim of it; the rest is the idle account's of its pool. A [`Meter`] says up to when a host is charged, a
//! [`Charge`] is a row of the ledger, an [`Account`] has the sums.

mod cost;
mod month;
mod who;

pub use cost::{Cost, PRICE_OLD_MS, PoolCost, Rate, ServiceCost};
pub use month::Month;
pub use who::AccountName;

use crate::pool::Price;
use crate::{HostId, Millis, Name, Span};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// An hour, in milliseconds: prices are per hour.
pub const HOUR_MS: Millis = 3_600_000;
/// Hours of a month, where a price per month is told: 365 days of 24 hours, divided by 12.
pub const MONTH_HOURS: u64 = 730;
/// Months whose sums are kept. What is older is in its bill alone.
pub const MONTHS_KEPT: usize = 24;
/// Months, this one included, whose charges are kept one by one. A row has some 300 bytes: 10,000 hosts that are charged once a
/// day make 90 MB a month.
pub const MONTHS_IN_ROWS: usize = 3;
/// A host is charged at least this often, so that the ledger is never further behind.
pub const CHARGED_EVERY: Span = Span::secs(24 * 3600);

/// Why something is charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChargeReason {
    /// The host was there.
    Ran,
    /// The provider bills started units of time: the rest of the last one.
    Rest,
    /// It never joined: what was charged for it is given back.
    Refund,
}

impl fmt::Display for ChargeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ran => "ran",
            Self::Rest => "rest of the started unit",
            Self::Refund => "given back: never joined",
        })
    }
}

/// A row of the ledger as stored: key = month, begin, host and reason. It never changes; of a month of long ago a [`Bill`] is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The month that it belongs to.
    pub month: Month,
    /// The host.
    pub host: HostId,
    /// What the host is called.
    pub name: Name,
    /// Its pool.
    pub pool: Name,
    /// Why.
    pub reason: ChargeReason,
    /// ISO 4217 code, or the name of credits.
    pub currency: String,
    /// From when.
    pub from: Millis,
    /// To when, exclusively.
    pub until: Millis,
    /// Who pays how much, in millionths; less than nothing is given back. Their sum is what the host cost.
    pub lines: BTreeMap<AccountName, i64>,
}

impl Charge {
    /// What the host cost, in millionths.
    pub fn micro(&self) -> i64 {
        self.lines.values().fold(0, |sum, micro| sum.saturating_add(*micro))
    }

    /// Its key in the store. Sorts by month and time.
    pub fn key(&self) -> String {
        let reason = match self.reason {
            ChargeReason::Ran => "ran",
            ChargeReason::Rest => "rest",
            ChargeReason::Refund => "refund",
        };
        format!("{}/{:015}/{}/{reason}", self.month, self.from, self.host)
    }
}

/// What a month of long ago cost in a currency, all its charges together, as stored: key = month and currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// The month.
    pub month: Month,
    /// The currency.
    pub currency: String,
    /// Who paid how much, in millionths.
    pub lines: BTreeMap<AccountName, i64>,
}

impl Bill {
    /// One of nothing.
    pub fn new(month: Month, currency: String) -> Self {
        Self { month, currency, lines: BTreeMap::new() }
    }

    /// Its key in the store.
    pub fn key(&self) -> String {
        format!("{}/{}", self.month, self.currency)
    }

    /// Takes a charge in.
    pub fn enter(&mut self, charge: &Charge) {
        for (account, micro) in &charge.lines {
            let sum = self.lines.entry(account.clone()).or_default();
            *sum = sum.saturating_add(*micro);
        }
    }
}

/// Up to when a host is charged, and how it is divided from then on, as stored: key = the host's id. Written in the same
/// transaction as the charges up to `until`, so none is lost or there twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// The host.
    pub host: HostId,
    /// What it is called.
    pub name: Name,
    /// Its pool.
    pub pool: Name,
    /// What an hour costs, the discount taken off.
    pub price: Price,
    /// The provider bills started units of so long.
    pub unit_ms: Millis,
    /// Since when it is paid for.
    pub began: Millis,
    /// Charged up to here.
    pub until: Millis,
    /// What the charges so far lack for being whole millionths: millionths × milliseconds, below an hour's.
    #[serde(default)]
    pub owed: u64,
    /// Who pays, in parts of their sum. Never empty.
    pub shares: BTreeMap<AccountName, u64>,
    /// It joined: from then on nothing is given back.
    pub joined: bool,
    /// What is given back where it never joins.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refundable: BTreeMap<AccountName, i64>,
    /// The same in the currencies that its price had before, by currency.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refundable_before: BTreeMap<String, BTreeMap<AccountName, i64>>,
}

/// Sums of whoever pays, as stored: key = its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Whose.
    pub name: AccountName,
    /// Millionths by month and currency.
    #[serde(default)]
    pub months: BTreeMap<Month, BTreeMap<String, i64>>,
}

impl Account {
    /// One without anything.
    pub fn new(name: AccountName) -> Self {
        Self { name, months: BTreeMap::new() }
    }

    /// Adds its line of a charge. The oldest months beyond [`MONTHS_KEPT`] are forgotten.
    pub fn enter(&mut self, charge: &Charge) {
        let Some(micro) = charge.lines.get(&self.name) else { return };
        let sums = self.months.entry(charge.month).or_default();
        let sum = sums.entry(charge.currency.clone()).or_default();
        *sum = sum.saturating_add(*micro);
        while self.months.len() > MONTHS_KEPT {
            self.months.pop_first();
        }
    }

    /// Its sum of a month in a currency, in millionths.
    pub fn micro(&self, month: Month, currency: &str) -> i64 {
        self.months.get(&month).and_then(|sums| sums.get(currency)).copied().unwrap_or_default()
    }
}

/// An amount for people: at least two decimals and at most six, such as `0.0116 EUR`.
pub fn amount(micro: i64, currency: &str) -> String {
    let sign = if micro < 0 { "-" } else { "" };
    let (whole, part) =
        (micro.unsigned_abs() / crate::pool::MICRO, micro.unsigned_abs() % crate::pool::MICRO);
    let part = format!("{part:06}");
    let part = part.trim_end_matches('0');
    format!("{sign}{whole}.{part:0<2} {currency}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact() {
        for (micro, shown) in
            [(0, "0.00 EUR"), (11_600, "0.0116 EUR"), (-1_500_000, "-1.50 EUR"), (1, "0.000001 EUR")]
        {
            assert_eq!(amount(micro, "EUR"), shown);
        }
    }

    #[test]
    fn sums_are_kept_for_two_years() {
        let who: AccountName = "shop".parse().unwrap();
        let mut account = Account::new(who.clone());
        let mut month = Month::of(1_800_000_000_000);
        for _ in 0..30 {
            let charge = Charge {
                month,
                host: HostId::derive(&[0; 32], "h"),
                name: Name::new("h").unwrap(),
                pool: Name::new("p").unwrap(),
                reason: ChargeReason::Ran,
                currency: "USD".into(),
                from: 0,
                until: 1,
                lines: [(who.clone(), 3)].into(),
            };
            account.enter(&charge);
            account.enter(&charge);
            assert_eq!(account.micro(month, "USD"), 6);
            month = Month::of(month.end());
        }
        assert_eq!(account.months.len(), MONTHS_KEPT);
    }
}
