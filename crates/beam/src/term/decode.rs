//! Reads the external term format. A runtime is not trusted: depth, number of terms and integers are bounded, and no
//! length that it says is believed before the bytes are there.

use super::encode::{VERSION, tag};
use super::{Atom, DEPTH_MAX, Fun, INTEGER_BYTES_MAX, Pid, Port, Reference, Term};
use num_bigint::{BigInt, Sign};

/// Terms in one message, unless the caller says otherwise: about 40 MB of memory.
pub const TERMS_MAX: usize = 1_000_000;

/// Bytes that are no term.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end within a term.
    #[error("the term is cut off")]
    Short,
    /// Not a term of this format.
    #[error("byte {0} begins no term that is known here")]
    Tag(u8),
    /// Deeper than [`DEPTH_MAX`].
    #[error("the term is nested deeper than {DEPTH_MAX}")]
    Deep,
    /// More terms, or a larger integer, than are read here.
    #[error("the term is larger than what is read here")]
    Large,
    /// A value outside its range: an atom that is no text, a number that is not finite.
    #[error("the term holds {0}")]
    Value(&'static str),
}

/// Reads terms one after the other from bytes.
#[derive(Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
    terms_left: usize,
}

/// Reads the one term that the bytes are.
///
/// # Errors
/// [`DecodeError`]; also where bytes are left over.
pub fn decode(bytes: &[u8]) -> Result<Term, DecodeError> {
    let mut decoder = Decoder::new(bytes, TERMS_MAX);
    let term = decoder.versioned()?;
    if decoder.rest.is_empty() { Ok(term) } else { Err(DecodeError::Value("bytes after its end")) }
}

type Read<T> = Result<T, DecodeError>;

impl<'a> Decoder<'a> {
    /// Over bytes, for at most so many terms in all.
    pub fn new(bytes: &'a [u8], terms_max: usize) -> Self {
        Self { rest: bytes, terms_left: terms_max }
    }

    /// Is nothing left?
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// A term with its version byte.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn versioned(&mut self) -> Read<Term> {
        match self.u8()? {
            VERSION => self.term(0),
            other => Err(DecodeError::Tag(other)),
        }
    }

    fn term(&mut self, depth: usize) -> Read<Term> {
        if depth > DEPTH_MAX {
            return Err(DecodeError::Deep);
        }
        self.spend(1)?;
        let kind = self.u8()?;
        match kind {
            tag::SMALL_INTEGER => Ok(Term::Int(i64::from(self.u8()?))),
            tag::INTEGER => Ok(Term::Int(i64::from(self.u32()? as i32))),
            tag::SMALL_BIG => self.u8().and_then(|count| self.big(usize::from(count))),
            tag::LARGE_BIG => self.u32().and_then(|count| self.big(count as usize)),
            tag::NEW_FLOAT => self.float(),
            tag::BINARY => self.u32().and_then(|count| Ok(Term::Binary(self.take(count as usize)?.to_vec()))),
            tag::BIT_BINARY => self.bits(),
            tag::NIL => Ok(Term::List(Vec::new())),
            tag::STRING => self.string(),
            tag::LIST => self.list(depth),
            tag::SMALL_TUPLE => self.u8().and_then(|n| self.elements(usize::from(n), depth)).map(Term::Tuple),
            tag::LARGE_TUPLE => self.u32().and_then(|n| self.elements(n as usize, depth)).map(Term::Tuple),
            tag::MAP => self.map(depth),
            tag::NEW_PID => self.pid(),
            tag::NEW_PORT | tag::V4_PORT => self.port(kind),
            tag::NEWER_REFERENCE => self.reference(),
            tag::EXPORT => self.export(),
            tag::NEW_FUN => self.fun(),
            _ => self.atom_of(kind).map(Term::Atom),
        }
    }

    fn spend(&mut self, terms: usize) -> Read<()> {
        self.terms_left = self.terms_left.checked_sub(terms).ok_or(DecodeError::Large)?;
        Ok(())
    }

    fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Short)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Read<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn atom(&mut self) -> Read<Atom> {
        let kind = self.u8()?;
        self.atom_of(kind)
    }

    fn atom_of(&mut self, kind: u8) -> Read<Atom> {
        let count = match kind {
            tag::SMALL_ATOM_UTF8 | tag::SMALL_ATOM_LATIN1 => usize::from(self.u8()?),
            tag::ATOM_UTF8 | tag::ATOM_LATIN1 => usize::from(self.u16()?),
            other => return Err(DecodeError::Tag(other)),
        };
        let bytes = self.take(count)?;
        let text = match kind {
            tag::SMALL_ATOM_LATIN1 | tag::ATOM_LATIN1 => bytes.iter().map(|b| char::from(*b)).collect(),
            _ => str::from_utf8(bytes).map_err(|_| DecodeError::Value("an atom that is no text"))?.to_owned(),
        };
        if text.chars().count() > super::ATOM_CHARACTERS_MAX {
            return Err(DecodeError::Value("an atom of more than 255 characters"));
        }
        Ok(Atom(text))
    }

    fn big(&mut self, count: usize) -> Read<Term> {
        if count > INTEGER_BYTES_MAX {
            return Err(DecodeError::Large);
        }
        let sign = if self.u8()? == 0 { Sign::Plus } else { Sign::Minus };
        Ok(Term::integer(BigInt::from_bytes_le(sign, self.take(count)?)))
    }

    fn float(&mut self) -> Read<Term> {
        let value = f64::from_bits(self.u64()?);
        if value.is_finite() { Ok(Term::Float(value)) } else { Err(DecodeError::Value("no finite number")) }
    }

    fn bits(&mut self) -> Read<Term> {
        let (count, last) = (self.u32()? as usize, self.u8()?);
        let mut bytes = self.take(count)?.to_vec();
        match (last, bytes.last_mut()) {
            (8, _) | (0, None) => Ok(Term::Binary(bytes)),
            (1..=7, Some(byte)) => {
                // What lies below the last bit is not part of the value.
                *byte &= 0xff << (8 - last);
                Ok(Term::Bits(bytes, last))
            }
            _ => Err(DecodeError::Value("a bit string of no length")),
        }
    }

    fn string(&mut self) -> Read<Term> {
        let count = usize::from(self.u16()?);
        self.spend(count)?;
        Ok(Term::List(self.take(count)?.iter().map(|byte| Term::Int(i64::from(*byte))).collect()))
    }

    /// No room is made before elements are there: each takes at least one byte.
    fn elements(&mut self, count: usize, depth: usize) -> Read<Vec<Term>> {
        if count > self.rest.len() {
            return Err(DecodeError::Short);
        }
        if count > self.terms_left {
            return Err(DecodeError::Large);
        }
        (0..count).map(|_| self.term(depth + 1)).collect()
    }

    fn list(&mut self, depth: usize) -> Read<Term> {
        let count = self.u32()? as usize;
        let elements = self.elements(count, depth)?;
        Ok(Term::cons(elements, self.term(depth + 1)?))
    }

    fn map(&mut self, depth: usize) -> Read<Term> {
        let count = self.u32()? as usize;
        if count > self.rest.len() / 2 {
            return Err(DecodeError::Short);
        }
        let pairs: Read<Vec<_>> =
            (0..count).map(|_| Ok((self.term(depth + 1)?, self.term(depth + 1)?))).collect();
        pairs.map(Term::Map)
    }

    fn pid(&mut self) -> Read<Term> {
        let node = self.atom()?;
        Ok(Term::Pid(Pid { node, id: self.u32()?, serial: self.u32()?, creation: self.u32()? }))
    }

    fn port(&mut self, kind: u8) -> Read<Term> {
        let node = self.atom()?;
        let id = if kind == tag::V4_PORT { self.u64()? } else { u64::from(self.u32()?) };
        Ok(Term::Port(Port { node, id, creation: self.u32()? }))
    }

    fn reference(&mut self) -> Read<Term> {
        let count = self.u16()?;
        if count > 5 {
            return Err(DecodeError::Value("a reference of more than five words"));
        }
        let (node, creation) = (self.atom()?, self.u32()?);
        let words: Read<Vec<_>> = (0..count).map(|_| self.u32()).collect();
        Ok(Term::Reference(Reference { node, creation, words: words? }))
    }

    fn export(&mut self) -> Read<Term> {
        let (module, function) = (self.atom()?, self.atom()?);
        match self.term(DEPTH_MAX)? {
            Term::Int(arity @ 0..=255) => Ok(Term::Export(module, function, arity as u8)),
            _ => Err(DecodeError::Value("an arity that is none")),
        }
    }

    /// Only what can be shown; the values that it closes over are passed by.
    fn fun(&mut self) -> Read<Term> {
        let size = (self.u32()? as usize).checked_sub(4).ok_or(DecodeError::Short)?;
        let terms_left = self.terms_left;
        let mut inside = Decoder::new(self.take(size)?, terms_left);
        inside.take(1 + 16)?;
        let (index, _free) = (inside.u32()?, inside.u32()?);
        let module = inside.atom()?;
        let _old_index = inside.term(DEPTH_MAX)?;
        let unique = inside.term(DEPTH_MAX)?.as_count().unwrap_or(0) as u32;
        Ok(Term::Fun(Fun { module, index, unique }))
    }
}
