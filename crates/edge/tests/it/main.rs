//! Role `net` over real sockets on loopback addresses.

mod backend;
mod balance;
mod blame;
mod client;
mod control;
mod door;
mod forward;
mod frames;
mod hostile;
mod limits;
mod real;
mod records;
mod rude;
mod size;
mod slow;
mod smuggle;
mod tls;
mod traffic;
mod trailers;
mod witness;
mod world;
