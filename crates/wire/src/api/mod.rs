//! The HTTP API's own types, version 1. Errors are [`lace_model::Problem`] as `application/problem+json`.
//!
//! | method and path | body -> answer |
//! | --- | --- |
//! | GET /v1/status[?target=T] | -> [`Status`] |
//! | GET /v1/apps | -> [`AppSummary`] list |
//! | POST /v1/apps/{app} · DELETE /v1/apps/{app}[?force&delete_data] | -> Application · [`Accepted`] |
//! | POST /v1/apps/{app}/rename?to | -> [`Accepted`] |
//! | POST /v1/apps/{app}/plan · /apply | `ApplyRequest` -> `Plan` · [`Accepted`] |
//! | GET /v1/apps/{app}/export | -> `ApplicationSpec` |
//! | POST /v1/verbs | [`VerbRequest`] -> [`Accepted`] |
//! | GET /v1/history?target=T | -> [`HistoryLine`] list |
//! | GET /v1/why?target=T | -> [`Explanation`] |
//! | GET /v1/nodes[?target=T&host=NAME] · /v1/usage[?target=T] | -> [`NodeView`] list · [`UsageView`] list |
//! | GET /v1/revision?target=T[&number] · /v1/usage/history?target=N[&since] | -> `Revision` · [`UsageHistory`] |
//! | GET /v1/hosts · POST /v1/hosts/{name}/drain, /undrain · DELETE /v1/hosts/{name} | -> [`HostView`] list · [`Accepted`] |
//! | PUT /v1/hosts/{name} | [`HostRequest`] -> [`Accepted`] |
//! | GET /v1/providers · POST/PUT/DELETE /v1/providers/{name} | [`ProviderRequest`] -> `Provider` list · [`Accepted`] |
//! | GET /v1/pools · POST/PUT/DELETE /v1/pools/{name} | [`PoolRequest`] -> `Pool` list · [`Accepted`] |
//! | GET /v1/accounts[?month] · GET /v1/charges[?month&account&limit] | -> [`AccountsView`] · `Charge` list |
//! | GET /v1/releases · GET/DELETE /v1/releases/{name@version} | -> `Release` list · `Release` |
//! | GET/POST /v1/packages · GET/DELETE /v1/packages/{package} | [`PackageUpload`] -> `StoredPackage` list · `StoredPackage` |
//! | GET /v1/figures[?target=T] | -> [`NodeFigures`] list |
//! | GET /v1/backups[?target] · POST /v1/backups?target=T | -> `Backup` list · [`Accepted`] |
//! | GET/DELETE /v1/backups/{id} · POST /v1/backups/{id}/restore[?target&other_version] | -> `Backup` · [`Accepted`] |
//! | POST /v1/blobs/missing | digests -> digests |
//! | PUT /v1/blobs/{digest} | bytes -> 204 |
//! | GET /v1/blobs/{digest} | -> bytes |
//! | POST /v1/releases · POST /v1/archives | [`ReleaseUpload`] -> `Release` · bytes -> `Release` |
//! | GET /v1/apps/{app}/secrets · PUT/DELETE /v1/apps/{app}/secrets/{name} | -> `SecretInfo` list · value bytes -> [`Accepted`] |
//! | GET /v1/apps/{app}/certificates · PUT/DELETE /v1/apps/{app}/certificates/{host} | -> `Certificate` list · chain and key (PEM) -> [`Accepted`] |
//! | POST /v1/apps/{app}/certificates/{host}/renew | -> [`Accepted`] |
//! | GET/PUT/DELETE /v1/authority | [`AuthorityRequest`](crate::authority::AuthorityRequest) -> [`AuthorityView`](crate::authority::AuthorityView) · [`Accepted`] |
//! | GET /v1/pushes?target=T | -> [`PushView`] |
//! | POST /v1/keys · DELETE /v1/keys?target&name | [`KeyRequest`] -> [`PushView`] · [`Accepted`] |
//! | GET /v1/routes[?target=T] | -> [`RouteView`](crate::route::RouteView) list |
//! | GET /v1/flows[?target=T] | -> [`FlowView`](crate::flow::FlowView) list |
//! | DELETE /v1/volumes?target&name | -> [`Accepted`] |
//! | POST/DELETE /v1/volumes/snapshot?target&name&snapshot · POST /v1/volumes/restore?... | -> [`Accepted`] |
//! | GET /v1/volumes[?target] | -> [`Volume`](crate::stream::Volume) list |
//! | GET /v1/operations[?subject] · GET /v1/operations/{id}[?wait_ms] · POST /v1/operations/{id}/cancel | -> `Operation` |
//! | GET /v1/tasks[?target&operation] · GET /v1/tasks/{id} | -> `NodeTask` |
//! | GET /v1/scripts?target=T | -> [`NodeScripts`] list |
//! | GET /v1/events[?since&follow&subject&limit] | -> `Event` list, or SSE with `follow` |
//! | POST /v1/jobs | [`JobRequest`] -> `Job` |
//! | GET /v1/jobs[?app] · GET /v1/jobs/{id}[?wait_ms] · POST /v1/jobs/{id}/cancel | -> `Job` |
//! | GET /v1/beam?target=T · GET /v1/beam/top?target=N[&most] · GET /v1/beam/dump?target=N | -> [`BeamNode`] list · `VmTop` · text |
//! | POST /v1/beam/call | [`BeamCallRequest`] -> [`crate::beam::BeamAnswer`] |
//! | GET /v1/stream?request=JSON of [`StreamOpen`] (WebSocket) | binary messages: one byte of [`Channel`], then the payload |
//! | GET/POST /v1/tokens · DELETE /v1/tokens/{id} | [`TokenRequest`] -> [`TokenInfo`] list · [`TokenMade`] |
//! | GET/POST /v1/users · DELETE /v1/users/{user} | [`UserRequest`] -> [`UserInfo`] list · [`UserMade`] |
//! | POST /v1/users/{user}/link · /lock · /unlock · /password | [`PasswordRequest`] -> [`TokenMade`] · [`UserInfo`] · 204 |
//! | GET/POST /v1/teams · DELETE /v1/teams/{team} · PUT/DELETE /v1/teams/{team}/members/{user} | [`TeamRequest`] -> [`TeamInfo`] list |
//! | GET/POST/DELETE /v1/grants[?to&role&app] | [`GrantLine`] -> [`GrantLine`] list |
//! | GET/PUT/POST /v1/sign-up · POST /v1/login/password | [`SignInRequest`] -> `SignUp` · [`TokenMade`] |
//! | GET /v1/audit[?after&limit] · GET /v1/audit/verify | -> [`AuditLine`] list · [`AuditVerdict`] |
//! | POST /v1/server/backup | -> bytes of the backup |
//! | GET /v1/server | -> [`ServerInfo`] · POST /v1/server/adopted ends adopt mode |
//! | GET/POST/DELETE /v1/session | -> [`SessionInfo`] · [`TokenMade`] · 204 |
//! | POST /v1/login | [`LoginRequest`] -> [`TokenMade`] |
//! | GET /v1/openapi.json · GET /healthz · GET /metrics | |

mod access;
mod beam;
mod estate;
mod people;
mod push;
mod status;
mod stream;
mod verb;
mod work;

pub use access::{
    AuditLine, AuditVerdict, LoginRequest, ServerInfo, SessionInfo, TokenInfo, TokenMade, TokenRequest,
};
pub use beam::{AdoptRequest, BeamCallRequest, BeamNode, BeamPart};
pub use estate::{AccountView, AccountsView, HostCost, HostRequest, PoolRequest, ProviderRequest};
pub use people::{
    GrantLine, PasswordRequest, SignInRequest, TeamInfo, TeamRequest, UserInfo, UserMade, UserRequest,
};
pub use push::{KeyRequest, PushView};
pub use status::{
    AppStatus, AppSummary, Explanation, FamilyStatus, FigureView, Health, HistoryLine, HostView, NodeFigures,
    NodeView, RunningRevision, Status, UsageHistory, UsagePoint, UsageView,
};
pub use stream::{Channel, StreamAction, StreamOpen};
pub use verb::{Accepted, RolloutStep, VerbRequest};
pub use work::{JobRequest, NodeScripts, PackageUpload, ReleaseUpload, SCRIPTS, ScriptState};
