//! Ranges of addresses, cut up for zones.

use std::net::Ipv4Addr;

/// EC2 has VPCs of /16 at most, and subnets of /28 at least: a 256th of a /20 is one.
const PREFIXES: std::ops::RangeInclusive<u8> = 16..=20;
const SUBNETS: u32 = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    base: u32,
    prefix: u8,
}

impl Range {
    /// Reads `10.80.0.0/16`. Errors in words.
    pub fn read(text: &str) -> Result<Self, String> {
        let bad =
            || format!("{text:?} is no range for a network: write one from /16 to /20, such as 10.80.0.0/16");
        let (base, prefix) = text.split_once('/').ok_or_else(bad)?;
        let base = u32::from(base.parse::<Ipv4Addr>().map_err(|_| bad())?);
        let prefix: u8 = prefix.parse().map_err(|_| bad())?;
        let whole = PREFIXES.contains(&prefix) && base.trailing_zeros() >= 32 - u32::from(prefix);
        if whole { Ok(Self { base, prefix }) } else { Err(bad()) }
    }

    /// The first 256th of it that is not taken.
    pub fn free(self, taken: &[String]) -> Option<String> {
        let (prefix, size) = (self.prefix + 8, 1u32 << (24 - self.prefix));
        let nth = |n: u32| format!("{}/{prefix}", Ipv4Addr::from(self.base + n * size));
        (0..SUBNETS).map(nth).find(|range| !taken.contains(range))
    }
}

#[cfg(test)]
mod tests {
    use super::Range;

    #[test]
    fn ranges_are_cut_into_256_parts() {
        let whole = Range::read("10.80.0.0/16").expect("a range");
        assert_eq!(whole.free(&[]).as_deref(), Some("10.80.0.0/24"));
        assert_eq!(
            whole.free(&["10.80.0.0/24".into(), "10.80.2.0/24".into()]).as_deref(),
            Some("10.80.1.0/24")
        );
        let small = Range::read("10.80.16.0/20").expect("a range");
        assert_eq!(small.free(&["10.80.16.0/28".into()]).as_deref(), Some("10.80.16.16/28"));
        let all: Vec<String> = (0..256).map(|n| format!("10.80.{n}.0/24")).collect();
        assert_eq!(whole.free(&all), None);
        for bad in
            ["", "10.80.0.0", "10.80.0.0/15", "10.80.0.0/21", "10.80.1.0/16", "10.80.0/16", "fd00::/16"]
        {
            assert!(Range::read(bad).is_err(), "{bad}");
        }
    }
}
