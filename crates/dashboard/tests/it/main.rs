//! Pages before an API that answers from a list: what does not need a controller.

mod answers;
mod fake;
mod large;
mod mesh;
mod packages;
mod strangers;
