//! The binary as a user has it: real processes, real nodes, real Erlang. Needs root.

mod carry;
mod cluster;
mod daily;
mod divide;
mod door;
mod elixir;
mod estate;
mod families;
mod full;
mod ground;
mod hosts;
mod kill;
mod lace;
mod load;
mod mistakes;
mod outlive;
mod page;
mod private;
mod restore;
mod scenario;
mod scripts;
mod tls;
mod up;
mod verbs;
mod votes;
