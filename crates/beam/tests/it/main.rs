//! Against real runtimes on loopback, and against bytes that no runtime sends.

mod calls;
mod fuzz;
mod hostile;
mod links;
mod node;
mod sampling;
mod terms;
