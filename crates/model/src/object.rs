//! Which nouns are stored as objects, and under which key.

use crate::{
    adopted, authority, backup, family, host, job, machine, money, node, operation, package, people, pool,
    provider, release, revision, target, task, token,
};
use serde::{Serialize, de::DeserializeOwned};

/// A noun that the store keeps as one row: its kind, its key, its schema number.
pub trait Object: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Name of the kind in the store and the change feed.
    const KIND: &'static str;
    /// Goes up when the JSON form changes in a way that old readers would not understand.
    const SCHEMA: u32 = 1;
    /// Its key within the kind.
    fn key(&self) -> String;
}

macro_rules! objects {
    ($($kind:literal $ty:ty: |$it:ident| $key:expr;)*) => {$(
        impl Object for $ty {
            const KIND: &'static str = $kind;
            fn key(&self) -> String {
                let $it = self;
                $key
            }
        }
    )*
        /// Every kind.
        pub const KINDS: &[&str] = &[$($kind),*];
    };
}

objects! {
    "authority" authority::Authority: |_it| authority::AUTHORITY_KEY.to_owned();
    "app" family::Application: |it| it.name.to_string();
    "service" family::Service: |it| it.path.to_string();
    "family" family::Family: |it| it.path.to_string();
    "revision" revision::Revision: |it| revision_key(&it.service, it.number);
    "release" release::Release: |it| format!("{}@{}", it.name, it.version);
    "package" package::StoredPackage: |it| it.spec.key();
    "target" target::Target: |it| it.family.to_string();
    "node" node::NodeStatus: |it| it.id.to_string();
    "host" host::Host: |it| it.id.to_string();
    "operation" operation::Operation: |it| it.id.to_string();
    "job" job::Job: |it| it.id.to_string();
    "task" task::NodeTask: |it| it.id.to_string();
    "provider" provider::Provider: |it| it.name.to_string();
    "pool" pool::Pool: |it| it.name.to_string();
    "machine" machine::Machine: |it| it.id.to_string();
    "meter" money::Meter: |it| it.host.to_string();
    "charge" money::Charge: |it| money::Charge::key(it);
    "bill" money::Bill: |it| money::Bill::key(it);
    "account" money::Account: |it| it.name.to_string();
    "token" token::Token: |it| it.id.to_string();
    "user" people::User: |it| it.name.to_string();
    "team" people::Team: |it| it.name.to_string();
    "sign-up" people::SignUp: |_it| people::SIGN_UP_KEY.to_owned();
    "backup" backup::Backup: |it| it.id.to_string();
    "adopted" adopted::Adopted: |it| it.path.to_string();
}

/// The key of a revision: sorts by number within its service.
pub fn revision_key(service: &crate::ServicePath, number: u64) -> String {
    format!("{service}#{number:010}")
}
