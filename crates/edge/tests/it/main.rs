//! Role `net` over real sockets on loopback addresses.

mod backend;
mod client;
mod control;
mod door;
mod forward;
mod hostile;
mod real;
mod records;
mod size;
mod tls;
mod traffic;
mod world;
