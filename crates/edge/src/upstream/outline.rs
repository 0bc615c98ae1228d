//! Where the times are in an answer: enough to let it grow old, and nothing more.

const HEADER_BYTES: usize = 12;
const SOA: u16 = 6;
const OPT: u16 = 41;
/// Beyond this many records an answer is passed on but not kept.
const RECORDS_MAX: usize = 1_024;

/// The places in an answer that change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// Positions of times to live.
    pub ttls: Vec<u16>,
    /// The least of them (and of a SOA's minimum in the authority section, RFC 2308 section 5).
    pub ttl_min: Option<u32>,
    /// Are there answers?
    pub positive: bool,
}

/// Reads an answer whose question ends at `at`. Nothing, where it is not one (RFC 1035 section 4.1).
pub(super) fn read(bytes: &[u8], mut at: usize) -> Option<Outline> {
    let count = |place| Some(usize::from(number(bytes, place)?));
    let (answers, authorities, additionals) = (count(6)?, count(8)?, count(10)?);
    let all = answers + authorities + additionals;
    if all > RECORDS_MAX || at < HEADER_BYTES {
        return None;
    }
    let mut outline = Outline { positive: answers > 0, ..Outline::default() };
    for index in 0..all {
        let fixed = skip_name(bytes, at)?;
        let kind = number(bytes, fixed)?;
        let ttl = u32::from_be_bytes(*bytes.get(fixed + 4..)?.first_chunk()?);
        let end = fixed + 10 + usize::from(number(bytes, fixed + 8)?);
        bytes.get(..end)?;
        if kind != OPT {
            outline.ttls.push(u16::try_from(fixed + 4).ok()?);
            outline.lower(ttl);
        }
        if kind == SOA && (answers..answers + authorities).contains(&index) {
            outline.lower(u32::from_be_bytes(*bytes.get(end.checked_sub(4)?..)?.first_chunk()?));
        }
        at = end;
    }
    Some(outline)
}

impl Outline {
    fn lower(&mut self, ttl: u32) {
        // The highest bit set means nothing sensible (RFC 2181 section 8).
        let ttl = if ttl > i32::MAX as u32 { 0 } else { ttl };
        self.ttl_min = Some(self.ttl_min.map_or(ttl, |least| least.min(ttl)));
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn skip_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            0xC0.. => return Some(at + 2),
            _ => return None,
        }
    }
}
