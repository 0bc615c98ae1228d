//! Ways in from outside, as the API tells of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One way in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouteView {
    /// Whose it is: `shop/web`.
    pub service: String,
    /// What nobody else may have: `shop.example.com/api`, `tcp:5432`.
    pub door: String,
    /// Where it is reached, if the controller's machine has a door.
    pub url: Option<String>,
    /// Port of the nodes.
    pub port: u16,
    /// Said by somebody; the usual way in otherwise.
    pub declared: bool,
    /// Clients stay with their node.
    pub sticky: bool,
    /// Its certificate is good until then; none where it is plain HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_until: Option<u64>,
    /// Who issued it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_issuer: Option<String>,
    /// Where it came from: given, acme or internal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_source: Option<String>,
    /// What is known of a certificate that is being obtained or renewed: why the last try failed, when the next one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obtaining: Option<String>,
    /// Under repair: a page says so.
    pub maintenance: bool,
}
