//! The command line, in process, against a fake controller that can fail on order.

#[path = "../../src/command/mod.rs"]
#[allow(dead_code, unused_imports, reason = "what only main.rs and the roles use")]
mod command;

mod codes;
mod contexts;
mod fake;
mod golden;
mod grammar;
mod guards;
mod manifests;
mod packages;
mod promise;
mod samples;
mod streams;
mod uploads;
mod watching;
