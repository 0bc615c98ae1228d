//! The table.

use super::Body::{Archive, Chunk, Json, Secret, Tree};
use super::Patience::{Open, Waits};
use super::Reply::{Bytes, Elsewhere, List, Nothing, Socket, Text};
use super::Scope::{Own, Path, Row, Shared, Target, Whole};
use super::{Door, Reply};
use crate::{
    account, adopted, app, apply, archive, audit, authority, backup, beam, blob, certificate, event, figures,
    flow, history, host, job, metrics, node, operation, package, page, pool, provider, push, release, route,
    scripts, secret, server, session, status, stream, task, token, verb, volume, why,
};

pub(super) type Query = &'static [(&'static str, &'static str)];

const TARGET: Query = &[("target", "APP, APP/SERVICE, APP/SERVICE/FAMILY or a node")];
const NODES: Query = &[
    ("target", "APP, APP/SERVICE, APP/SERVICE/FAMILY or a node"),
    ("host", "those of the host of this name"),
];
const TASKS: Query =
    &[("target", "APP, APP/SERVICE, APP/SERVICE/FAMILY or a node"), ("operation", "those that belong to it")];
const RESTORE: Query = &[
    ("target", "APP/SERVICE; the service that it is of where none is said"),
    ("other_version", "also where another version of the package wrote it"),
];
const KEY: Query = &[("target", "APP/SERVICE"), ("name", "the key's name")];
const VOLUME: Query =
    &[("target", "APP, APP/SERVICE, APP/SERVICE/FAMILY or a node"), ("name", "the volumes' name")];
const SNAPSHOT: Query = &[
    ("target", "APP, APP/SERVICE, APP/SERVICE/FAMILY or a node"),
    ("name", "the volumes' name"),
    ("snapshot", "the snapshot's name"),
];
const NODE: Query = &[("target", "a node: APP/SERVICE/N")];
const TOP: Query = &[("target", "a node: APP/SERVICE/N"), ("most", "so many by each rank (10, at most 100)")];
const APP: Query = &[("app", "the application")];
const WAIT: Query = &[("wait_ms", "wait for it, at most so long (and 60,000)")];
const SUBJECT: Query = &[("subject", "`shop` covers `shop/game/2`")];
const FORCE: Query = &[("force", "also where it carries nodes")];
const RENAME: Query = &[("to", "the new name, which no application has")];
const DELETE: Query = &[("force", "end even if hosts do not answer"), ("delete_data", "volumes too")];
const REQUEST: Query = &[("request", "JSON of a StreamOpen")];
const ARCHIVE: Query = &[
    ("name", "its name, where it does not say one"),
    ("version", "its version, instead of its own"),
    ("start", "what starts it, in words"),
    ("file", "the file's name"),
];
const REVISION: Query =
    &[("target", "APP/SERVICE"), ("number", "the revision; the wanted one where none is said")];
const USAGE: Query = &[("target", "a node"), ("since", "moments after this one, in milliseconds since 1970")];
const MONTH: Query = &[("month", "`2026-11`, in UTC; this one where none is said")];
const LEDGER: Query = &[
    ("month", "`2026-11`, in UTC; this one where none is said"),
    ("account", "rows that it pays a part of: an application, or idle/POOL"),
    ("limit", "the newest ones, at most so many (and 10,000)"),
];
const LOGIN: Query = &[("token", "the one-time token")];
const AUDIT: Query = &[("after", "rows after this number"), ("limit", "at most so many (and 1,000)")];
const EVENTS: Query = &[
    ("since", "events after this number"),
    ("follow", "go on, as server-sent events"),
    ("subject", "`shop` covers `shop/game/2`"),
    ("limit", "at most so many of a list (and 1,000)"),
];

pub(super) fn get<H: axum::handler::Handler<T, crate::ApiState>, T: 'static>(
    path: &'static str,
    handler: H,
) -> Door {
    Door::new("GET", path, handler)
}
pub(super) fn post<H: axum::handler::Handler<T, crate::ApiState>, T: 'static>(
    path: &'static str,
    handler: H,
) -> Door {
    Door::new("POST", path, handler)
}
pub(super) fn put<H: axum::handler::Handler<T, crate::ApiState>, T: 'static>(
    path: &'static str,
    handler: H,
) -> Door {
    Door::new("PUT", path, handler)
}
pub(super) fn delete<H: axum::handler::Handler<T, crate::ApiState>, T: 'static>(
    path: &'static str,
    handler: H,
) -> Door {
    Door::new("DELETE", path, handler)
}

/// All doors.
pub fn table() -> Vec<Door> {
    [
        anyone(),
        applications(),
        routes(),
        looks(),
        runtimes(),
        releases(),
        packages(),
        backups(),
        work(),
        estate(),
        house(),
        trust(),
        super::people::people(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn anyone() -> Vec<Door> {
    vec![
        get("/", page::home).open().answers(Text("text/html")).says("A page for people."),
        get("/healthz", page::healthz).open().answers(Text("text/plain")).says("Does the controller answer?"),
        get("/v1/openapi.json", page::openapi)
            .open()
            .answers(Text("application/json"))
            .says("This description."),
        get("/login", session::login_link)
            .open()
            .asks(LOGIN)
            .answers(Elsewhere)
            .says("The one-time link: its token becomes a session cookie."),
        post("/v1/login", session::login)
            .open()
            .takes(Json("LoginRequest"))
            .answers(Reply::Json("TokenMade"))
            .says("Trades a one-time login token for a session token."),
    ]
}

fn applications() -> Vec<Door> {
    vec![
        get("/v1/apps", app::list).viewer(Target).answers(List("AppSummary")).says("Applications."),
        post("/v1/apps/{app}", app::create)
            .deployer(Path)
            .answers(Reply::Json("Application"))
            .says("Makes an empty application."),
        delete("/v1/apps/{app}", app::delete)
            .deployer(Path)
            .asks(DELETE)
            .answers(Reply::Json("Accepted"))
            .says("Deletes an application."),
        post("/v1/apps/{app}/rename", app::rename)
            .deployer(Path)
            .asks(RENAME)
            .answers(Reply::Json("Accepted"))
            .says("Gives an application of which nothing runs another name."),
        post("/v1/apps/{app}/plan", apply::plan)
            .viewer(Path)
            .untraced()
            .takes(Json("ApplyRequest"))
            .answers(Reply::Json("Plan"))
            .says("What an apply would change."),
        post("/v1/apps/{app}/apply", apply::make)
            .deployer(Path)
            .takes(Json("ApplyRequest"))
            .answers(Reply::Json("Accepted"))
            .says("Makes an application as a manifest says."),
        get("/v1/apps/{app}/export", apply::export)
            .viewer(Path)
            .answers(Reply::Json("ApplicationSpec"))
            .says("A manifest that makes it again."),
        get("/v1/apps/{app}/secrets", secret::list)
            .viewer(Path)
            .answers(List("SecretInfo"))
            .says("Names and versions of secrets."),
        put("/v1/apps/{app}/secrets/{name}", secret::put)
            .deployer(Path)
            .takes(Secret)
            .answers(Reply::Json("Accepted"))
            .says("Gives a secret a new value; services that use it roll."),
        delete("/v1/apps/{app}/secrets/{name}", secret::delete)
            .deployer(Path)
            .answers(Reply::Json("Accepted"))
            .says("Removes a secret that no service uses."),
        post("/v1/verbs", verb::act)
            .deployer(Target)
            .takes(Json("VerbRequest"))
            .answers(Reply::Json("Accepted"))
            .says("Scale, start, stop, restart, signal, action, failover, delete, replace, rollback, rollout, activate."),
    ]
}

fn routes() -> Vec<Door> {
    vec![
        get("/v1/routes", route::list)
            .viewer(Target)
            .asks(TARGET)
            .answers(List("RouteView"))
            .says("Ways in from outside."),
        get("/v1/flows", flow::list)
            .viewer(Target)
            .asks(TARGET)
            .answers(List("FlowView"))
            .says("What doors carried in the last seconds, by route, family and node."),
        get("/v1/apps/{app}/certificates", certificate::list)
            .viewer(Path)
            .answers(List("Certificate"))
            .says("Certificates for an application's routes, keys aside."),
        put("/v1/apps/{app}/certificates/{host}", certificate::put)
            .deployer(Path)
            .takes(Secret)
            .answers(Reply::Json("Accepted"))
            .says("Gives a certificate and its key (PEM); doors present it from the next connection on."),
        delete("/v1/apps/{app}/certificates/{host}", certificate::delete)
            .deployer(Path)
            .answers(Reply::Json("Accepted"))
            .says("Removes a certificate and its key."),
        post("/v1/apps/{app}/certificates/{host}/renew", certificate::renew)
            .deployer(Path)
            .answers(Reply::Json("Accepted"))
            .says("Asks for a certificate that Lace obtains now."),
    ]
}

fn looks() -> Vec<Door> {
    vec![
        get("/v1/status", status::show)
            .viewer(Target)
            .asks(TARGET)
            .answers(Reply::Json("Status"))
            .says("How everything is."),
        get("/v1/history", history::list)
            .viewer(Target)
            .asks(TARGET)
            .answers(List("HistoryLine"))
            .says("The revisions of a service, the newest first."),
        get("/v1/revision", history::revision)
            .viewer(Target)
            .asks(REVISION)
            .answers(Reply::Json("Revision"))
            .says("One revision of a service, with everything that it says."),
        get("/v1/why", why::explain_target)
            .viewer(Target)
            .asks(TARGET)
            .answers(Reply::Json("Explanation"))
            .says("Why something is as it is."),
        get("/v1/nodes", node::list).viewer(Target).asks(NODES).answers(List("NodeView")).says("Nodes."),
        get("/v1/usage", node::usage)
            .viewer(Target)
            .asks(TARGET)
            .answers(List("UsageView"))
            .says("What nodes use."),
        get("/v1/figures", figures::list)
            .viewer(Target)
            .asks(TARGET)
            .answers(List("NodeFigures"))
            .says("What nodes of packages say of themselves in numbers."),
        get("/v1/usage/history", node::usage_history)
            .viewer(Target)
            .asks(USAGE)
            .answers(Reply::Json("UsageHistory"))
            .says("What a node used over time."),
        get("/v1/events", event::list_or_follow)
            .viewer(Own)
            .asks(EVENTS)
            .answers(List("Event"))
            .patience(Open)
            .says("Events, as a list or a feed."),
    ]
}

fn runtimes() -> Vec<Door> {
    vec![
        get("/v1/beam", beam::list)
            .viewer(Target)
            .asks(TARGET)
            .answers(List("BeamNode"))
            .says("Erlang and Elixir runtimes: whom they see and should see, what they run."),
        get("/v1/beam/top", beam::top)
            .viewer(Target)
            .asks(TOP)
            .patience(Waits)
            .answers(Reply::Json("VmTop"))
            .says("The largest processes of a runtime."),
        get("/v1/beam/dump", beam::dump)
            .deployer(Target)
            .asks(NODE)
            .patience(Waits)
            .answers(Text("text/plain"))
            .says("A picture of everything in a runtime."),
        put("/v1/apps/{app}/adopted/{name}", adopted::adopt)
            .deployer(Path)
            .takes(Json("AdoptRequest"))
            .patience(Waits)
            .answers(Reply::Json("Accepted"))
            .says("Takes a running node, and those that it sees, into view."),
        delete("/v1/beam/adopted", adopted::forget)
            .deployer(Target)
            .asks(TARGET)
            .answers(Reply::Json("Accepted"))
            .says("Looks at adopted nodes no more."),
        post("/v1/beam/call", beam::call)
            .deployer(Target)
            .takes(Json("BeamCallRequest"))
            .patience(Waits)
            .answers(Reply::Json("BeamAnswer"))
            .says("Calls a function in a runtime, with Erlang terms."),
    ]
}

fn packages() -> Vec<Door> {
    vec![
        get("/v1/packages", package::list).viewer(Shared).answers(List("Package")).says("Packages."),
        post("/v1/packages", package::create)
            .deployer(Shared)
            .takes(Tree("PackageUpload"))
            .answers(Reply::Json("Package"))
            .says("Keeps a package of chunks that were put before."),
        get("/v1/packages/{package}", package::show)
            .viewer(Shared)
            .answers(Reply::Json("Package"))
            .says("One package, as NAME@VERSION, or the newest of a NAME."),
        delete("/v1/packages/{package}", package::delete)
            .deployer(Whole)
            .answers(Nothing)
            .says("Deletes a package that nothing uses."),
    ]
}

fn releases() -> Vec<Door> {
    vec![
        get("/v1/pushes", push::show)
            .viewer(Target)
            .asks(TARGET)
            .answers(Reply::Json("PushView"))
            .says("How releases of a service are pushed by git, and by which keys."),
        post("/v1/keys", push::add)
            .deployer(Target)
            .takes(Json("KeyRequest"))
            .answers(Reply::Json("PushView"))
            .says("Lets a key push releases of a service."),
        delete("/v1/keys", push::remove)
            .deployer(Target)
            .asks(KEY)
            .answers(Reply::Json("Accepted"))
            .says("Lets a key push no more."),
        get("/v1/releases", release::list).viewer(Shared).answers(List("Release")).says("Releases."),
        post("/v1/releases", release::create)
            .deployer(Shared)
            .takes(Tree("ReleaseUpload"))
            .answers(Reply::Json("Release"))
            .says("Makes a release of chunks that were put before."),
        post("/v1/archives", archive::create)
            .deployer(Shared)
            .asks(ARCHIVE)
            .takes(Archive)
            .answers(Reply::Json("Release"))
            .says("Makes a release of an archive (tar, plain or packed, or zip)."),
        get("/v1/releases/{release}", release::show)
            .viewer(Shared)
            .answers(Reply::Json("Release"))
            .says("One release, as NAME@VERSION."),
        delete("/v1/releases/{release}", release::delete)
            .deployer(Whole)
            .answers(Nothing)
            .says("Deletes a release that nothing uses."),
        post("/v1/blobs/missing", blob::missing)
            .deployer(Shared)
            .untraced()
            .takes(Tree("Digests"))
            .answers(Reply::Json("Digests"))
            .says("Which of these chunks are not here."),
        put("/v1/blobs/{digest}", blob::put)
            .deployer(Shared)
            .untraced()
            .takes(Chunk)
            .answers(Nothing)
            .says("Puts a chunk under its digest."),
        get("/v1/blobs/{digest}", blob::get).deployer(Shared).answers(Bytes).says("A chunk or a tree."),
    ]
}

fn backups() -> Vec<Door> {
    vec![
        get("/v1/backups", backup::list)
            .viewer(Target)
            .asks(TARGET)
            .answers(List("Backup"))
            .says("Copies of what services hold, the newest first."),
        post("/v1/backups", backup::create)
            .deployer(Target)
            .asks(TARGET)
            .answers(Reply::Json("Accepted"))
            .says("Makes one, by the service's package; it has the id of its operation."),
        get("/v1/backups/{id}", backup::show)
            .viewer(Row)
            .answers(Reply::Json("Backup"))
            .says("One of them; its chunks are blobs that its tree names."),
        delete("/v1/backups/{id}", backup::delete).deployer(Row).answers(Nothing).says("Deletes one."),
        post("/v1/backups/{id}/restore", backup::restore)
            .deployer(Row)
            .asks(RESTORE)
            .answers(Reply::Json("Accepted"))
            .says("Gives it to a service of the same package, instead of what that holds."),
    ]
}

fn work() -> Vec<Door> {
    vec![
        get("/v1/operations", operation::list)
            .viewer(Target)
            .asks(SUBJECT)
            .answers(List("Operation"))
            .says("Operations, the newest first."),
        get("/v1/operations/{id}", operation::show)
            .viewer(Row)
            .asks(WAIT)
            .answers(Reply::Json("Operation"))
            .patience(Waits)
            .says("One operation; with `wait_ms`, when it changes or has ended."),
        post("/v1/operations/{id}/cancel", operation::cancel)
            .deployer(Row)
            .answers(Reply::Json("Operation"))
            .says("No longer watches an operation; what it began goes on."),
        get("/v1/tasks", task::list)
            .viewer(Target)
            .asks(TASKS)
            .answers(List("NodeTask"))
            .says("Verbs on nodes, the newest first."),
        get("/v1/tasks/{id}", task::show)
            .viewer(Row)
            .answers(Reply::Json("NodeTask"))
            .says("One verb on a node, and its outcome."),
        get("/v1/scripts", scripts::list)
            .viewer(Target)
            .asks(TARGET)
            .patience(Waits)
            .answers(List("NodeScripts"))
            .says("How the scripts of a service's code stand, on each node."),
        get("/v1/jobs", job::list)
            .viewer(Target)
            .asks(APP)
            .answers(List("Job"))
            .says("Jobs, the newest first."),
        post("/v1/jobs", job::create)
            .deployer(Target)
            .takes(Json("JobRequest"))
            .answers(Reply::Json("Job"))
            .says("Runs a command to its end."),
        get("/v1/jobs/{id}", job::show)
            .viewer(Row)
            .asks(WAIT)
            .answers(Reply::Json("Job"))
            .patience(Waits)
            .says("One job; with `wait_ms`, when it has ended."),
        post("/v1/jobs/{id}/cancel", job::cancel)
            .deployer(Row)
            .answers(Reply::Json("Job"))
            .says("Ends a job."),
        // Logs are for viewers; the handler wants a deployer for everything else.
        get("/v1/stream", stream::open)
            .viewer(Target)
            .asks(REQUEST)
            .answers(Socket)
            .patience(Open)
            .says("A stream to a node or job: exec, logs, copy, forward (WebSocket)."),
    ]
}

/// Where hosts come from, and what is said of them.
fn estate() -> Vec<Door> {
    vec![
        put("/v1/hosts/{name}", host::set)
            .admin()
            .takes(Json("HostRequest"))
            .answers(Reply::Json("Accepted"))
            .says("Changes what is said of a host."),
        get("/v1/providers", provider::list)
            .viewer(Whole)
            .answers(List("Provider"))
            .says("Providers; their credentials are named, never shown."),
        post("/v1/providers/{name}", provider::add)
            .admin()
            .takes(Json("ProviderRequest"))
            .answers(Reply::Json("Accepted"))
            .says("Registers a provider; its credentials are sealed."),
        put("/v1/providers/{name}", provider::set)
            .admin()
            .takes(Json("ProviderRequest"))
            .answers(Reply::Json("Accepted"))
            .says("Changes a provider."),
        delete("/v1/providers/{name}", provider::remove)
            .admin()
            .answers(Reply::Json("Accepted"))
            .says("Removes a provider that no pool uses, and its credentials."),
        get("/v1/accounts", account::list)
            .viewer(Target)
            .asks(MONTH)
            .answers(Reply::Json("AccountsView"))
            .says("What hosts cost in a month, by who pays and by host; of limited tokens their applications' part."),
        get("/v1/charges", account::ledger)
            .viewer(Target)
            .asks(LEDGER)
            .answers(List("Charge"))
            .says("Rows of the ledger of a month."),
        get("/v1/pools", pool::list).viewer(Whole).answers(List("Pool")).says("Pools."),
        post("/v1/pools/{name}", pool::add)
            .admin()
            .takes(Json("PoolRequest"))
            .answers(Reply::Json("Accepted"))
            .says("Makes a pool."),
        put("/v1/pools/{name}", pool::set)
            .admin()
            .takes(Json("PoolRequest"))
            .answers(Reply::Json("Accepted"))
            .says("Changes a pool."),
        delete("/v1/pools/{name}", pool::remove)
            .admin()
            .answers(Reply::Json("Accepted"))
            .says("Removes a pool that neither hosts nor families use."),
    ]
}

fn house() -> Vec<Door> {
    vec![
        get("/v1/hosts", host::list).viewer(Whole).answers(List("HostView")).says("Hosts."),
        delete("/v1/volumes", volume::delete)
            .deployer(Target)
            .asks(VOLUME)
            .answers(Reply::Json("Accepted"))
            .says("Deletes volumes that no node has; their content is gone."),
        get("/v1/volumes", volume::list)
            .viewer(Whole)
            .asks(TARGET)
            .answers(List("Volume"))
            .says("What outlives nodes, as the hosts that answer have it."),
        post("/v1/volumes/snapshot", volume::snapshot::take)
            .deployer(Target)
            .asks(SNAPSHOT)
            .patience(Waits)
            .answers(Reply::Json("Accepted"))
            .says("Takes a snapshot of volumes; nodes that have them wait meanwhile."),
        post("/v1/volumes/restore", volume::snapshot::restore)
            .deployer(Target)
            .asks(SNAPSHOT)
            .patience(Waits)
            .answers(Reply::Json("Accepted"))
            .says("Puts what a snapshot holds in the place of volumes that no node has."),
        delete("/v1/volumes/snapshot", volume::snapshot::forget)
            .deployer(Target)
            .asks(SNAPSHOT)
            .patience(Waits)
            .answers(Reply::Json("Accepted"))
            .says("Deletes a snapshot of volumes."),
        post("/v1/hosts/{name}/drain", host::drain)
            .admin()
            .answers(Reply::Json("Accepted"))
            .says("Moves everything away from a host."),
        post("/v1/hosts/{name}/undrain", host::undrain)
            .admin()
            .answers(Reply::Json("Accepted"))
            .says("Lets a host take nodes again."),
        delete("/v1/hosts/{name}", host::remove)
            .admin()
            .asks(FORCE)
            .answers(Reply::Json("Accepted"))
            .says("Removes a host."),
        get("/v1/server", server::info)
            .viewer(Whole)
            .answers(Reply::Json("ServerInfo"))
            .says("About the controller."),
        post("/v1/server/backup", server::backup)
            .admin()
            .answers(Text("application/x-tar"))
            .patience(Open)
            .says("A backup of the controller's state, as a tar archive."),
        post("/v1/server/adopted", server::adopted).admin().answers(Nothing).says("Ends adopt mode."),
        get("/metrics", metrics::show)
            .viewer(Whole)
            .answers(Text("text/plain"))
            .says("Numbers for Prometheus."),
    ]
}

fn trust() -> Vec<Door> {
    vec![
        get("/v1/authority", authority::show)
            .viewer(Whole)
            .answers(Reply::Json("AuthorityView"))
            .says("Where certificates are ordered from."),
        put("/v1/authority", authority::set)
            .admin()
            .takes(Json("AuthorityRequest"))
            .answers(Reply::Json("Accepted"))
            .says("Chooses the authority that certificates are ordered from."),
        delete("/v1/authority", authority::clear)
            .admin()
            .answers(Reply::Json("Accepted"))
            .says("Orders no more certificates."),
        get("/v1/tokens", token::list)
            .admin()
            .answers(List("TokenInfo"))
            .says("Tokens, without their texts."),
        post("/v1/tokens", token::create)
            .admin()
            .takes(Json("TokenRequest"))
            .answers(Reply::Json("TokenMade"))
            .says("Makes a token; its text is shown this once."),
        delete("/v1/tokens/{id}", token::delete).admin().answers(Nothing).says("Ends a token."),
        get("/v1/session", session::show)
            .viewer(Own)
            .answers(Reply::Json("SessionInfo"))
            .says("Who comes with these credentials."),
        post("/v1/session", session::open)
            .viewer(Own)
            .answers(Reply::Json("TokenMade"))
            .says("A session with the same rights."),
        delete("/v1/session", session::close)
            .viewer(Own)
            .answers(Nothing)
            .says("Ends the session that asks."),
        get("/v1/audit", audit::list).admin().asks(AUDIT).answers(List("AuditLine")).says("The audit log."),
        get("/v1/audit/verify", audit::verify)
            .admin()
            .answers(Reply::Json("AuditVerdict"))
            .says("Is the audit log as it was written?"),
    ]
}
