//! A message on the wire: fixed length, with a tag that only who has the family's key can make (keyed BLAKE3).

use crate::message::{Body, Message};

/// A family's key.
pub type Key = [u8; 32];

/// Length of every packet.
pub const PACKET_BYTES: usize = MESSAGE_BYTES + TAG_BYTES;

const MAGIC: [u8; 4] = *b"LVo1";
const MESSAGE_BYTES: usize = 48;
const TAG_BYTES: usize = 16;

const HEARS: u8 = 1;
const PROBE: u8 = 2;
const GRANTED: u8 = 4;

/// The key of a family, from a secret that only its members have.
pub fn key_of(secret: &[u8], family: &str) -> Key {
    let mut hasher = blake3::Hasher::new_derive_key("lace 2026-11-22 votes of a family");
    hasher.update(secret).update(&[0]).update(family.as_bytes());
    *hasher.finalize().as_bytes()
}

/// Makes a packet.
pub fn seal(key: &Key, message: &Message) -> [u8; PACKET_BYTES] {
    let mut packet = [0; PACKET_BYTES];
    let (kind, flags, words) = fields(&message.body);
    packet[..4].copy_from_slice(&MAGIC);
    packet[4] = kind;
    packet[5] = flags;
    packet[8..12].copy_from_slice(&message.from.to_le_bytes());
    packet[12..20].copy_from_slice(&message.incarnation.to_le_bytes());
    for (n, word) in words.iter().enumerate() {
        packet[20 + n * 8..28 + n * 8].copy_from_slice(&word.to_le_bytes());
    }
    let tag = blake3::keyed_hash(key, &packet[..MESSAGE_BYTES]);
    packet[MESSAGE_BYTES..].copy_from_slice(&tag.as_bytes()[..TAG_BYTES]);
    packet
}

/// Reads a packet; none where it is not whole, not known, or not of this family.
pub fn open(key: &Key, packet: &[u8]) -> Option<Message> {
    let packet: &[u8; PACKET_BYTES] = packet.try_into().ok()?;
    let tag = blake3::keyed_hash(key, &packet[..MESSAGE_BYTES]);
    // In constant time.
    let wrong = tag.as_bytes().iter().zip(&packet[MESSAGE_BYTES..]).fold(0, |wrong, (a, b)| wrong | (a ^ b));
    if wrong != 0 || packet[..4] != MAGIC {
        return None;
    }
    let word = |at: usize| Some(u64::from_le_bytes(packet.get(at..at + 8)?.try_into().ok()?));
    let words = [word(20)?, word(28)?, word(36)?];
    Some(Message {
        from: u32::from_le_bytes(packet[8..12].try_into().ok()?),
        incarnation: word(12)?,
        body: body(packet[4], packet[5], words)?,
    })
}

fn fields(body: &Body) -> (u8, u8, [u64; 3]) {
    let flag = |on: bool, bit: u8| if on { bit } else { 0 };
    match *body {
        Body::Ask { sent, generation, preference, hears, probe } => {
            (1, flag(hears, HEARS) | flag(probe, PROBE), [sent, generation, preference])
        }
        Body::Answer { sent, to, granted, generation } => (2, flag(granted, GRANTED), [sent, generation, to]),
        Body::Release { sent } => (3, 0, [sent, 0, 0]),
    }
}

fn body(kind: u8, flags: u8, [sent, generation, third]: [u64; 3]) -> Option<Body> {
    match kind {
        1 => Some(Body::Ask {
            sent,
            generation,
            preference: third,
            hears: flags & HEARS != 0,
            probe: flags & PROBE != 0,
        }),
        2 => Some(Body::Answer { sent, to: third, granted: flags & GRANTED != 0, generation }),
        3 => Some(Body::Release { sent }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_back_as_they_were_and_nothing_else_is_read() {
        let key = [7; 32];
        let bodies = [
            Body::Ask { sent: 1, generation: 2, preference: u64::MAX, hears: true, probe: false },
            Body::Ask { sent: 9, generation: 2, preference: 0, hears: false, probe: true },
            Body::Answer { sent: 3, to: 4, granted: true, generation: 5 },
            Body::Release { sent: u64::MAX },
        ];
        for body in bodies {
            let message = Message { from: 3, incarnation: 0xfeed_beef_dead_cafe, body };
            let packet = seal(&key, &message);
            assert_eq!(open(&key, &packet), Some(message));
            assert_eq!(open(&[8; 32], &packet), None);
            assert_eq!(open(&key, &packet[1..]), None);
            for at in 0..PACKET_BYTES {
                let mut changed = packet;
                changed[at] ^= 0x10;
                assert_eq!(open(&key, &changed), None, "byte {at}");
            }
        }
    }
}
