//! Pools: where hosts can be had, with which capabilities and at what price.

use crate::{Millis, Name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

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
