//! EC2: our client against a server that says what a test wants, and our provider against moto (PyPI), which simulates EC2
//! with its checks of signatures and rights, behind a proxy of ours for what moto does not do.

mod account;
mod client;
mod fake;
mod moto;
mod proxy;
mod saga;

use moto::http;
