//! What is said of the estate: hosts, providers, pools. A field that is left out stays as it is.

use lace_model::Name;
use lace_model::provider::ProviderKind;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is said of a host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HostRequest {
    /// The pool that it belongs to; an empty text for none.
    pub pool: Option<String>,
}

/// What is said of a provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderRequest {
    /// Its kind: needed for a new one, and never changed.
    #[schema(value_type = Option<String>)]
    pub kind: Option<ProviderKind>,
    /// Region.
    pub region: Option<String>,
    /// Where its API answers.
    pub endpoint: Option<String>,
    /// What is taken off the prices of its pools: `7.5%`; an empty text for nothing.
    pub discount: Option<String>,
    /// Credentials by name: they are sealed, and never come out.
    pub credentials: BTreeMap<String, String>,
}

/// What is said of a pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PoolRequest {
    /// Whose hosts these are: needed for a new one, and never changed.
    #[schema(value_type = Option<String>)]
    pub provider: Option<Name>,
    /// Region.
    pub region: Option<String>,
    /// Zone.
    pub zone: Option<String>,
    /// What hosts boot from.
    pub image: Option<String>,
    /// Hardware profile.
    pub profile: Option<String>,
    /// Attributes; an empty text takes one away, those that are not named stay.
    pub attributes: BTreeMap<String, String>,
    /// What an hour of a host costs: `0.0116` (USD) or `0.0116 EUR`; an empty text where it is not known.
    pub price_per_hour: Option<String>,
    /// Hosts at most; 0 for no limit.
    pub hosts_max: Option<u32>,
}

/// What hosts cost in a month.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AccountsView {
    /// The month, in UTC: `2026-11`.
    pub month: String,
    /// By who pays.
    pub accounts: Vec<AccountView>,
    /// By host; empty for months of which only sums are kept.
    pub hosts: Vec<HostCost>,
}

/// What an account pays in a currency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AccountView {
    /// An application, or `idle/POOL` for what nobody claims.
    pub account: String,
    /// ISO 4217 code, or the name of credits.
    pub currency: String,
    /// In the month up to now, in millionths.
    pub micro: i64,
    /// In an hour as things are now, in millionths.
    pub micro_per_hour: i64,
}

/// What a host costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HostCost {
    /// Its name.
    pub host: String,
    /// Its pool.
    pub pool: String,
    /// ISO 4217 code, or the name of credits.
    pub currency: String,
    /// In the month up to now, in millionths.
    pub micro: i64,
    /// In an hour as things are now, in millionths; nothing where it is gone.
    pub micro_per_hour: i64,
}
