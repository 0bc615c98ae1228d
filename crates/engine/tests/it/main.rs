//! The engine on a store in memory, with hosts that obey their documents.

mod hosts;
mod scenes;
mod tasks;
