//! Months of the calendar, in UTC: what sums and budgets are for.

use crate::Millis;
use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A month of the calendar, in UTC, as `2026-11`. Those outside the years 1 to 9999 count as the nearest of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month(Date);

impl Month {
    /// The month that a moment is in.
    pub fn of(at: Millis) -> Self {
        let at = i64::try_from(at).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
        let date = at.unwrap_or(Timestamp::MAX).to_zoned(TimeZone::UTC).date();
        Self(date.first_of_month())
    }

    /// Its first moment.
    pub fn begin(self) -> Millis {
        let at = self.0.to_zoned(TimeZone::UTC).map_or(0, |zoned| zoned.timestamp().as_millisecond());
        u64::try_from(at).unwrap_or_default()
    }

    /// The first moment after it.
    pub fn end(self) -> Millis {
        self.0.last_of_month().tomorrow().map_or(Millis::MAX, |next| Self(next).begin())
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.year(), self.0.month())
    }
}

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no month: write 2026-11");
        let (year, month) = text.split_once('-').ok_or_else(bad)?;
        let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
        if year.len() != 4 || month.len() != 2 || !digits(year) || !digits(month) {
            return Err(bad());
        }
        let date = Date::new(year.parse().map_err(|_| bad())?, month.parse().map_err(|_| bad())?, 1);
        date.map(Self).map_err(|_| bad())
    }
}

crate::name::text_form!(Month: String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_touch_each_other() {
        let mut month: Month = "2027-01".parse().unwrap();
        for next in ["2027-02", "2027-03", "2027-04"] {
            assert_eq!(Month::of(month.end() - 1), month);
            month = Month::of(month.end());
            assert_eq!(month.to_string(), next);
        }
        assert_eq!(Month::of(1_800_000_000_000).to_string(), "2027-01");
        for bad in ["2027", "2027-1", "2027-13", "27-01", "2027-01-01", "+027-01"] {
            assert!(bad.parse::<Month>().is_err(), "{bad}");
        }
    }
}
