//! A block of IPv4 addresses.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Error;

/// A block such as `10.192.0.0/10` (RFC 4632).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    address: Ipv4Addr,
    length: u8,
}

impl Cidr {
    /// A block; bits right of the prefix are cleared.
    ///
    /// # Errors
    /// A prefix longer than 32 bits.
    pub fn new(address: Ipv4Addr, length: u8) -> Result<Self, Error> {
        if length > 32 {
            return Err(Error::invalid("cidr", "a prefix has at most 32 bits"));
        }
        let address = Ipv4Addr::from_bits(address.to_bits() & mask(length));
        Ok(Cidr { address, length })
    }

    /// The first address of the block.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Bits of the prefix.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// The first address after the block's own.
    pub fn first_host(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits().wrapping_add(1))
    }

    /// Is the address in the block?
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.length) == self.address.to_bits()
    }
}

fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl FromStr for Cidr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::invalid("cidr", format!("{text:?} is not like 10.192.0.0/10"));
        let (address, length) = text.split_once('/').unwrap_or((text, "32"));
        let address = address.parse().map_err(|_| wrong())?;
        Cidr::new(address, length.parse().map_err(|_| wrong())?)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
