//! What EC2 can be asked, typed: a file for each kind of thing. Only what we use of each answer is read.

mod account;
mod address;
mod group;
mod host;
mod network;
mod volume;

pub use account::{Caller, Kind, Zone};
pub use address::ElasticAddress;
pub use group::{Group, Login, Rule};
pub use host::{Machine, Run};
pub use network::{Gateway, RouteTable, SubnetFound, Vpc};
pub use volume::VolumeFound;

use super::fault::Fault;
use super::query::Query;

/// What a call ends with.
pub type Answer<T> = Result<T, Fault>;

/// A tag: its key and its value.
pub type Tag = (String, String);

/// Which things are asked for.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// Those with these ids.
    Ids(&'a [&'a str]),
    /// Those that have, by each name, one of the values.
    Filters(&'a [(&'a str, &'a [&'a str])]),
}

impl Which<'_> {
    /// `ids` is what this kind of thing calls its list of ids.
    fn put(&self, query: Query, ids: &str) -> Query {
        match self {
            Self::Ids(list) => query.list(ids, *list),
            Self::Filters(filters) => filters
                .iter()
                .enumerate()
                .fold(query, |query, (at, (name, values))| query.filter(at + 1, name, values)),
        }
    }
}
