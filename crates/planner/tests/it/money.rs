//! The meter: exact over any course of things, however often it is read, and fair among those who pay.

use lace_model::money::{AccountName, Charge, ChargeReason, HOUR_MS, Meter, Month};
use lace_model::pool::{Price, PriceSource};
use lace_model::{HostId, Millis, Name};
use lace_planner::money::{Metered, Metering, accrued, charge};
use proptest::prelude::*;
use std::collections::BTreeMap;

const START: Millis = 1_800_000_000_000;
const DAY: Millis = 24 * HOUR_MS;

fn who(text: &str) -> AccountName {
    text.parse().expect("an account")
}

fn host(micro_per_hour: u64, shares: &[(&str, u64)]) -> Metered {
    Metered {
        host: HostId::derive(&[0; 32], "host"),
        name: Name::new("eu-1").expect("a name"),
        pool: Name::new("eu").expect("a name"),
        price: Price { micro_per_hour, currency: "EUR".into(), source: PriceSource::Said, at: START },
        unit_ms: 1_000,
        since: START,
        joined: true,
        shares: shares.iter().map(|(name, share)| (who(name), *share)).collect(),
    }
}

/// A ledger as it is stored, and the meter beside it.
#[derive(Default)]
struct Book {
    rows: Vec<Charge>,
    meter: Option<Meter>,
}

impl Book {
    fn go(&mut self, event: &Metering, now: Millis) {
        if let Some(charged) = charge(self.meter.as_ref(), event, now) {
            self.rows.extend(charged.rows);
            self.meter = charged.meter;
        }
    }

    fn sums(&self) -> BTreeMap<String, i64> {
        let mut sums = BTreeMap::new();
        for (account, micro) in self.rows.iter().flat_map(|row| &row.lines) {
            *sums.entry(account.to_string()).or_default() += micro;
        }
        sums
    }

    fn whole(&self) -> i64 {
        self.rows.iter().map(Charge::micro).sum()
    }
}

#[test]
fn a_month_costs_its_hours_and_days_have_rows() {
    let mut book = Book::default();
    let shop = Metering::Is(host(11_600, &[("shop", 1), ("idle/eu", 3)]));
    for minute in 0..30 * 24 * 60 {
        book.go(&shop, START + minute * 60_000);
    }
    book.go(&Metering::Ended, START + 30 * DAY);
    assert_eq!(book.whole(), 11_600 * 720);
    assert_eq!(book.sums(), [("shop".to_owned(), 11_600 * 180), ("idle/eu".to_owned(), 11_600 * 540)].into());
    assert!((30..=32).contains(&book.rows.len()), "{} rows", book.rows.len());
    for (row, next) in book.rows.iter().zip(&book.rows[1..]) {
        assert_eq!(row.until, next.from, "no gap, and nothing twice");
        assert!(row.until <= Month::of(row.from).end(), "each row is in one month");
    }
    assert!(book.meter.is_none());
}

#[test]
fn started_hours_are_paid_whole() {
    let mut book = Book::default();
    let by_the_hour = Metered { unit_ms: HOUR_MS, ..host(1_000_000, &[("shop", 1)]) };
    book.go(&Metering::Is(by_the_hour), START);
    book.go(&Metering::Ended, START + HOUR_MS + 1);
    let said: Vec<_> = book.rows.iter().map(|row| (row.reason, row.micro())).collect();
    assert_eq!(said, [(ChargeReason::Ran, 1_000_000), (ChargeReason::Rest, 1_000_000)]);
    let mut book = Book::default();
    book.go(&Metering::Is(host(3_600_000, &[("shop", 1)])), START);
    book.go(&Metering::Ended, START + 1_001);
    assert_eq!(book.whole(), 2_000, "by the second, where the pool says nothing");
}

#[test]
fn what_never_joins_is_given_back() {
    let mut book = Book::default();
    let boots = Metered { joined: false, ..host(1_000_000, &[("idle/eu", 1)]) };
    book.go(&Metering::Is(boots.clone()), START);
    book.go(&Metering::Is(Metered { price: host(2_000_000, &[]).price, ..boots }), START + HOUR_MS / 4);
    assert_eq!(book.whole(), 250_000);
    book.go(&Metering::Ended, START + HOUR_MS);
    assert_eq!((book.whole(), book.rows.last().map(|row| row.reason)), (0, Some(ChargeReason::Refund)));
    // Once it joined nothing is given back.
    let mut book = Book::default();
    book.go(&Metering::Is(Metered { joined: false, ..host(1_000_000, &[("idle/eu", 1)]) }), START);
    book.go(&Metering::Is(host(1_000_000, &[("shop", 1)])), START + HOUR_MS / 2);
    book.go(&Metering::Ended, START + HOUR_MS);
    assert_eq!(book.sums(), [("idle/eu".to_owned(), 500_000), ("shop".to_owned(), 500_000)].into());
}

#[test]
fn what_is_given_back_is_so_in_the_currency_that_it_was_charged_in() {
    let mut book = Book::default();
    let boots = Metered { joined: false, ..host(1_000_000, &[("idle/eu", 1)]) };
    let in_usd = Price { currency: "USD".into(), ..host(2_000_000, &[]).price };
    for (n, price) in
        [boots.price.clone(), in_usd.clone(), boots.price.clone(), in_usd].into_iter().enumerate()
    {
        book.go(&Metering::Is(Metered { price, ..boots.clone() }), START + n as u64 * HOUR_MS / 4);
    }
    let sums = |book: &Book| {
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        book.rows.iter().for_each(|row| *sums.entry(row.currency.clone()).or_default() += row.micro());
        sums
    };
    assert_eq!(sums(&book), [("EUR".to_owned(), 500_000), ("USD".to_owned(), 500_000)].into());
    book.go(&Metering::Ended, START + HOUR_MS);
    assert_eq!(sums(&book), [("EUR".to_owned(), 0), ("USD".to_owned(), 0)].into());
    let keys: std::collections::BTreeSet<_> = book.rows.iter().map(Charge::key).collect();
    assert_eq!(keys.len(), book.rows.len(), "each row has its own key");
}

#[test]
fn a_clock_that_goes_back_charges_nothing_twice() {
    let mut book = Book::default();
    book.go(&Metering::Is(host(1_000_000, &[("shop", 1)])), START);
    book.go(&Metering::Is(host(1_000_000, &[("blog", 1)])), START + HOUR_MS);
    book.go(&Metering::Is(host(1_000_000, &[("shop", 1)])), START + HOUR_MS / 2);
    book.go(&Metering::Ended, START + 2 * HOUR_MS);
    assert_eq!(book.whole(), 2_000_000);
}

#[derive(Clone, Debug)]
enum Move {
    Shares(Vec<(usize, u64)>),
    Price(u64),
    /// Everything is read from the store again, and looked at.
    Restart,
}

fn moves() -> impl Strategy<Value = Vec<(Millis, Move)>> {
    let shares = proptest::collection::vec((0_usize..4, 1_u64..1 << 40), 1..4).prop_map(Move::Shares);
    let one = prop_oneof![shares, (1_u64..5_000_000).prop_map(Move::Price), Just(Move::Restart)];
    proptest::collection::vec((0_u64..3 * DAY, one), 0..40)
}

proptest! {
    /// The sum is the price of the host over its whole time to the last millionth, and everybody pays what is due but for less
    /// than a millionth a row.
    #[test]
    fn sums_are_exact(moves in moves(), seen_every in 1_u64..2 * DAY) {
        const NAMES: [&str; 4] = ["blog", "idle/eu", "shop", "zoo"];
        let mut is = host(11_600, &[("idle/eu", 1)]);
        let (mut book, mut now) = (Book::default(), START);
        let mut owed: u128 = 0;
        let mut due: BTreeMap<String, f64> = BTreeMap::new();
        book.go(&Metering::Is(is.clone()), now);
        for (pause, next) in moves {
            owed += u128::from(is.price.micro_per_hour) * u128::from(pause);
            let whole: f64 = is.shares.values().map(|share| *share as f64).sum();
            for (account, share) in &is.shares {
                let part = *share as f64 / whole * is.price.micro_per_hour as f64 * pause as f64 / HOUR_MS as f64;
                *due.entry(account.to_string()).or_default() += part;
            }
            let until = now + pause;
            while now + seen_every < until {
                now += seen_every;
                book.go(&Metering::Is(is.clone()), now);
            }
            now = until;
            let meter = book.meter.as_ref().expect("a meter");
            let told = book.whole() + accrued(meter, now).iter().map(Charge::micro).sum::<i64>();
            prop_assert_eq!(told as u128, owed / u128::from(HOUR_MS));
            match next {
                Move::Shares(shares) => is.shares = shares.into_iter().map(|(n, share)| (who(NAMES[n]), share)).collect(),
                Move::Price(micro_per_hour) => is.price.micro_per_hour = micro_per_hour,
                Move::Restart => {
                    let stored = serde_json::to_string(&book.meter).expect("json");
                    book.meter = serde_json::from_str(&stored).expect("the same");
                }
            }
            book.go(&Metering::Is(is.clone()), now);
        }
        let rest = (now - START).next_multiple_of(1_000) - (now - START);
        owed += u128::from(is.price.micro_per_hour) * u128::from(rest);
        book.go(&Metering::Ended, now);
        prop_assert_eq!(book.whole() as u128, owed / u128::from(HOUR_MS));
        let keys: std::collections::BTreeSet<_> = book.rows.iter().map(Charge::key).collect();
        prop_assert_eq!(keys.len(), book.rows.len(), "each row has its own key");
        let (sums, rows) = (book.sums(), book.rows.len() as f64);
        for (account, due) in due {
            let paid = sums.get(&account).copied().unwrap_or_default() as f64;
            prop_assert!((paid - due).abs() <= 1_400.0 + rows + due * 1e-9, "{account}: {paid} for {due}");
        }
    }
}
