//! The protocol under everything that can happen to it.

mod explorer;
mod random;
mod standing;
mod wish;
mod world;
