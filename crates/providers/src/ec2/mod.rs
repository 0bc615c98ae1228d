//! Amazon EC2, and what speaks like it.
//!
//! A client of the Query API of our own (<https://docs.aws.amazon.com/AWSEC2/latest/APIReference/>): some forty actions, typed,
//! signed, with limits on time, number and size. It keeps nothing between calls but the credentials.

mod account;
mod action;
mod client;
mod credential;
mod fault;
mod limit;
mod query;
mod sign;
mod xml;

pub use account::{Ec2, INSTALLATION, KEY};
pub use action::{
    Answer, Caller, ElasticAddress, Gateway, Group, Kind, Login, Machine, RouteTable, Rule, Run, SubnetFound,
    Tag, VolumeFound, Vpc, Which, Zone,
};
pub(crate) use client::plain_http;
pub use client::{Client, Patience, Place};
pub use credential::{Chain, Credentials, Variables};
pub use fault::Fault;
pub use sign::sha256_hex as digest;
