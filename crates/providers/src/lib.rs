//! Where hosts come from.
//!
//! This room turns what somebody has (servers with a key, accounts at clouds) into machines that run our agent, and takes
//! them or the agent off again. It decides nothing about nodes, and knows no controller: a ticket comes in as text.

pub mod ec2;
pub mod provider;
pub mod sim;
pub mod ssh;
