//! Pools: where hosts can be had, with which capabilities and at what price.

use crate::{Millis, Name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Money is counted in millionths.
pub const MICRO: u64 = 1_000_000;
/// No hour costs more than this, in millionths: what is more is a slip of the pen.
const PRICE_MICRO_MAX: u64 = 1_000_000 * MICRO;

/// Where a price comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PriceSource {
    /// A person said it.
    Said,
    /// Our catalogue of instance types.
    Catalogue,
    /// The provider.
    Provider,
}

impl fmt::Display for PriceSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Said => "said by a person",
            Self::Catalogue => "from the catalogue",
            Self::Provider => "from the provider",
        })
    }
}

/// What an hour of a host costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// In millionths of the currency; never 0: a price that is not known is none.
    pub micro_per_hour: u64,
    /// ISO 4217 code, or the name of credits.
    pub currency: String,
    /// Where it comes from.
    pub source: PriceSource,
    /// When it was said.
    pub at: Millis,
}

impl Price {
    /// Reads an amount such as `0.0116` or `0.0116 EUR`, exactly. USD where no currency is said.
    ///
    /// # Errors
    /// In words: no amount, nothing at all, or more digits than a millionth has.
    pub fn said(text: &str, at: Millis) -> Result<Self, String> {
        let (amount, currency) = text.trim().split_once(' ').unwrap_or((text.trim(), "USD"));
        let currency = currency.trim();
        let good = (2..=12).contains(&currency.len()) && currency.chars().all(|c| c.is_ascii_alphabetic());
        if !good {
            return Err(format!("{currency:?} is no currency: write 0.0116 or \"0.0116 EUR\""));
        }
        let micro_per_hour = micro(amount)?;
        if micro_per_hour == 0 {
            return Err("a price of nothing is no price: leave it out where it is not known".to_owned());
        }
        Ok(Self { micro_per_hour, currency: currency.to_uppercase(), source: PriceSource::Said, at })
    }
}

/// Millionths of a decimal amount.
fn micro(amount: &str) -> Result<u64, String> {
    let bad = || format!("{amount:?} is no amount per hour: write 0.0116, with at most six decimals");
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 6 {
        return Err(bad());
    }
    let whole: u64 = whole.parse().map_err(|_| bad())?;
    let part: u64 = format!("{part:0<6}").parse().map_err(|_| bad())?;
    let micro = whole.checked_mul(MICRO).and_then(|whole| whole.checked_add(part));
    micro.filter(|micro| *micro <= PRICE_MICRO_MAX).ok_or_else(bad)
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.micro_per_hour / MICRO, self.micro_per_hour % MICRO);
        let part = format!("{part:06}");
        let part = part.trim_end_matches('0');
        write!(f, "{whole}.{part:0<2} {} per hour", self.currency)
    }
}

/// What is taken off a price, in hundredths of a percent: below 100 %, since nothing costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Discount(u32);

impl Discount {
    const WHOLE: u32 = 10_000;

    /// A price without it, rounded to whole millionths and never nothing.
    #[must_use]
    pub fn off(self, price: Price) -> Price {
        let (whole, left) = (u64::from(Self::WHOLE), u64::from(Self::WHOLE - self.0));
        let micro_per_hour =
            (price.micro_per_hour.saturating_mul(left).saturating_add(whole / 2) / whole).max(1);
        Price { micro_per_hour, ..price }
    }
}

impl fmt::Display for Discount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:02}", self.0 / 100, self.0 % 100);
        write!(f, "{}%", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl FromStr for Discount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no discount: write 7.5%, below 100% and with at most two decimals");
        let number = text.trim().strip_suffix('%').unwrap_or(text.trim()).trim();
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.len() <= 2 && text.chars().all(|c| c.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(part) {
            return Err(bad());
        }
        let (whole, part): (u32, u32) =
            (whole.parse().map_err(|_| bad())?, format!("{part:0<2}").parse().map_err(|_| bad())?);
        Ok(Self(whole * 100 + part))
    }
}

crate::name::text_form!(Discount: String);

/// Pools' attribute that says the discount, where it is not the provider's.
pub const DISCOUNT: &str = "discount";
/// Pools' attribute that says of which units of time the provider bills started ones: `second`, `minute` or `hour`.
pub const BILLING: &str = "billing";

/// Milliseconds of a unit of [`BILLING`].
///
/// # Errors
/// In words: no unit.
pub fn billing_ms(word: &str) -> Result<Millis, String> {
    match word {
        "second" => Ok(1_000),
        "minute" => Ok(60_000),
        "hour" => Ok(3_600_000),
        _ => Err(format!("{word:?} is no unit of billing: second, minute or hour")),
    }
}

/// A pool as stored: key = its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its name.
    pub name: Name,
    /// Whose hosts these are.
    pub provider: Name,
    /// Region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Zone within the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What hosts boot from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Hardware profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Capabilities, for `where`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// What an hour of a host costs, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Hosts at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts_max: Option<u32>,
    /// When it was made.
    pub made_at: Millis,
}

/// The attribute of pools that names a network of somebody else's to live in (EC2: `vpc-…`).
pub const ADOPT: &str = "vpc";

impl Pool {
    /// What the network of its machines is called among all: `provider/region/network`. Machines of one account in one region
    /// share a network, unless a pool lives in somebody else's. `region` is the provider's where the pool says none.
    pub fn network(&self, region: Option<&str>) -> String {
        let (provider, network) = (&self.provider, self.attributes.get(ADOPT).map_or("net", String::as_str));
        format!("{provider}/{}/{network}", region.unwrap_or("-"))
    }

    /// What an hour of a host costs, the discount taken off: its own, or else the provider's.
    pub fn price_net(&self, of_provider: Option<Discount>) -> Option<Price> {
        let own = self.attributes.get(DISCOUNT).and_then(|text| text.parse().ok());
        let price = self.price.clone()?;
        Some(
            own.or(of_provider)
                .map_or_else(|| price.clone(), |discount: Discount| discount.off(price.clone())),
        )
    }

    /// The provider bills started units of so long: a second, where the pool says none.
    pub fn unit_ms(&self) -> Millis {
        self.attributes.get(BILLING).and_then(|word| billing_ms(word).ok()).unwrap_or(1_000)
    }

    /// What is known of every host of it, by name.
    pub fn known(&self) -> BTreeMap<String, String> {
        let named = [
            ("region", &self.region),
            ("zone", &self.zone),
            ("image", &self.image),
            ("profile", &self.profile),
        ];
        let mut known = self.attributes.clone();
        known.extend(named.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.clone()?))));
        known.insert("pool".to_owned(), self.name.to_string());
        known.insert("provider".to_owned(), self.provider.to_string());
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn discounts_are_taken_off_to_the_millionth() {
        let price = |micro_per_hour| Price { micro_per_hour, ..Price::said("1 EUR", 0).expect("a price") };
        for (text, shown, of, left) in [
            ("7.5%", "7.5%", 1_000_000, 925_000),
            ("10", "10%", 15, 14),
            ("0.01%", "0.01%", 10_000, 9_999),
            ("99.99", "99.99%", 1, 1),
        ] {
            let discount: Discount = text.parse().expect(text);
            assert_eq!(
                (discount.to_string().as_str(), discount.off(price(of)).micro_per_hour),
                (shown, left)
            );
        }
        for bad in ["100%", "-1%", "", "%", "1.234%", "five", "."] {
            assert!(bad.parse::<Discount>().is_err(), "{bad}");
        }
    }

    #[test]
    fn prices_are_exact() {
        for (text, micro, shown) in [
            ("0.0116", 11_600, "0.0116 USD per hour"),
            ("12", 12_000_000, "12.00 USD per hour"),
            ("0.5 eur", 500_000, "0.50 EUR per hour"),
            ("0.000001", 1, "0.000001 USD per hour"),
        ] {
            let price = Price::said(text, 0).expect(text);
            assert_eq!((price.micro_per_hour, price.to_string().as_str()), (micro, shown));
        }
        for bad in ["0", "0.0000001", "-1", "free", ".5", "1e3", "1 $", "99999999"] {
            assert!(Price::said(bad, 0).is_err(), "{bad}");
        }
    }
}
