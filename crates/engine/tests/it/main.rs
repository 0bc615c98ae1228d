//! The engine on a store in memory, with hosts that obey their documents.

mod estate;
mod hosts;
mod machines;
mod money;
mod scenes;
mod tasks;
