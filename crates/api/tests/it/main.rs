//! The door as its callers meet it: the real router over a real store, in one process.

mod apps;
mod authority;
mod certificates;
mod doors;
mod estate;
mod events;
mod hosts;
mod house;
mod limits;
mod malformed;
mod packages;
mod people;
mod releases;
mod secrets;
mod server;
mod sessions;
mod streams;
mod verbs;
mod work;
