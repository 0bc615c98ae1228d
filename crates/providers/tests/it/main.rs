//! Providers from outside.

mod conformance;
mod ec2;
mod sim;
