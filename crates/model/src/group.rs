//! Global groups of OTP: parts of a family that share global names among themselves only.
//!
//! Source: `global_group` in the Kernel Reference Manual. All nodes must have the same list of names, or none of them trusts
//! another; so a group is a range of indexes, whose names are known before the nodes are there, and scaling changes no list.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Most nodes of one group: each of its runtimes keeps the list.
const NODES_MAX: u32 = 1_000;
/// Highest index of a node in a group.
const INDEX_MAX: u32 = 100_000;

/// A range of indexes, as `1-3` or `4-6 hidden`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GlobalGroup {
    /// The first index.
    pub first: u32,
    /// The last one.
    pub last: u32,
    /// Its nodes are hidden from those of other groups (OTP's publish type).
    pub hidden: bool,
}

impl GlobalGroup {
    /// Is a node in it?
    pub fn has(&self, index: u32) -> bool {
        (self.first..=self.last).contains(&index)
    }

    /// Is some node in both?
    pub fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for GlobalGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}{}", self.first, self.last, if self.hidden { " hidden" } else { "" })
    }
}

impl FromStr for GlobalGroup {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let what = || format!("{text:?} is not a range of nodes such as 1-3, or `4-6 hidden`");
        let mut words = text.split_whitespace();
        let range = words.next().ok_or_else(what)?;
        let hidden = match words.next() {
            None => false,
            Some("hidden") => true,
            Some(_) => return Err(what()),
        };
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |digits: &str| digits.parse::<u32>().map_err(|_| what());
        let (first, last) = (number(first)?, number(last)?);
        if words.next().is_some() || first == 0 || last < first || last > INDEX_MAX {
            return Err(what());
        }
        if last - first >= NODES_MAX {
            return Err(format!("{range} are more than {NODES_MAX} nodes"));
        }
        Ok(Self { first, last, hidden })
    }
}

impl From<GlobalGroup> for String {
    fn from(group: GlobalGroup) -> Self {
        group.to_string()
    }
}

impl TryFrom<String> for GlobalGroup {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_a_range_of_indexes() {
        for (text, shown, has) in [("1-3", "1-3", 3), ("4", "4-4", 4), (" 5-6  hidden", "5-6 hidden", 6)] {
            let group: GlobalGroup = text.parse().expect(text);
            assert_eq!(group.to_string(), shown);
            assert!(group.has(has) && !group.has(has + 1));
            assert_eq!(
                serde_json::from_str::<GlobalGroup>(&serde_json::to_string(&group).unwrap()).unwrap(),
                group
            );
        }
        for text in ["", "0-1", "3-1", "1-", "-1", "1-2 shown", "1-2 hidden x", "1-1001", "1-9999999", "a-b"]
        {
            assert!(text.parse::<GlobalGroup>().is_err(), "{text}");
        }
        let group = |text: &str| text.parse::<GlobalGroup>().unwrap();
        assert!(group("1-3").meets(&group("3-4")) && !group("1-3").meets(&group("4-5")));
    }
}
