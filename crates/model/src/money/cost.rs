//! What a change will cost before it is made, beside what is paid now.

use super::{MONTH_HOURS, amount};
use crate::pool::Price;
use crate::{Millis, Name, ServiceName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A price that was said longer ago than this, in milliseconds, is told with its age: 90 days.
pub const PRICE_OLD_MS: Millis = 90 * 24 * 3_600_000;
const DAY_MS: Millis = 24 * 3_600_000;

/// What something costs from moment to moment, each currency apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Millionths an hour, by currency.
    #[serde(default)]
    pub micro_per_hour: BTreeMap<String, i64>,
    /// Hosts beside these whose price nobody said: what they cost is not known, and not nothing.
    #[serde(default)]
    pub unknown: u32,
}

impl Rate {
    /// Adds millionths an hour.
    pub fn add(&mut self, micro_per_hour: i64, currency: &str) {
        let sum = self.micro_per_hour.entry(currency.to_owned()).or_default();
        *sum = sum.saturating_add(micro_per_hour);
    }

    /// Millionths a month of [`MONTH_HOURS`], by currency.
    pub fn micro_per_month(&self) -> impl Iterator<Item = (&str, i64)> {
        let hours = i64::try_from(MONTH_HOURS).unwrap_or(i64::MAX);
        self.micro_per_hour
            .iter()
            .map(move |(currency, micro)| (currency.as_str(), micro.saturating_mul(hours)))
    }

    /// Is there nothing that costs?
    pub fn is_nothing(&self) -> bool {
        self.unknown == 0 && self.micro_per_hour.values().all(|micro| *micro == 0)
    }

    fn told(&self, sums: impl Iterator<Item = (String, i64)>) -> String {
        let mut parts: Vec<String> =
            sums.filter(|(_, micro)| *micro != 0).map(|(currency, micro)| amount(micro, &currency)).collect();
        match self.unknown {
            0 => {}
            1 => parts.push("unknown for 1 host".to_owned()),
            n => parts.push(format!("unknown for {n} hosts")),
        }
        if parts.is_empty() { "nothing".to_owned() } else { parts.join(" + ") }
    }

    /// An hour of it, for people.
    pub fn hour(&self) -> String {
        self.told(self.micro_per_hour.iter().map(|(currency, micro)| (currency.clone(), *micro)))
    }

    /// A month of it, for people.
    pub fn month(&self) -> String {
        self.told(self.micro_per_month().map(|(currency, micro)| (currency.to_owned(), micro)))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.hour())
    }
}

/// What a service costs now, and once the change is made and has settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceCost {
    /// The service; none for jobs without one.
    pub service: Option<ServiceName>,
    /// Now.
    pub now: Rate,
    /// Then.
    pub after: Rate,
}

/// What the hosts of a pool cost as a whole, whoever pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolCost {
    /// The pool; none for hosts that are in no pool.
    pub pool: Option<Name>,
    /// Its hardware profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// What an hour of a host costs, the discount taken off, with its source and age; none where nobody said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Hosts of it now, machines that are on their way among them.
    pub hosts_now: u32,
    /// Hosts that would be ordered.
    pub ordered: u32,
    /// Hosts that would have no node any more. They are paid for until somebody removes them.
    pub idle: u32,
    /// All of them now.
    pub now: Rate,
    /// All of them then.
    pub after: Rate,
}

/// What a change costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// When this was computed: the age of prices counts from here.
    pub at: Millis,
    /// The application's part of all hosts now.
    pub now: Rate,
    /// Its part then.
    pub after: Rate,
    /// By service.
    pub services: Vec<ServiceCost>,
    /// By pool: those with hosts that the application is on, would be on, or would leave.
    pub pools: Vec<PoolCost>,
    /// What the numbers do not hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl PoolCost {
    /// The price for people, and its age where it is old.
    pub fn price_told(&self, at: Millis) -> String {
        let Some(price) = &self.price else { return "price not known".to_owned() };
        let age = at.saturating_sub(price.at);
        let age = if age > PRICE_OLD_MS { format!(", {} days old", age / DAY_MS) } else { String::new() };
        format!("{price} ({}{age})", price.source)
    }

    /// What becomes of its hosts, in words.
    pub fn hosts_told(&self) -> String {
        let mut parts = match self.hosts_now {
            1 => vec!["1 host".to_owned()],
            n => vec![format!("{n} hosts")],
        };
        if self.ordered > 0 {
            parts.push(format!("{} ordered", self.ordered));
        }
        if self.idle > 0 {
            parts.push(format!("{} idle then", self.idle));
        }
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_are_apart_and_what_nobody_knows_is_said() {
        let mut rate = Rate::default();
        assert_eq!((rate.is_nothing(), rate.to_string().as_str()), (true, "nothing"));
        rate.add(11_600, "USD");
        rate.add(2_000_000, "EUR");
        rate.unknown = 2;
        assert_eq!(rate.to_string(), "2.00 EUR + 0.0116 USD + unknown for 2 hosts");
        assert_eq!(rate.month(), "1460.00 EUR + 8.468 USD + unknown for 2 hosts");
    }

    #[test]
    fn an_old_price_is_told_with_its_age() {
        let price = Price::said("1 EUR", 0).expect("a price");
        let pool = PoolCost {
            pool: None,
            profile: None,
            price: Some(price),
            hosts_now: 0,
            ordered: 0,
            idle: 0,
            now: Rate::default(),
            after: Rate::default(),
        };
        assert_eq!(pool.price_told(PRICE_OLD_MS), "1.00 EUR per hour (said by a person)");
        assert_eq!(pool.price_told(100 * DAY_MS), "1.00 EUR per hour (said by a person, 100 days old)");
        assert_eq!(PoolCost { price: None, ..pool }.price_told(0), "price not known");
    }
}
