//! EC2: our client against a server that says what a test wants.

mod client;
mod fake;
