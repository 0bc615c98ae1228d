//! What fleet needs of the rest of the controller: joining, blobs, secrets.

use super::program::Joiners;
use super::register::Register;
use bytes::Bytes;
use futures::future::BoxFuture;
use lace_engine::Witness;
use lace_engine::certificate::Authority;
use lace_fleet::Support;
use lace_model::event::NewEvent;
use lace_model::host::{Block, Host, Underlay};
use lace_model::machine::{Machine, MachineState};
use lace_model::token::Token;
use lace_model::{Code, Digest, FamilyPath, HostId, Millis, Name, NodeId, Object, Problem};
use lace_store::{Batch, Clock, Expect, Row, Store};
use lace_vote::Message;
use lace_wire::link::frame::{JoinReply, JoinRequest};
use std::sync::{Arc, Mutex, PoisonError};

/// The controller, as fleet sees it.
#[derive(Clone)]
pub struct ControllerSupport {
    /// What is kept.
    pub store: Store,
    /// Signs hosts.
    pub authority: Arc<Authority>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The private space, CIDR.
    pub space: String,
    /// Votes where families have an even number of nodes.
    pub witness: Arc<Witness>,
    /// What hosts have that no other may.
    pub register: Arc<Mutex<Register>>,
}

impl Support for ControllerSupport {
    fn join(&self, request: JoinRequest) -> BoxFuture<'static, Result<JoinReply, Problem>> {
        let this = self.clone();
        Box::pin(async move {
            let joined = tokio::task::spawn_blocking(move || this.join_now(request)).await;
            joined.unwrap_or_else(|e| Err(Problem::new(Code::Error, e.to_string())))
        })
    }

    fn blob(&self, digest: Digest) -> BoxFuture<'static, Result<Bytes, Problem>> {
        let store = self.store.clone();
        Box::pin(async move {
            let read = tokio::task::spawn_blocking(move || store.blobs().get(&digest)).await;
            let found = read.map_err(|e| Problem::new(Code::Error, e.to_string()))??;
            found.map(Bytes::from).ok_or_else(|| Problem::not_found(format!("blob {digest}")))
        })
    }

    fn secret(&self, app: &str, name: &str, version: u64) -> Result<Bytes, Problem> {
        let app = Name::new(app).map_err(|e| Problem::new(Code::Usage, e.to_string()))?;
        let found = self.store.secret_get(&app, name, Some(version))?;
        let (value, _) = found.ok_or_else(|| Problem::not_found(format!("secret {app}/{name}@{version}")))?;
        Ok(Bytes::copy_from_slice(value.expose()))
    }

    fn epoch(&self) -> u64 {
        self.store.epoch()
    }

    fn adopting(&self) -> bool {
        self.store.meta().is_ok_and(|meta| meta.adopt)
    }

    fn blocks(&self, host: HostId) -> Result<Vec<Block>, Problem> {
        let row = self.store.get::<Host>(&host.to_string())?;
        row.map(|r| r.value.blocks).ok_or_else(|| {
            Problem::new(Code::NotAllowed, "this host was removed").hint("join again with a new join token")
        })
    }

    fn witness(&self, host: HostId, node: (NodeId, &FamilyPath), message: Message) -> Option<Message> {
        self.witness.heard(host, node, message).unwrap_or_else(|error| {
            tracing::warn!(%error, "the witness gives no vote");
            None
        })
    }

    fn now(&self) -> Millis {
        self.clock.now_ms()
    }
}

impl Joiners for ControllerSupport {
    fn may_join(&self, token: &str) -> bool {
        self.join_token(token).is_ok()
    }
}

impl ControllerSupport {
    fn join_now(&self, request: JoinRequest) -> Result<JoinReply, Problem> {
        let token = self.join_token(&request.token)?;
        let machine = self.machine_of(&token.value)?;
        let host = self.new_host(&request, machine.as_ref().map(|row| &row.value))?;
        let joined = self.welcome(request, &token, machine, &host);
        if joined.is_err() {
            self.register.lock().unwrap_or_else(PoisonError::into_inner).withdraw(&host);
        }
        joined
    }

    /// Signs its certificate and writes it down, and the token off.
    fn welcome(
        &self,
        request: JoinRequest,
        token: &Row<Token>,
        machine: Option<Row<Machine>>,
        host: &Host,
    ) -> Result<JoinReply, Problem> {
        let name = lace_wire::link::host_certificate_name(host.id);
        let certificate = self
            .authority
            .host(&request.csr, &name)
            .map_err(|e| Problem::new(Code::Usage, format!("the certificate request is not usable: {e}")))?;
        let mut batch = Batch::new(Some(token.value.name.clone()));
        batch.delete::<Token>(&token.value.id.to_string(), Expect::Rev(token.rev));
        batch.put(host, Expect::Absent);
        if let Some(Row { value, rev }) = machine {
            batch.put(&value.now(MachineState::Joined, self.clock.now_ms()), Expect::Rev(rev));
        }
        batch.event(NewEvent::new("host.joined", format!("host/{}", host.name), "the host joined"));
        batch.audit("host.join", &format!("host/{}", host.name), "done");
        self.store.commit(batch)?;
        Ok(JoinReply {
            host: host.id,
            installation: self.store.installation(),
            certificate,
            ca: self.authority.ca().to_owned(),
            space: self.space.clone(),
            blocks: host.blocks.clone(),
        })
    }

    /// The token of this text, where it lets somebody join now.
    fn join_token(&self, text: &str) -> Result<Row<Token>, Problem> {
        let refused = || {
            Problem::new(Code::NotAllowed, "the join token is not valid (any more)")
                .hint("make a new one: lace token create NAME --join")
        };
        let id = lace_api::token_id(text).ok_or_else(refused)?;
        let token = self.store.get::<Token>(&id.to_string())?.ok_or_else(refused)?;
        let over = token.value.expires_at.is_some_and(|end| end <= self.clock.now_ms());
        match token.value.join && !over && lace_api::is_text_of(&token.value, text) {
            true => Ok(token),
            false => Err(refused()),
        }
    }

    /// The machine that was ordered from a pool and joins with this token, if it is one.
    fn machine_of(&self, token: &Token) -> Result<Option<Row<Machine>>, Problem> {
        let Some(id) = token.machine else { return Ok(None) };
        let row = self.store.get::<Machine>(&id.to_string())?.filter(|row| row.value.is_coming());
        let late = || {
            Problem::new(Code::NotAllowed, "this machine was given up meanwhile")
                .hint("delete it at its provider: another one was ordered")
        };
        row.ok_or_else(late).map(Some)
    }

    /// What it is called and the addresses that it gives are its own from here on: others join at the same time.
    fn new_host(&self, request: &JoinRequest, machine: Option<&Machine>) -> Result<Host, Problem> {
        let mut register = self.register.lock().unwrap_or_else(PoisonError::into_inner);
        register.refresh(&self.store)?;
        let name = register
            .free_name(&request.name)
            .ok_or_else(|| Problem::new(Code::Conflict, "there are too many hosts of that name"))?;
        let blocks = register.free_blocks(&self.space, request.facts.capacity.slots).ok_or_else(|| {
            Problem::new(Code::CannotPlace, format!("the private space {} is used up", self.space))
        })?;
        // Ours to say, never the host's.
        let within = machine.and_then(|machine| machine.network.clone());
        let host = Host {
            id: machine.map_or_else(|| HostId(uuid::Uuid::now_v7()), |machine| machine.id),
            name,
            capacity: request.facts.capacity.clone(),
            attributes: request.facts.attributes.clone(),
            blocks,
            draining: false,
            agent_version: request.facts.agent_version.clone(),
            joined_at: self.clock.now_ms(),
            removing: false,
            underlay: request.facts.underlay.clone().map(|said| Underlay { within, ..said }),
            pool: machine.map(|machine| machine.pool.clone()),
        };
        debug_assert!(!host.key().is_empty());
        register.enter(&host);
        Ok(host)
    }
}
