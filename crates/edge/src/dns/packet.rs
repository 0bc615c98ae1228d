//! Writing answers.
//!
//! The codec that reads our questions gives up compressing names after some records (it guards against
//! quadratic work), which would triple the size of a large address set. Our answers repeat one name, so each
//! record points at the question (RFC 1035 section 4.1.4), and sizes are known before they are written.

use super::ask::{Ask, UDP_BYTES_MAX};
use std::net::Ipv4Addr;

/// The header of every message.
pub(crate) const HEADER_BYTES: usize = 12;
/// An OPT record without options.
pub(crate) const OPT_BYTES: usize = 11;
/// An A record that points at its name.
pub(crate) const A_BYTES: usize = 16;
/// What a pointer of 14 bits reaches.
const POINTER_MAX: usize = 0x3FFF;
const CLASS_IN: u16 = 1;

/// Types of records (RFC 1035, RFC 2782, RFC 6891).
pub(crate) mod kind {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const SRV: u16 = 33;
    pub const OPT: u16 = 41;
    pub const ANY: u16 = 255;
}

/// Response codes (RFC 1035, RFC 6891).
pub(crate) mod code {
    pub const NONE: u16 = 0;
    pub const FORMAT: u16 = 1;
    pub const FAILED: u16 = 2;
    pub const NO_NAME: u16 = 3;
    pub const NOT_IMPLEMENTED: u16 = 4;
    pub const REFUSED: u16 = 5;
    pub const VERSION: u16 = 16;
}

/// Where in the message a record goes.
#[derive(Clone, Copy)]
pub(crate) enum Section {
    Answer,
    Authority,
    Additional,
}

/// An answer being written. It never grows beyond what the client can take.
pub(crate) struct Packet<'a> {
    ask: &'a Ask,
    bytes: Vec<u8>,
    counts: [u16; 3],
    code: u16,
    truncated: bool,
}

impl<'a> Packet<'a> {
    /// An answer to this question with nothing in it yet. `ours`: from the zone, with authority.
    pub fn reply(ask: &'a Ask, code: u16, ours: bool) -> Self {
        let mut bytes = Vec::with_capacity(ask.limit().min(UDP_BYTES_MAX.into()));
        bytes.extend_from_slice(&ask.id.to_be_bytes());
        let authority = if ours { 0x04 } else { 0 };
        bytes.push(0x80 | authority | u8::from(ask.recursion_desired));
        bytes.push(u8::from(ask.checking_disabled) << 4);
        bytes.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(&ask.question(false));
        Self { ask, bytes, counts: [0; 3], code, truncated: false }
    }

    /// A header without a question, for packets that could not be read.
    pub fn bare(request: &[u8], code: u16) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        if let Some(head) = request.first_chunk::<3>() {
            bytes[..2].copy_from_slice(&head[..2]);
            bytes[2] = 0x80 | head[2] & 0x79;
        }
        bytes[3] = (code & 0x0F) as u8;
        bytes
    }

    /// Bytes that records may still take.
    pub fn room(&self) -> usize {
        self.ask.limit().saturating_sub(self.bytes.len() + self.ask.reserve())
    }

    /// How many answers it holds.
    pub fn answers(&self) -> usize {
        self.counts[Section::Answer as usize].into()
    }

    /// Says that something is missing and TCP would give it (RFC 2181 section 9).
    pub fn truncate(&mut self) {
        self.truncated = true;
    }

    /// Position of the byte `before_end` bytes before the end of the question's name.
    pub fn suffix(&self, before_end: usize) -> usize {
        HEADER_BYTES + self.ask.question(false).len().saturating_sub(4 + before_end)
    }

    /// Appends an address record for the name at `owner`.
    pub fn address(&mut self, section: Section, owner: &Owner, ttl: u32, address: Ipv4Addr) -> bool {
        self.record(section, owner, kind::A, ttl, &address.octets()).is_some()
    }

    /// Appends a record where it fits, and says where its data begin.
    pub fn record(
        &mut self,
        section: Section,
        owner: &Owner,
        kind: u16,
        ttl: u32,
        data: &[u8],
    ) -> Option<usize> {
        let length = u16::try_from(data.len()).ok()?;
        if owner.bytes() + 10 + data.len() > self.room() {
            return None;
        }
        match owner {
            Owner::At(position) => {
                let pointer = 0xC000 | u16::try_from(*position).unwrap_or(0);
                self.bytes.extend_from_slice(&pointer.to_be_bytes());
            }
            Owner::Full(name) => self.bytes.extend_from_slice(name),
        }
        self.bytes.extend_from_slice(&kind.to_be_bytes());
        self.bytes.extend_from_slice(&CLASS_IN.to_be_bytes());
        self.bytes.extend_from_slice(&ttl.to_be_bytes());
        self.bytes.extend_from_slice(&length.to_be_bytes());
        let start = self.bytes.len();
        self.bytes.extend_from_slice(data);
        self.counts[section as usize] += 1;
        Some(start)
    }

    /// The bytes to send.
    pub fn finish(mut self, recursion: bool) -> Vec<u8> {
        self.bytes[2] |= u8::from(self.truncated) << 1;
        self.bytes[3] |= u8::from(recursion) << 7 | (self.code & 0x0F) as u8;
        if let Some(edns) = self.ask.edns {
            self.bytes.push(0);
            self.bytes.extend_from_slice(&kind::OPT.to_be_bytes());
            self.bytes.extend_from_slice(&UDP_BYTES_MAX.to_be_bytes());
            let dnssec = u8::from(edns.dnssec) << 7;
            self.bytes.extend_from_slice(&[(self.code >> 4) as u8, 0, dnssec, 0, 0, 0]);
            self.counts[2] += 1;
        }
        for (at, count) in [6, 8, 10].into_iter().zip(self.counts) {
            self.bytes[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
        self.bytes
    }
}

/// The name that a record belongs to.
pub(crate) enum Owner<'a> {
    /// A name that stands in the message already.
    At(usize),
    /// A name as labels.
    Full(&'a [u8]),
}

impl<'a> Owner<'a> {
    /// The name of the question.
    pub const QUESTION: Self = Self::At(HEADER_BYTES);

    /// The name at that position where a pointer reaches it, or else in full.
    pub fn at_or(position: usize, name: &'a [u8]) -> Self {
        if position <= POINTER_MAX { Self::At(position) } else { Self::Full(name) }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::At(_) => 2,
            Self::Full(name) => name.len(),
        }
    }
}
