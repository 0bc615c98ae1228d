//! The node's part in the votes on who of its family runs the one copy: the rules of `lace-vote` on a socket and a process.
//!
//! Here and not in the agent, so that agents may come and go: while the family's PID 1s hear each other, who holds goes
//! on. The copy of a node that lost its votes is ended by SIGKILL for everything but commands. Asking the runtime
//! first (`application:permit/2`) would take a lock that waits for peers which are not there, and a runtime that hangs
//! answers nothing; the kernel always obeys.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use lace_vote::{Elector, Key, Message, Output, PACKET_BYTES, Standing, Terms, VoteSet, open, seal};
use serde::{Deserialize, Serialize};

use super::copy::Copy;
use super::serve::error;
use super::supervisor::Supervisor;
use crate::protocol::{Event, Life, Reply, VoteStatus};
use crate::spec::{VOTERS_MAX, VoteSeats, VoteSpec};
use crate::sys::process::kill;
use crate::sys::step::{Step, StepError};
use crate::sys::{self, check};

/// UDP, at the node's own address.
const PORT: u16 = 9101;
/// Packets taken per turn of the loop, so that who floods starves nobody.
const PACKETS_MAX: usize = 128;
/// The reason of an end.
pub(super) const LOST: &str = "stopped: it lost the majority of its family's votes";

/// The node's part.
pub(crate) struct Ballot {
    pub(super) elector: Elector,
    key: Key,
    socket: UdpSocket,
    addresses: BTreeMap<u32, Ipv4Addr>,
    /// The member that is no node: its messages go by whoever subscribes.
    witness: Option<u32>,
    /// What the witness has not been told yet.
    for_witness: Vec<Message>,
    /// How the copy is brought up and down, where the node may run it.
    pub(super) copy: Option<Copy>,
    /// What subscribers know.
    said: VoteStatus,
    /// Why the process was killed, if it was.
    lost: Option<&'static str>,
}

/// What one build hands to the next.
#[derive(Serialize, Deserialize)]
pub(super) struct BallotEstate {
    elector: Elector,
    key: Key,
    socket: RawFd,
    addresses: BTreeMap<u32, Ipv4Addr>,
    lost: bool,
    #[serde(default)]
    witness: Option<u32>,
    #[serde(default)]
    copy: Option<Copy>,
}

impl Ballot {
    /// Takes part from now on.
    pub fn open(spec: &VoteSpec, address: Ipv4Addr) -> Result<Self, StepError> {
        let key = spec.key.as_slice().try_into().map_err(|_| StepError::plain("votes: bad key"))?;
        let socket = UdpSocket::bind((address, PORT)).step("votes: bind")?;
        socket.set_nonblocking(true).step("votes: socket")?;
        let now = sys::boottime_ms();
        let elector = Elector::new(spec.seat, random()?, Terms::USUAL, now);
        let elector = if spec.is_first { elector.with_nothing_before(now) } else { elector };
        let mut ballot = Self {
            elector,
            key,
            socket,
            addresses: BTreeMap::new(),
            witness: None,
            for_witness: Vec::new(),
            copy: spec.copy.clone().map(Copy::new),
            said: VoteStatus::default(),
            lost: None,
        };
        ballot.order(spec.set.clone());
        Ok(ballot)
    }

    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    pub fn due(&self) -> Option<u64> {
        self.elector.due()
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn order(&mut self, set: VoteSeats) -> Vec<Output> {
        if set.generation <= self.elector.standing(0).generation || set.members.len() > VOTERS_MAX {
            return Vec::new();
        }
        self.addresses = set.members.into_iter().collect();
        self.witness = set.witness;
        let members = self.addresses.keys().copied().chain(set.witness).collect();
        let set = VoteSet { generation: set.generation, members, witness: set.witness };
        self.elector.order(sys::boottime_ms(), set)
    }

    pub(super) fn standing(&self) -> Standing {
        self.elector.standing(sys::boottime_ms())
    }

    pub(super) fn status(&self) -> VoteStatus {
        let standing = self.standing();
        VoteStatus {
            generation: standing.generation,
            seen: standing.seen,
            votes: standing.votes,
            stands: standing.stands,
            holds: standing.holds_ms > 0,
            in_use: standing.in_use,
            runs: self.copy.as_ref().is_some_and(Copy::is_started),
            yields: standing.yields,
            unheard: standing.unheard,
        }
    }

    pub(super) fn estate(&self) -> BallotEstate {
        BallotEstate {
            elector: self.elector.clone(),
            key: self.key,
            socket: self.fd(),
            addresses: self.addresses.clone(),
            lost: self.lost.is_some(),
            witness: self.witness,
            copy: self.copy.clone(),
        }
    }

    pub(super) fn inherited(estate: BallotEstate, take: impl Fn(RawFd) -> OwnedFd) -> Self {
        let mut ballot = Self {
            elector: estate.elector,
            key: estate.key,
            socket: take(estate.socket).into(),
            addresses: estate.addresses,
            witness: estate.witness,
            for_witness: Vec::new(),
            copy: estate.copy,
            said: VoteStatus::default(),
            lost: estate.lost.then_some(LOST),
        };
        ballot.said = ballot.status();
        ballot
    }

    /// Says what there is to say; true when the copy must end.
    pub(super) fn carry_out(&mut self, out: Vec<Output>, asker: Option<SocketAddr>) -> bool {
        let mut stop = false;
        for output in out {
            match output {
                Output::Send { to, message } if Some(to) == self.witness => self.for_witness.push(message),
                Output::Send { to, message } => self.send(to, &message, asker),
                Output::Stop => stop = true,
                // Subscribers see it in the status.
                Output::Holds | Output::Yield => {}
            }
        }
        stop
    }

    /// A candidate of a newer set is answered where it asked from. What cannot be sent now is as good as lost.
    fn send(&self, to: u32, message: &Message, asker: Option<SocketAddr>) {
        let known = self.addresses.get(&to).map(|ip| SocketAddr::from(SocketAddrV4::new(*ip, PORT)));
        if let Some(address) = known.or(asker) {
            let _ = self.socket.send_to(&seal(&self.key, message), address);
        }
    }

    fn hear(&mut self) -> bool {
        let mut stop = false;
        // One byte more than a packet: who sends more is not cut to fit.
        let mut buffer = [0; PACKET_BYTES + 1];
        for _ in 0..PACKETS_MAX {
            let Ok((bytes, asker)) = self.socket.recv_from(&mut buffer) else { break };
            if let Some(message) = open(&self.key, &buffer[..bytes]) {
                let out = self.elector.heard(sys::boottime_ms(), message);
                stop |= self.carry_out(out, Some(asker));
            }
        }
        stop
    }
}

fn random() -> Result<u64, StepError> {
    let mut bytes = [0; 8];
    // SAFETY: the buffer is valid for its length.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    check(got as libc::c_long).step("getrandom")?;
    Ok(u64::from_le_bytes(bytes))
}

impl Supervisor {
    /// Time, and what came in.
    pub(super) fn vote(&mut self) {
        let Some(ballot) = &mut self.ballot else { return };
        let out = ballot.elector.tick(sys::boottime_ms());
        let ended = ballot.carry_out(out, None);
        let stop = ballot.hear() || ended;
        self.after_vote(stop);
    }

    /// Ends the copy where it must, and tells what changed.
    pub(super) fn after_vote(&mut self, stop: bool) {
        if stop {
            self.stop_copy(LOST);
        }
        let Some(ballot) = &mut self.ballot else { return };
        for message in std::mem::take(&mut ballot.for_witness) {
            self.publish(&Event::Witness { message });
        }
        let Some(ballot) = &mut self.ballot else { return };
        let vote = ballot.status();
        if vote != ballot.said {
            ballot.said = vote.clone();
            self.publish(&Event::Vote { vote });
        }
    }

    pub(super) fn stop_copy(&mut self, why: &'static str) {
        let Some(main) = &self.main else { return };
        let _ = kill(main.pid, libc::SIGKILL);
        self.kill_leftovers(false);
        if let Some(ballot) = &mut self.ballot {
            ballot.lost = Some(why);
        }
    }

    /// The process has ended, and the copy with it. The reason, where the votes were it.
    pub(super) fn left_votes(&mut self) -> Option<String> {
        let ballot = self.ballot.as_mut()?;
        let out = ballot.elector.withdraw(sys::boottime_ms());
        ballot.carry_out(out, None);
        if let Some(copy) = &mut ballot.copy {
            copy.forget();
        }
        let lost = ballot.lost.take();
        self.after_vote(false);
        lost.map(str::to_owned)
    }

    /// Is it the process that runs now, and nobody asked it to end?
    pub(super) fn is_alive(&self, life: Life) -> bool {
        let same = |m: &super::process::Main| m.pid == life.pid && m.started_unix_ms == life.started_at_ms;
        self.stop.is_none() && self.main.as_ref().is_some_and(same)
    }

    pub(super) fn handle_vote(&mut self, what: impl FnOnce(&mut Ballot) -> Vec<Output>) -> Reply {
        let Some(ballot) = &mut self.ballot else { return error("the node has no part in votes") };
        let out = what(ballot);
        let stop = ballot.carry_out(out, None);
        self.after_vote(stop);
        Reply::Done
    }

    /// The witness's words: only from the host's side, which knows whose they are.
    pub(super) fn handle_witness(&mut self, message: Message) -> Reply {
        self.handle_vote(|ballot| match ballot.witness == Some(message.from) {
            true => ballot.elector.heard(sys::boottime_ms(), message),
            false => Vec::new(),
        })
    }

    pub(super) fn handle_stand(&mut self, life: Life, preference: u64) -> Reply {
        if !self.is_alive(life) {
            return error("that process does not run");
        }
        self.handle_vote(|ballot| {
            let now = sys::boottime_ms();
            match ballot.standing().stands {
                true => ballot.elector.wish(preference),
                false => ballot.elector.stand(now, preference),
            }
            ballot.elector.tick(now)
        })
    }

    pub(super) fn handle_begin_use(&mut self, life: Life) -> Reply {
        let alive = self.is_alive(life);
        let Some(ballot) = self.ballot.as_mut().filter(|_| alive) else {
            return error("that process has no part in votes");
        };
        if !ballot.elector.begin_use(sys::boottime_ms()) {
            return error("it does not hold its family's copy");
        }
        self.after_vote(false);
        Reply::Done
    }

    pub(super) fn handle_end_use(&mut self, life: Life) -> Reply {
        if !self.is_alive(life) {
            return error("that process does not run");
        }
        self.handle_vote(|ballot| ballot.elector.end_use(sys::boottime_ms()))
    }
}
