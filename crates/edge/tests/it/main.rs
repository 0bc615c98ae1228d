//! Role `net` over real sockets on loopback addresses.

mod control;
mod forward;
mod hostile;
mod real;
mod records;
mod size;
mod world;
