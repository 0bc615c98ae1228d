//! The endpoints, in the order of the table in [`crate::api`].

use super::{Client, EventFeed};
use crate::api::{
    Accepted, AccountsView, AdoptRequest, AppSummary, AuditLine, AuditVerdict, BeamCallRequest, BeamNode,
    Explanation, HistoryLine, HostRequest, HostView, JobRequest, KeyRequest, LoginRequest, NodeFigures,
    NodeScripts, NodeView, PackageUpload, PoolRequest, ProviderRequest, PushView, ReleaseUpload, ServerInfo,
    Status, TokenInfo, TokenMade, TokenRequest, UsageView, VerbRequest,
};
use crate::authority::{AuthorityRequest, AuthorityView};
use crate::beam::BeamAnswer;
use crate::stream::Volume;
use bytes::Bytes;
use lace_model::application::{ApplicationSpec, ApplyRequest};
use lace_model::backup::Backup;
use lace_model::certificate::Certificate;
use lace_model::change::Plan;
use lace_model::event::Event;
use lace_model::family::Application;
use lace_model::job::Job;
use lace_model::money::{AccountName, Charge, Month};
use lace_model::operation::Operation;
use lace_model::package::StoredPackage;
use lace_model::pool::Pool;
use lace_model::provider::Provider;
use lace_model::release::Release;
use lace_model::revision::Revision;
use lace_model::secret::SecretInfo;
use lace_model::task::NodeTask;
use lace_model::vm::VmTop;
use lace_model::{AppName, BackupId, Digest, JobId, Name, OperationId, Problem, TargetPath, TokenId};
use reqwest::Method;
use std::time::Duration;

/// What every call gives back.
type Answer<T> = Result<T, Problem>;

/// Applications and what runs in them.
impl Client {
    /// How everything, or a target, is.
    pub async fn status(&self, target: Option<&TargetPath>) -> Answer<Status> {
        self.ask(self.get(&["v1", "status"]).query_some("target", target)).await
    }

    /// All applications.
    pub async fn apps(&self) -> Answer<Vec<AppSummary>> {
        self.ask(self.get(&["v1", "apps"])).await
    }

    /// Makes an empty application.
    pub async fn app_create(&self, app: &AppName) -> Answer<Application> {
        self.ask(self.post(&["v1", "apps", app.as_str()])).await
    }

    /// Gives an application another name.
    pub async fn app_rename(&self, app: &AppName, to: &AppName) -> Answer<Accepted> {
        self.ask(self.post(&["v1", "apps", app.as_str(), "rename"]).query_some("to", Some(to))).await
    }

    /// Deletes an application.
    pub async fn app_delete(&self, app: &AppName, force: bool, data: bool) -> Answer<Accepted> {
        let call = self.delete(&["v1", "apps", app.as_str()]);
        self.ask(call.query_if("force", force).query_if("delete_data", data)).await
    }

    /// What an apply would do.
    pub async fn plan(&self, request: &ApplyRequest) -> Answer<Plan> {
        self.ask(self.post(&["v1", "apps", request.app.as_str(), "plan"]).json(request)).await
    }

    /// Makes it so.
    pub async fn apply(&self, request: &ApplyRequest) -> Answer<Accepted> {
        self.ask(self.post(&["v1", "apps", request.app.as_str(), "apply"]).json(request)).await
    }

    /// What was applied, as a whole.
    pub async fn export(&self, app: &AppName) -> Answer<ApplicationSpec> {
        self.ask(self.get(&["v1", "apps", app.as_str(), "export"])).await
    }

    /// One of the verbs that need few words.
    pub async fn verb(&self, request: &VerbRequest) -> Answer<Accepted> {
        self.ask(self.post(&["v1", "verbs"]).json(request)).await
    }

    /// The revisions of a service, the newest first.
    pub async fn history(&self, target: &TargetPath) -> Answer<Vec<HistoryLine>> {
        self.ask(self.get(&["v1", "history"]).query("target", target)).await
    }

    /// The revision that a service shall run.
    pub async fn revision(&self, target: &TargetPath) -> Answer<Revision> {
        self.ask(self.get(&["v1", "revision"]).query("target", target)).await
    }

    /// A revision of a service by its number.
    pub async fn revision_number(&self, target: &TargetPath, number: u64) -> Answer<Revision> {
        self.ask(self.get(&["v1", "revision"]).query("target", target).query("number", number)).await
    }

    /// Why something is as it is.
    pub async fn why(&self, target: &TargetPath) -> Answer<Explanation> {
        self.ask(self.get(&["v1", "why"]).query("target", target)).await
    }

    /// Nodes.
    pub async fn nodes(&self, target: Option<&TargetPath>) -> Answer<Vec<NodeView>> {
        self.ask(self.get(&["v1", "nodes"]).query_some("target", target)).await
    }

    /// What nodes use.
    pub async fn usage(&self, target: Option<&TargetPath>) -> Answer<Vec<UsageView>> {
        self.ask(self.get(&["v1", "usage"]).query_some("target", target)).await
    }

    /// Erlang runtimes.
    pub async fn beam(&self, target: &TargetPath) -> Answer<Vec<BeamNode>> {
        self.ask(self.get(&["v1", "beam"]).query("target", target)).await
    }

    /// Calls a function in an Erlang runtime.
    pub async fn beam_call(&self, request: &BeamCallRequest) -> Answer<BeamAnswer> {
        self.ask(self.post(&["v1", "beam", "call"]).json(request)).await
    }

    /// The largest processes of an Erlang runtime.
    pub async fn beam_top(&self, target: &TargetPath, most: usize) -> Answer<VmTop> {
        self.ask(self.get(&["v1", "beam", "top"]).query("target", target).query("most", most)).await
    }

    /// A picture of an Erlang runtime, as text.
    pub async fn beam_dump(&self, target: &TargetPath) -> Answer<Bytes> {
        self.ask_bytes(self.get(&["v1", "beam", "dump"]).query("target", target)).await
    }

    /// Takes a running node, and those that it sees, into view.
    pub async fn beam_adopt(&self, app: &AppName, name: &str, request: &AdoptRequest) -> Answer<Accepted> {
        let path = ["v1", "apps", app.as_str(), "adopted", name];
        self.ask(self.call(Method::PUT, &path).json(request)).await
    }

    /// Looks at adopted nodes no more.
    pub async fn beam_forget(&self, target: &TargetPath) -> Answer<Accepted> {
        self.ask(self.delete(&["v1", "beam", "adopted"]).query("target", target)).await
    }

    /// What may be known of an application's certificates.
    pub async fn certificates(&self, app: &AppName) -> Answer<Vec<Certificate>> {
        self.ask(self.get(&["v1", "apps", app.as_str(), "certificates"])).await
    }

    /// Gives a certificate, the chain and the key in one PEM text.
    pub async fn certificate_add(&self, app: &AppName, host: &str, pem: Bytes) -> Answer<Accepted> {
        let path = ["v1", "apps", app.as_str(), "certificates", host];
        self.ask(self.call(Method::PUT, &path).bytes(pem)).await
    }

    /// Removes a certificate and its key.
    pub async fn certificate_remove(&self, app: &AppName, host: &str) -> Answer<Accepted> {
        self.ask(self.delete(&["v1", "apps", app.as_str(), "certificates", host])).await
    }

    /// Has a certificate that Lace obtains asked for now.
    pub async fn certificate_renew(&self, app: &AppName, host: &str) -> Answer<Accepted> {
        self.ask(self.post(&["v1", "apps", app.as_str(), "certificates", host, "renew"])).await
    }

    /// Where certificates are ordered from.
    pub async fn authority(&self) -> Answer<AuthorityView> {
        self.ask(self.get(&["v1", "authority"])).await
    }

    /// Chooses it.
    pub async fn authority_set(&self, request: &AuthorityRequest) -> Answer<Accepted> {
        self.ask(self.call(Method::PUT, &["v1", "authority"]).json(request)).await
    }

    /// Orders no more.
    pub async fn authority_clear(&self) -> Answer<Accepted> {
        self.ask(self.delete(&["v1", "authority"])).await
    }

    /// How releases of a service are pushed, and by whom.
    pub async fn pushes(&self, target: &TargetPath) -> Answer<PushView> {
        self.ask(self.get(&["v1", "pushes"]).query("target", target)).await
    }

    /// Lets a key push releases of a service.
    pub async fn key_add(&self, request: &KeyRequest) -> Answer<PushView> {
        self.ask(self.post(&["v1", "keys"]).json(request)).await
    }

    /// Lets a key push no more.
    pub async fn key_remove(&self, target: &TargetPath, name: &Name) -> Answer<Accepted> {
        self.ask(self.delete(&["v1", "keys"]).query("target", target).query("name", name)).await
    }

    /// What may be known of an application's secrets.
    pub async fn secrets(&self, app: &AppName) -> Answer<Vec<SecretInfo>> {
        self.ask(self.get(&["v1", "apps", app.as_str(), "secrets"])).await
    }

    /// Gives a secret a new value.
    pub async fn secret_set(&self, app: &AppName, name: &str, value: Bytes) -> Answer<Accepted> {
        let path = ["v1", "apps", app.as_str(), "secrets", name];
        self.ask(self.call(Method::PUT, &path).bytes(value)).await
    }

    /// Removes a secret.
    pub async fn secret_remove(&self, app: &AppName, name: &str) -> Answer<Accepted> {
        self.ask(self.delete(&["v1", "apps", app.as_str(), "secrets", name])).await
    }
}

/// Hosts and the controller.
impl Client {
    /// All hosts.
    pub async fn hosts(&self) -> Answer<Vec<HostView>> {
        self.ask(self.get(&["v1", "hosts"])).await
    }

    /// Deletes volumes of a name; none where a node has one of them.
    pub async fn volumes_delete(&self, target: &TargetPath, name: &Name) -> Answer<Accepted> {
        self.ask(self.delete(&["v1", "volumes"]).query("target", target).query("name", name)).await
    }

    /// What hosts cost in a month, this one where none is said.
    pub async fn accounts(&self, month: Option<Month>) -> Answer<AccountsView> {
        self.ask(self.get(&["v1", "accounts"]).query_some("month", month)).await
    }

    /// The newest rows of a month's ledger.
    pub async fn charges(
        &self,
        month: Option<Month>,
        account: Option<&AccountName>,
        limit: usize,
    ) -> Answer<Vec<Charge>> {
        let call = self.get(&["v1", "charges"]).query_some("month", month).query_some("account", account);
        self.ask(call.query("limit", limit)).await
    }

    /// Takes a snapshot of volumes.
    pub async fn volumes_snapshot(
        &self,
        target: &TargetPath,
        name: &Name,
        snapshot: &Name,
    ) -> Answer<Accepted> {
        self.snapshot(Method::POST, "snapshot", target, (name, snapshot)).await
    }

    /// Puts what a snapshot holds in the place of volumes.
    pub async fn volumes_restore(
        &self,
        target: &TargetPath,
        name: &Name,
        snapshot: &Name,
    ) -> Answer<Accepted> {
        self.snapshot(Method::POST, "restore", target, (name, snapshot)).await
    }

    /// Deletes a snapshot of volumes.
    pub async fn snapshot_delete(
        &self,
        target: &TargetPath,
        name: &Name,
        snapshot: &Name,
    ) -> Answer<Accepted> {
        self.snapshot(Method::DELETE, "snapshot", target, (name, snapshot)).await
    }

    async fn snapshot(
        &self,
        method: Method,
        verb: &str,
        target: &TargetPath,
        (name, snapshot): (&Name, &Name),
    ) -> Answer<Accepted> {
        let call = self.call(method, &["v1", "volumes", verb]).query("target", target);
        let call = call.query("name", name).query("snapshot", snapshot);
        self.ask(call.waiting(Duration::from_secs(90))).await
    }

    /// What outlives nodes.
    pub async fn volumes(&self, target: Option<&TargetPath>) -> Answer<Vec<Volume>> {
        self.ask(self.get(&["v1", "volumes"]).query_some("target", target)).await
    }

    /// Moves everything away from a host.
    pub async fn host_drain(&self, host: &Name) -> Answer<Accepted> {
        self.ask(self.post(&["v1", "hosts", host.as_str(), "drain"])).await
    }

    /// Lets a drained host take nodes again.
    pub async fn host_undrain(&self, host: &Name) -> Answer<Accepted> {
        self.ask(self.post(&["v1", "hosts", host.as_str(), "undrain"])).await
    }

    /// Changes what is said of a host.
    pub async fn host_set(&self, host: &Name, request: &HostRequest) -> Answer<Accepted> {
        self.ask(self.call(Method::PUT, &["v1", "hosts", host.as_str()]).json(request)).await
    }

    /// Providers.
    pub async fn providers(&self) -> Answer<Vec<Provider>> {
        self.ask(self.get(&["v1", "providers"])).await
    }

    /// Registers a provider.
    pub async fn provider_add(&self, name: &Name, request: &ProviderRequest) -> Answer<Accepted> {
        self.ask(self.post(&["v1", "providers", name.as_str()]).json(request)).await
    }

    /// Changes a provider.
    pub async fn provider_set(&self, name: &Name, request: &ProviderRequest) -> Answer<Accepted> {
        self.ask(self.call(Method::PUT, &["v1", "providers", name.as_str()]).json(request)).await
    }

    /// Removes a provider, its credentials with it.
    pub async fn provider_remove(&self, name: &Name) -> Answer<Accepted> {
        self.ask(self.delete(&["v1", "providers", name.as_str()])).await
    }

    /// Pools.
    pub async fn pools(&self) -> Answer<Vec<Pool>> {
        self.ask(self.get(&["v1", "pools"])).await
    }

    /// Makes a pool.
    pub async fn pool_add(&self, name: &Name, request: &PoolRequest) -> Answer<Accepted> {
        self.ask(self.post(&["v1", "pools", name.as_str()]).json(request)).await
    }

    /// Changes a pool.
    pub async fn pool_set(&self, name: &Name, request: &PoolRequest) -> Answer<Accepted> {
        self.ask(self.call(Method::PUT, &["v1", "pools", name.as_str()]).json(request)).await
    }

    /// Removes a pool.
    pub async fn pool_remove(&self, name: &Name) -> Answer<Accepted> {
        self.ask(self.delete(&["v1", "pools", name.as_str()])).await
    }

    /// Forgets a host.
    pub async fn host_remove(&self, host: &Name, force: bool) -> Answer<Accepted> {
        self.ask(self.delete(&["v1", "hosts", host.as_str()]).query_if("force", force)).await
    }

    /// About the controller.
    pub async fn server(&self) -> Answer<ServerInfo> {
        self.ask(self.get(&["v1", "server"])).await
    }

    /// Ends adopt mode.
    pub async fn server_adopted(&self) -> Answer<()> {
        self.tell(self.post(&["v1", "server", "adopted"])).await
    }

    /// The controller's own state, piece by piece.
    pub async fn server_backup(&self, mut piece: impl FnMut(&[u8]) -> std::io::Result<()>) -> Answer<u64> {
        let mut response = self.send(self.post(&["v1", "server", "backup"]).unbounded()).await?;
        let mut bytes = 0;
        while let Some(chunk) = response.chunk().await.map_err(|e| self.unreachable(&e))? {
            piece(&chunk).map_err(|e| {
                Problem::new(lace_model::Code::Error, format!("cannot write the backup: {e}"))
            })?;
            bytes += chunk.len() as u64;
        }
        Ok(bytes)
    }

    /// Trades a one-time login token for a session token.
    pub async fn login(&self, token: &str) -> Answer<TokenMade> {
        let request = LoginRequest { token: token.to_owned() };
        self.ask(self.post(&["v1", "login"]).json(&request)).await
    }

    /// The description of the API.
    pub async fn openapi(&self) -> Answer<serde_json::Value> {
        self.ask(self.get(&["v1", "openapi.json"])).await
    }

    /// Does it answer?
    pub async fn healthy(&self) -> Answer<()> {
        self.tell(self.get(&["healthz"])).await
    }

    /// All tokens, without their secret parts.
    pub async fn tokens(&self) -> Answer<Vec<TokenInfo>> {
        self.ask(self.get(&["v1", "tokens"])).await
    }

    /// Makes a token.
    pub async fn token_create(&self, request: &TokenRequest) -> Answer<TokenMade> {
        self.ask(self.post(&["v1", "tokens"]).json(request)).await
    }

    /// Ends a token.
    pub async fn token_remove(&self, id: TokenId) -> Answer<()> {
        self.tell(self.delete(&["v1", "tokens", &id.to_string()])).await
    }

    /// Rows of the audit log.
    pub async fn audit(&self, after: Option<u64>, limit: Option<u32>) -> Answer<Vec<AuditLine>> {
        let call = self.get(&["v1", "audit"]);
        self.ask(call.query_some("after", after).query_some("limit", limit)).await
    }

    /// Walks the audit chain.
    pub async fn audit_verify(&self) -> Answer<AuditVerdict> {
        self.ask(self.get(&["v1", "audit", "verify"])).await
    }
}

/// Packages.
impl Client {
    /// All packages.
    pub async fn packages(&self) -> Answer<Vec<StoredPackage>> {
        self.ask(self.get(&["v1", "packages"])).await
    }

    /// One package, as `NAME@VERSION`, or the newest of a name.
    pub async fn package(&self, name: &str) -> Answer<StoredPackage> {
        self.ask(self.get(&["v1", "packages", name])).await
    }

    /// Deletes a package, as `NAME@VERSION`; never one that is in use.
    pub async fn package_delete(&self, name: &str) -> Answer<()> {
        self.tell(self.delete(&["v1", "packages", name])).await
    }

    /// Keeps a package whose blobs are there.
    pub async fn package_create(&self, upload: &PackageUpload) -> Answer<StoredPackage> {
        self.ask(self.post(&["v1", "packages"]).json(upload)).await
    }
}

/// Backups.
impl Client {
    /// Copies of what services hold, the newest first.
    pub async fn backups(&self, target: Option<&TargetPath>) -> Answer<Vec<Backup>> {
        self.ask(self.get(&["v1", "backups"]).query_some("target", target)).await
    }

    /// One of them.
    pub async fn backup(&self, id: BackupId) -> Answer<Backup> {
        self.ask(self.get(&["v1", "backups", &id.to_string()])).await
    }

    /// Makes one; it has the id of its operation.
    pub async fn backup_create(&self, target: &TargetPath) -> Answer<Accepted> {
        self.ask(self.post(&["v1", "backups"]).query_some("target", Some(target))).await
    }

    /// Deletes one.
    pub async fn backup_delete(&self, id: BackupId) -> Answer<()> {
        self.tell(self.delete(&["v1", "backups", &id.to_string()])).await
    }

    /// Gives one to a service, instead of what that holds.
    pub async fn backup_restore(
        &self,
        id: BackupId,
        target: Option<&TargetPath>,
        other_version: bool,
    ) -> Answer<Accepted> {
        let call = self.post(&["v1", "backups", &id.to_string(), "restore"]).query_some("target", target);
        self.ask(call.query_some("other_version", other_version.then_some(true))).await
    }
}

/// Releases.
impl Client {
    /// All releases.
    pub async fn releases(&self) -> Answer<Vec<Release>> {
        self.ask(self.get(&["v1", "releases"])).await
    }

    /// One release, as `NAME@VERSION`.
    pub async fn release(&self, name: &str) -> Answer<Release> {
        self.ask(self.get(&["v1", "releases", name])).await
    }

    /// Deletes a release, as `NAME@VERSION`; never one that is in use.
    pub async fn release_delete(&self, name: &str) -> Answer<()> {
        self.tell(self.delete(&["v1", "releases", name])).await
    }

    /// Makes a release of blobs that are there.
    pub async fn release_create(&self, upload: &ReleaseUpload) -> Answer<Release> {
        self.ask(self.post(&["v1", "releases"]).json(upload)).await
    }

    /// Which of these blobs the controller lacks.
    pub async fn blobs_missing(&self, digests: &[Digest]) -> Answer<Vec<Digest>> {
        self.ask(self.post(&["v1", "blobs", "missing"]).json(&digests)).await
    }

    /// Puts a blob.
    pub async fn blob_put(&self, digest: Digest, bytes: Bytes) -> Answer<()> {
        let path = ["v1", "blobs", &digest.to_string()];
        self.tell(self.call(Method::PUT, &path).bytes(bytes)).await
    }

    /// Gets a blob, checked against its digest.
    pub async fn blob_get(&self, digest: Digest) -> Answer<Bytes> {
        let bytes = self.ask_bytes(self.get(&["v1", "blobs", &digest.to_string()])).await?;
        if Digest::of(&bytes) != digest {
            let message = format!("blob {} came with another content", digest.short());
            return Err(Problem::new(lace_model::Code::Error, message));
        }
        Ok(bytes)
    }
}

/// Operations, jobs, events.
impl Client {
    /// Operations, the newest first.
    pub async fn operations(&self, subject: Option<&str>) -> Answer<Vec<Operation>> {
        self.ask(self.get(&["v1", "operations"]).query_some("subject", subject)).await
    }

    /// One operation; answers when it changed or ended, after `wait` at the latest.
    pub async fn operation(&self, id: OperationId, wait: Duration) -> Answer<Operation> {
        let call = self.get(&["v1", "operations", &id.to_string()]);
        let call = call.query_some("wait_ms", wait_ms(wait)).waiting(wait);
        self.ask(call).await
    }

    /// Cancels an operation.
    pub async fn operation_cancel(&self, id: OperationId) -> Answer<Operation> {
        self.ask(self.post(&["v1", "operations", &id.to_string(), "cancel"])).await
    }

    /// Tasks on nodes, the newest first: of a target, or of an operation.
    pub async fn tasks(
        &self,
        target: Option<&TargetPath>,
        operation: Option<OperationId>,
    ) -> Answer<Vec<NodeTask>> {
        let call = self.get(&["v1", "tasks"]).query_some("target", target);
        self.ask(call.query_some("operation", operation)).await
    }

    /// What nodes of packages say of themselves in numbers.
    pub async fn figures(&self, target: Option<&TargetPath>) -> Answer<Vec<NodeFigures>> {
        self.ask(self.get(&["v1", "figures"]).query_some("target", target)).await
    }

    /// How the scripts of the code under a target stand, on each node.
    pub async fn scripts(&self, target: &TargetPath) -> Answer<Vec<NodeScripts>> {
        self.ask(self.get(&["v1", "scripts"]).query_some("target", Some(target))).await
    }

    /// Events after `since`, the oldest first.
    pub async fn events(
        &self,
        since: Option<u64>,
        subject: Option<&str>,
        limit: Option<u32>,
    ) -> Answer<Vec<Event>> {
        let call = self.get(&["v1", "events"]).query_some("since", since);
        self.ask(call.query_some("subject", subject).query_some("limit", limit)).await
    }

    /// Events after `since` and all that come; survives a controller that restarts.
    pub fn follow_events(&self, since: Option<u64>, subject: Option<&str>) -> EventFeed {
        EventFeed::new(self.retrying_for(super::RETRY_WATCHING), since, subject.map(str::to_owned))
    }

    /// Asks for a job.
    pub async fn job_create(&self, request: &JobRequest) -> Answer<Job> {
        self.ask(self.post(&["v1", "jobs"]).json(request)).await
    }

    /// Jobs, the newest first.
    pub async fn jobs(&self, app: Option<&AppName>) -> Answer<Vec<Job>> {
        self.ask(self.get(&["v1", "jobs"]).query_some("app", app)).await
    }

    /// One job; answers when it ended, after `wait` at the latest.
    pub async fn job(&self, id: JobId, wait: Duration) -> Answer<Job> {
        let call = self.get(&["v1", "jobs", &id.to_string()]);
        self.ask(call.query_some("wait_ms", wait_ms(wait)).waiting(wait)).await
    }

    /// Cancels a job.
    pub async fn job_cancel(&self, id: JobId) -> Answer<Job> {
        self.ask(self.post(&["v1", "jobs", &id.to_string(), "cancel"])).await
    }
}

fn wait_ms(wait: Duration) -> Option<u128> {
    (!wait.is_zero()).then_some(wait.as_millis())
}
