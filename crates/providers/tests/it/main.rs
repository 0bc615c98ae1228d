//! Providers from outside.

mod conformance;
mod sim;
