//! `lace user`, `lace team`, `lace grant`: people, and what they may do.

pub mod grant;
pub mod team;
pub mod user;

use lace_model::people::Grant;
use lace_model::token::Role;

/// `deployer of shop, viewer`.
fn grants(all: &[Grant]) -> String {
    let one = |grant: &Grant| match &grant.app {
        Some(app) => format!("{} of {app}", role(grant.role)),
        None => role(grant.role).to_owned(),
    };
    if all.is_empty() { "nothing".into() } else { all.iter().map(one).collect::<Vec<_>>().join(", ") }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Deployer => "deployer",
        Role::Admin => "admin",
    }
}
