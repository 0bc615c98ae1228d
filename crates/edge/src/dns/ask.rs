//! A question, out of the bytes of a packet.

use super::packet::{HEADER_BYTES, OPT_BYTES, Packet, code};
use hickory_proto::op::Message;
use hickory_proto::rr::Name;

/// Largest UDP answer, whatever the client offers: it crosses every path unfragmented (DNS flag day 2020).
pub(crate) const UDP_BYTES_MAX: u16 = 1_232;
/// Largest UDP answer for a client that offers nothing (RFC 1035 section 4.2.1).
const UDP_BYTES_PLAIN: u16 = 512;
/// A query carries an OPT and perhaps a signature there; more is no query.
const ADDITIONALS_MAX: u16 = 4;

/// How a question came, which bounds its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// One datagram.
    Udp,
    /// A stream of messages behind their lengths.
    Tcp,
}

/// A question.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub id: u16,
    pub recursion_desired: bool,
    pub checking_disabled: bool,
    pub name: Name,
    pub record: u16,
    pub class: u16,
    pub edns: Option<Extension>,
    pub transport: Transport,
}

/// What the client's OPT record says (RFC 6891).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extension {
    pub payload: u16,
    pub dnssec: bool,
}

/// A packet that is no question for us.
pub(crate) enum Unfit {
    /// Not worth a word: too short, or itself an answer (answering those makes loops).
    Silent,
    /// Worth this answer.
    Tell(Vec<u8>),
}

impl Ask {
    pub fn parse(bytes: &[u8], transport: Transport) -> Result<Self, Unfit> {
        check_header(bytes)?;
        let tell = |code| Unfit::Tell(Packet::bare(bytes, code));
        let message = Message::from_vec(bytes).map_err(|_| tell(code::FORMAT))?;
        let query = message.queries.first().ok_or_else(|| tell(code::FORMAT))?;
        let edns = message.edns.as_ref();
        let ask = Self {
            id: message.metadata.id,
            recursion_desired: message.metadata.recursion_desired,
            checking_disabled: message.metadata.checking_disabled,
            name: query.name.clone(),
            record: query.query_type.into(),
            class: query.query_class.into(),
            edns: edns.map(|e| Extension { payload: e.max_payload(), dnssec: e.flags().dnssec_ok }),
            transport,
        };
        match edns {
            Some(e) if e.version() > 0 => {
                Err(Unfit::Tell(Packet::reply(&ask, code::VERSION, false).finish(false)))
            }
            _ => Ok(ask),
        }
    }

    /// Bytes that the whole answer may have.
    pub fn limit(&self) -> usize {
        match (self.transport, self.edns) {
            (Transport::Tcp, _) => usize::from(u16::MAX),
            (Transport::Udp, None) => UDP_BYTES_PLAIN.into(),
            (Transport::Udp, Some(e)) => e.payload.clamp(UDP_BYTES_PLAIN, UDP_BYTES_MAX).into(),
        }
    }

    /// Bytes of the OPT record that the answer must carry.
    pub fn reserve(&self) -> usize {
        self.edns.map_or(0, |_| OPT_BYTES)
    }

    /// The question as on the wire, its letters as the client wrote them (or all small).
    pub fn question(&self, small: bool) -> Vec<u8> {
        let mut wire = Vec::with_capacity(64);
        for label in self.name.iter() {
            wire.push(u8::try_from(label.len()).unwrap_or(0));
            wire.extend_from_slice(label);
        }
        if small {
            // Lengths are at most 63, below every letter.
            wire.make_ascii_lowercase();
        }
        wire.push(0);
        wire.extend_from_slice(&self.record.to_be_bytes());
        wire.extend_from_slice(&self.class.to_be_bytes());
        wire
    }
}

/// Looks at the twelve bytes of RFC 1035 section 4.1.1 before anything is believed or allocated.
fn check_header(bytes: &[u8]) -> Result<(), Unfit> {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Err(Unfit::Silent);
    };
    if header[2] & 0x80 != 0 {
        return Err(Unfit::Silent);
    }
    if header[2] & 0x78 != 0 {
        return Err(Unfit::Tell(Packet::bare(bytes, code::NOT_IMPLEMENTED)));
    }
    let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let plain = count(4) == 1 && count(6) == 0 && count(8) == 0 && count(10) <= ADDITIONALS_MAX;
    if plain { Ok(()) } else { Err(Unfit::Tell(Packet::bare(bytes, code::FORMAT))) }
}
