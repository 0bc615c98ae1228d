//! What the model promises: manifests, names, quantities.

mod manifest;
mod mistakes;
mod package;
mod round_trip;
mod texts;
