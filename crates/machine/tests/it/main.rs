//! Real nodes on this machine. Needs root; without it every test says so and passes, except on CI.

mod world;

mod basics;
mod commands;
mod escapes;
mod files;
mod firewalls;
mod frames;
mod isolation;
mod limits;
mod many;
mod network;
mod on_host;
mod process;
mod survival;
mod votes;
