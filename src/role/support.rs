//! What fleet needs of the rest of the controller: joining, blobs, secrets.

use super::program::Joiners;
use bytes::Bytes;
use futures::future::BoxFuture;
use lace_engine::Witness;
use lace_engine::certificate::Authority;
use lace_fleet::Support;
use lace_model::event::NewEvent;
use lace_model::host::{Block, Host};
use lace_model::machine::{Machine, MachineState};
use lace_model::token::Token;
use lace_model::{Code, Digest, FamilyPath, HostId, Millis, Name, NodeId, Object, Problem};
use lace_store::{Batch, Clock, Expect, Row, Store};
use lace_vote::Message;
use lace_wire::link::frame::{JoinReply, JoinRequest};
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Blocks that a host gets when it joins, at most: room for 2,024 nodes.
const BLOCKS_PER_HOST: usize = 8;
/// Nodes that a block has addresses for.
const NODES_PER_BLOCK: usize = 253;

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
        let name = lace_wire::link::host_certificate_name(host.id);
        let certificate = self
            .authority
            .host(&request.csr, &name)
            .map_err(|e| Problem::new(Code::Usage, format!("the certificate request is not usable: {e}")))?;
        let mut batch = Batch::new(Some(token.value.name.clone()));
        batch.delete::<Token>(&token.value.id.to_string(), Expect::Rev(token.rev));
        batch.put(&host, Expect::Absent);
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
            blocks: host.blocks,
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

    fn new_host(&self, request: &JoinRequest, machine: Option<&Machine>) -> Result<Host, Problem> {
        let hosts: Vec<Host> = self.store.list::<Host>("")?.into_iter().map(|row| row.value).collect();
        let names: BTreeSet<_> = hosts.iter().map(|h| h.name.to_string()).collect();
        let tries =
            std::iter::once(request.name.to_string()).chain((2..).map(|n| format!("{}-{n}", request.name)));
        let name = tries.take(1_000).find(|n| !names.contains(n)).and_then(|n| Name::new(n).ok());
        let taken: BTreeSet<Block> = hosts.iter().flat_map(|h| h.blocks.iter().copied()).collect();
        let wanted = (request.facts.capacity.slots as usize).div_ceil(NODES_PER_BLOCK);
        let blocks = free_blocks(&self.space, &taken, wanted).ok_or_else(|| {
            Problem::new(Code::CannotPlace, format!("the private space {} is used up", self.space))
        })?;
        let host = Host {
            id: machine.map_or_else(|| HostId(uuid::Uuid::now_v7()), |machine| machine.id),
            name: name
                .ok_or_else(|| Problem::new(Code::Conflict, "there are too many hosts of that name"))?,
            capacity: request.facts.capacity.clone(),
            attributes: request.facts.attributes.clone(),
            blocks,
            draining: false,
            agent_version: request.facts.agent_version.clone(),
            joined_at: self.clock.now_ms(),
            removing: false,
            underlay: request.facts.underlay,
            pool: machine.map(|machine| machine.pool.clone()),
        };
        debug_assert!(!host.key().is_empty());
        Ok(host)
    }
}

/// The lowest free /24 blocks of a space: as many as are wanted, within what a host may have and what there is.
fn free_blocks(space: &str, taken: &BTreeSet<Block>, wanted: usize) -> Option<Vec<Block>> {
    let (base, length) = space.split_once('/')?;
    let (base, length): (Ipv4Addr, u32) = (base.parse().ok()?, length.parse().ok()?);
    let count = 1u32.checked_shl(24u32.checked_sub(length)?)?;
    let block = |n: u32| Block { base: Ipv4Addr::from((u32::from(base) & !0xff) + (n << 8)) };
    let free: Vec<_> =
        (0..count).map(block).filter(|b| !taken.contains(b)).take(wanted.clamp(1, BLOCKS_PER_HOST)).collect();
    (!free.is_empty()).then_some(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_get_blocks_that_nobody_has() {
        let few = free_blocks("10.192.0.0/10", &BTreeSet::new(), 1).expect("room");
        assert_eq!(few.len(), 1, "a small host takes little of the space");
        let first = free_blocks("10.192.0.0/10", &BTreeSet::new(), 100).expect("room");
        assert_eq!((first.len(), first[0].base), (8, Ipv4Addr::new(10, 192, 0, 0)));
        let second = free_blocks("10.192.0.0/10", &first.into_iter().collect(), 8).expect("room");
        assert_eq!(second[0].base, Ipv4Addr::new(10, 192, 8, 0));
        let all: BTreeSet<_> =
            free_blocks("10.9.9.0/24", &BTreeSet::new(), 8).expect("room").into_iter().collect();
        assert_eq!((all.len(), free_blocks("10.9.9.0/24", &all, 1)), (1, None));
    }
}
