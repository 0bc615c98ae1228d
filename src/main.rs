//! The binary: picks a role.
fn main() {}
