//! A real agent, in a process of its own, with a controller in this one, and real nodes. Needs root; without it every
//! test says so and passes, except on CI.

mod controller;
mod world;

mod basics;
mod beam;
mod bootstrap;
mod jobs;
mod many;
mod peers;
mod session;
mod streams;
mod survival;
mod volumes;
