//! The meter: what a host costs from moment to moment, and who pays it. Pure: what the host is and the time go in, rows of the
//! ledger and the meter from then on come out.
//!
//! Nothing is rounded away: what is not yet a whole millionth is owed to the next row, and the lines of a row are divided so
//! that their sum is the row's. So the rows of a host are what its price is over its whole time, to the millionth.

mod divide;
mod share;

pub use divide::divide;
pub(crate) use share::parts;
pub use share::{Claim, shares};

use lace_model::money::{AccountName, CHARGED_EVERY, Charge, ChargeReason, HOUR_MS, Meter, Month};
use lace_model::pool::Price;
use lace_model::{HostId, Millis, Name};
use std::collections::BTreeMap;

/// What a host is, for its meter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metered {
    /// The host.
    pub host: HostId,
    /// What it is called.
    pub name: Name,
    /// Its pool.
    pub pool: Name,
    /// What an hour costs, the discount taken off.
    pub price: Price,
    /// The provider bills started units of so long, in milliseconds.
    pub unit_ms: Millis,
    /// Since when it is paid for, where no meter says so.
    pub since: Millis,
    /// It joined.
    pub joined: bool,
    /// Who pays, in parts of their sum. Never empty.
    pub shares: BTreeMap<AccountName, u64>,
}

/// What became of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metering {
    /// It is there, and paid for.
    Is(Metered),
    /// It is paid for no longer.
    Ended,
}

/// Rows of the ledger, and the meter from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charged {
    /// What is charged, in order.
    pub rows: Vec<Charge>,
    /// None where the host is paid for no longer.
    pub meter: Option<Meter>,
}

/// What is to be written now: none where the meter goes on as it is.
pub fn charge(meter: Option<&Meter>, event: &Metering, now: Millis) -> Option<Charged> {
    match (meter, event) {
        (None, Metering::Ended) => None,
        (None, Metering::Is(host)) => Some(charge_on(&opened(host, now), host, now)),
        (Some(meter), Metering::Is(host)) if goes_on(meter, host, now) => None,
        (Some(meter), Metering::Is(host)) => Some(charge_on(meter, host, now)),
        (Some(meter), Metering::Ended) => Some(Charged { rows: ended(meter, now), meter: None }),
    }
}

/// What is charged up to now and not written yet.
pub fn accrued(meter: &Meter, now: Millis) -> Vec<Charge> {
    advance(&mut meter.clone(), now)
}

/// When the meter is to be looked at again, though nothing of the host changes.
pub fn due_at(meter: &Meter) -> Millis {
    Month::of(meter.until).end().min(meter.until.saturating_add(CHARGED_EVERY.ms()))
}

fn opened(host: &Metered, now: Millis) -> Meter {
    let began = host.since.min(now);
    Meter {
        host: host.host,
        name: host.name.clone(),
        pool: host.pool.clone(),
        price: host.price.clone(),
        unit_ms: host.unit_ms.max(1),
        began,
        until: began,
        owed: 0,
        shares: host.shares.clone(),
        joined: host.joined,
        refundable: BTreeMap::new(),
        refundable_before: BTreeMap::new(),
    }
}

fn goes_on(meter: &Meter, host: &Metered, now: Millis) -> bool {
    let costs = |price: &Price| (price.micro_per_hour, price.currency.clone());
    meter.shares == host.shares
        && costs(&meter.price) == costs(&host.price)
        && (meter.unit_ms, &meter.name, &meter.pool) == (host.unit_ms.max(1), &host.name, &host.pool)
        && (meter.joined || !host.joined)
        && now < due_at(meter)
}

fn charge_on(meter: &Meter, host: &Metered, now: Millis) -> Charged {
    let mut next = meter.clone();
    let mut rows = advance(&mut next, now);
    // Parts of a millionth of another currency are worth nothing in this one.
    if next.price.currency != host.price.currency {
        rows.extend(rest(&mut next, now));
        next = in_currency(Meter { owed: 0, began: next.until, ..next }, &host.price.currency);
    }
    let joined = next.joined || host.joined;
    if joined {
        next = Meter { refundable: BTreeMap::new(), refundable_before: BTreeMap::new(), ..next };
    }
    let meter = Meter {
        name: host.name.clone(),
        pool: host.pool.clone(),
        price: host.price.clone(),
        unit_ms: host.unit_ms.max(1),
        shares: host.shares.clone(),
        joined,
        ..next
    };
    Charged { rows, meter: Some(meter) }
}

/// What is given back is so in the currency that it was charged in.
fn in_currency(meter: Meter, currency: &str) -> Meter {
    let mut before = meter.refundable_before;
    if !meter.refundable.is_empty() {
        before.insert(meter.price.currency.clone(), meter.refundable);
    }
    let refundable = before.remove(currency).unwrap_or_default();
    Meter { refundable, refundable_before: before, ..meter }
}

/// Charges up to a moment, a row for each month that is touched. A clock that went back charges nothing.
fn advance(meter: &mut Meter, until: Millis) -> Vec<Charge> {
    let mut rows = Vec::new();
    while meter.until < until {
        let to = Month::of(meter.until).end().min(until);
        rows.extend(row(meter, to, ChargeReason::Ran));
    }
    rows
}

/// Charges up to `to`, which is in the same month; no row where that is less than a millionth.
fn row(meter: &mut Meter, to: Millis, reason: ChargeReason) -> Option<Charge> {
    let from = std::mem::replace(&mut meter.until, to);
    let ms = u128::from(to.saturating_sub(from));
    let owed = u128::from(meter.price.micro_per_hour) * ms + u128::from(meter.owed);
    let hour = u128::from(HOUR_MS);
    meter.owed = u64::try_from(owed % hour).unwrap_or_default();
    let micro = u64::try_from(owed / hour).unwrap_or(u64::MAX);
    if micro == 0 {
        return None;
    }
    let lines = divide(micro, &meter.shares);
    if !meter.joined {
        for (account, micro) in &lines {
            let sum = meter.refundable.entry(account.clone()).or_default();
            *sum = sum.saturating_add(*micro);
        }
    }
    Some(line_up(meter, reason, (from, to), lines))
}

fn line_up(
    meter: &Meter,
    reason: ChargeReason,
    (from, until): (Millis, Millis),
    lines: BTreeMap<AccountName, i64>,
) -> Charge {
    Charge {
        month: Month::of(from),
        host: meter.host,
        name: meter.name.clone(),
        pool: meter.pool.clone(),
        reason,
        currency: meter.price.currency.clone(),
        from,
        until,
        lines,
    }
}

/// The last rows: the rest of the unit that was begun, or everything back where it never joined.
fn ended(meter: &Meter, now: Millis) -> Vec<Charge> {
    if meter.joined {
        let mut meter = meter.clone();
        let mut rows = advance(&mut meter, now);
        rows.extend(rest(&mut meter, now));
        return rows;
    }
    let of_now = (&meter.price.currency, &meter.refundable);
    let all = meter.refundable_before.iter().chain([of_now]).filter(|(_, sums)| !sums.is_empty());
    // A row is known by its moment: those of several currencies are a millisecond apart.
    let at = meter.until.max(now);
    let row = |((currency, sums), at): ((&String, &BTreeMap<AccountName, i64>), Millis)| {
        let back = sums.iter().map(|(account, micro)| (account.clone(), micro.saturating_neg())).collect();
        Charge { currency: currency.clone(), ..line_up(meter, ChargeReason::Refund, (at, at), back) }
    };
    all.zip(at..).map(row).collect()
}

/// The rest of the unit that was begun belongs to the month in which the host went.
fn rest(meter: &mut Meter, now: Millis) -> Option<Charge> {
    let ran = meter.until.max(now) - meter.began;
    let whole = meter.began.saturating_add(ran.next_multiple_of(meter.unit_ms.max(1)));
    row(meter, whole, ChargeReason::Rest)
}
