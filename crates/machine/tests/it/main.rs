//! Real nodes on this machine. Needs root; without it every test says so and passes, except on CI.

mod world;

mod basics;
