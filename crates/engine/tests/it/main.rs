//! The engine on a store in memory, with hosts that obey their documents.

mod estate;
mod hosts;
mod scenes;
mod tasks;
