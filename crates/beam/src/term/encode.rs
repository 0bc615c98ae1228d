//! Writes the external term format.
//!
//! Source: "External Term Format" in the ERTS User's Guide.

use super::{Atom, DEPTH_MAX, Pid, Port, Reference, Term};
use bytes::{BufMut, BytesMut};
use num_bigint::{BigInt, Sign};

/// The byte that every encoded term begins with.
pub const VERSION: u8 = 131;

pub(crate) mod tag {
    pub const NEW_FLOAT: u8 = 70;
    pub const BIT_BINARY: u8 = 77;
    pub const NEW_PID: u8 = 88;
    pub const NEW_PORT: u8 = 89;
    pub const NEWER_REFERENCE: u8 = 90;
    pub const SMALL_INTEGER: u8 = 97;
    pub const INTEGER: u8 = 98;
    pub const ATOM_LATIN1: u8 = 100;
    pub const SMALL_TUPLE: u8 = 104;
    pub const LARGE_TUPLE: u8 = 105;
    pub const NIL: u8 = 106;
    pub const STRING: u8 = 107;
    pub const LIST: u8 = 108;
    pub const BINARY: u8 = 109;
    pub const SMALL_BIG: u8 = 110;
    pub const LARGE_BIG: u8 = 111;
    pub const NEW_FUN: u8 = 112;
    pub const EXPORT: u8 = 113;
    pub const SMALL_ATOM_LATIN1: u8 = 115;
    pub const MAP: u8 = 116;
    pub const ATOM_UTF8: u8 = 118;
    pub const SMALL_ATOM_UTF8: u8 = 119;
    pub const V4_PORT: u8 = 120;
}

/// A term that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The runtime would refuse it too.
    #[error("an atom has at most 255 characters, this one has {0}")]
    LongAtom(usize),
    /// Deeper than [`DEPTH_MAX`].
    #[error("the term is nested deeper than {DEPTH_MAX}")]
    Deep,
    /// Functions live on their node.
    #[error("a function value cannot be sent: name it as `fun m:f/1`")]
    Fun,
    /// A length that the format cannot say.
    #[error("the term is too large to be sent")]
    Large,
}

/// Appends a term with its version byte.
///
/// # Errors
/// [`EncodeError`] when the format has no form for it.
pub fn encode(term: &Term, out: &mut BytesMut) -> Result<(), EncodeError> {
    out.put_u8(VERSION);
    put(term, out, 0)
}

fn put(term: &Term, out: &mut BytesMut, depth: usize) -> Result<(), EncodeError> {
    if depth > DEPTH_MAX {
        return Err(EncodeError::Deep);
    }
    match term {
        Term::Atom(name) => atom(name, out)?,
        Term::Int(value) => integer(*value, out),
        Term::Big(value) => big(value, out)?,
        Term::Float(value) => {
            out.put_u8(tag::NEW_FLOAT);
            out.put_f64(*value);
        }
        Term::Binary(bytes) => {
            out.put_u8(tag::BINARY);
            out.put_u32(length(bytes.len())?);
            out.put_slice(bytes);
        }
        Term::Bits(bytes, last) => {
            out.put_u8(tag::BIT_BINARY);
            out.put_u32(length(bytes.len())?);
            out.put_u8(*last);
            out.put_slice(bytes);
        }
        Term::List(elements) => list(elements, out, depth)?,
        Term::Improper(elements, tail) => {
            out.put_u8(tag::LIST);
            out.put_u32(length(elements.len())?);
            elements.iter().try_for_each(|element| put(element, out, depth + 1))?;
            put(tail, out, depth + 1)?;
        }
        Term::Tuple(elements) => tuple(elements, out, depth)?,
        Term::Map(pairs) => {
            out.put_u8(tag::MAP);
            out.put_u32(length(pairs.len())?);
            for (key, value) in pairs {
                put(key, out, depth + 1)?;
                put(value, out, depth + 1)?;
            }
        }
        Term::Pid(value) => pid(value, out)?,
        Term::Port(value) => port(value, out)?,
        Term::Reference(value) => reference(value, out)?,
        Term::Export(module, function, arity) => {
            out.put_u8(tag::EXPORT);
            atom(module, out)?;
            atom(function, out)?;
            integer(i64::from(*arity), out);
        }
        Term::Fun(_) => return Err(EncodeError::Fun),
    }
    Ok(())
}

fn length(count: usize) -> Result<u32, EncodeError> {
    u32::try_from(count).map_err(|_| EncodeError::Large)
}

fn atom(name: &Atom, out: &mut BytesMut) -> Result<(), EncodeError> {
    let text = name.as_str();
    let characters = text.chars().count();
    if characters > super::ATOM_CHARACTERS_MAX {
        return Err(EncodeError::LongAtom(characters));
    }
    match u8::try_from(text.len()) {
        Ok(bytes) => {
            out.put_u8(tag::SMALL_ATOM_UTF8);
            out.put_u8(bytes);
        }
        // At most 255 characters of four bytes.
        Err(_) => {
            out.put_u8(tag::ATOM_UTF8);
            out.put_u16(text.len() as u16);
        }
    }
    out.put_slice(text.as_bytes());
    Ok(())
}

fn integer(value: i64, out: &mut BytesMut) {
    if let Ok(small) = u8::try_from(value) {
        out.put_u8(tag::SMALL_INTEGER);
        out.put_u8(small);
    } else if let Ok(word) = i32::try_from(value) {
        out.put_u8(tag::INTEGER);
        out.put_i32(word);
    } else {
        let magnitude = value.unsigned_abs().to_le_bytes();
        let used = 8 - (value.unsigned_abs().leading_zeros() / 8) as usize;
        out.put_u8(tag::SMALL_BIG);
        out.put_u8(used as u8);
        out.put_u8(u8::from(value < 0));
        out.put_slice(&magnitude[..used]);
    }
}

fn big(value: &BigInt, out: &mut BytesMut) -> Result<(), EncodeError> {
    let (sign, magnitude) = value.to_bytes_le();
    if magnitude.len() > super::INTEGER_BYTES_MAX {
        return Err(EncodeError::Large);
    }
    match u8::try_from(magnitude.len()) {
        Ok(bytes) => {
            out.put_u8(tag::SMALL_BIG);
            out.put_u8(bytes);
        }
        Err(_) => {
            out.put_u8(tag::LARGE_BIG);
            out.put_u32(length(magnitude.len())?);
        }
    }
    out.put_u8(u8::from(sign == Sign::Minus));
    out.put_slice(&magnitude);
    Ok(())
}

fn list(elements: &[Term], out: &mut BytesMut, depth: usize) -> Result<(), EncodeError> {
    if elements.is_empty() {
        out.put_u8(tag::NIL);
        return Ok(());
    }
    if let (Some(bytes), Ok(count)) = (as_bytes(elements), u16::try_from(elements.len())) {
        out.put_u8(tag::STRING);
        out.put_u16(count);
        out.put_slice(&bytes);
        return Ok(());
    }
    out.put_u8(tag::LIST);
    out.put_u32(length(elements.len())?);
    elements.iter().try_for_each(|element| put(element, out, depth + 1))?;
    out.put_u8(tag::NIL);
    Ok(())
}

fn as_bytes(elements: &[Term]) -> Option<Vec<u8>> {
    let byte = |element: &Term| match element {
        Term::Int(value) => u8::try_from(*value).ok(),
        _ => None,
    };
    elements.iter().map(byte).collect()
}

fn tuple(elements: &[Term], out: &mut BytesMut, depth: usize) -> Result<(), EncodeError> {
    match u8::try_from(elements.len()) {
        Ok(count) => {
            out.put_u8(tag::SMALL_TUPLE);
            out.put_u8(count);
        }
        Err(_) => {
            out.put_u8(tag::LARGE_TUPLE);
            out.put_u32(length(elements.len())?);
        }
    }
    elements.iter().try_for_each(|element| put(element, out, depth + 1))
}

fn pid(value: &Pid, out: &mut BytesMut) -> Result<(), EncodeError> {
    out.put_u8(tag::NEW_PID);
    atom(&value.node, out)?;
    out.put_u32(value.id);
    out.put_u32(value.serial);
    out.put_u32(value.creation);
    Ok(())
}

fn port(value: &Port, out: &mut BytesMut) -> Result<(), EncodeError> {
    out.put_u8(tag::V4_PORT);
    atom(&value.node, out)?;
    out.put_u64(value.id);
    out.put_u32(value.creation);
    Ok(())
}

fn reference(value: &Reference, out: &mut BytesMut) -> Result<(), EncodeError> {
    let words = u16::try_from(value.words.len()).map_err(|_| EncodeError::Large)?;
    out.put_u8(tag::NEWER_REFERENCE);
    out.put_u16(words);
    atom(&value.node, out)?;
    out.put_u32(value.creation);
    value.words.iter().for_each(|word| out.put_u32(*word));
    Ok(())
}
