//! Erlang terms: values, the external format ([`encode`], [`decode`]), their text ([`print`](mod@print), [`parse`](mod@parse)) and JSON.

pub mod decode;
pub mod encode;
pub mod json;
pub mod parse;
pub mod print;

use num_bigint::BigInt;

/// Longest atom, in characters (the runtime's own limit).
pub const ATOM_CHARACTERS_MAX: usize = 255;
/// Deepest nesting that is read or written. Erlang has no limit; data that people and tools exchange stays far below.
pub const DEPTH_MAX: usize = 200;
/// Largest integer, in bytes of its magnitude: printing more digits would cost seconds.
pub const INTEGER_BYTES_MAX: usize = 4096;

/// The name of an atom.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Atom(pub String);

impl Atom {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Atom {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A process identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pid {
    /// Its node.
    pub node: Atom,
    /// First number.
    pub id: u32,
    /// Second number.
    pub serial: u32,
    /// Which life of the node.
    pub creation: u32,
}

/// A port identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    /// Its node.
    pub node: Atom,
    /// Number.
    pub id: u64,
    /// Which life of the node.
    pub creation: u32,
}

/// A reference: up to five words, the least significant first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Its node.
    pub node: Atom,
    /// Which life of the node.
    pub creation: u32,
    /// The words.
    pub words: Vec<u32>,
}

/// A function value. Its code stays on its node, so it can be shown and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fun {
    /// Module.
    pub module: Atom,
    /// Number in the module.
    pub index: u32,
    /// Hash of the code.
    pub unique: u32,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// `ok`
    Atom(Atom),
    /// An integer that fits; [`Term::integer`] chooses.
    Int(i64),
    /// An integer that does not fit in 64 bits.
    Big(BigInt),
    /// A finite number.
    Float(f64),
    /// `<<1,2>>`
    Binary(Vec<u8>),
    /// `<<1,2:3>>`: the last byte counts only this many of its upper bits (1 to 7).
    Bits(Vec<u8>, u8),
    /// `[1,2]`
    List(Vec<Term>),
    /// `[1|2]`: at least one element, and a tail that is no list.
    Improper(Vec<Term>, Box<Term>),
    /// `{1,2}`
    Tuple(Vec<Term>),
    /// `#{a => 1}`, in the order that it came in; keys differ.
    Map(Vec<(Term, Term)>),
    /// `<0.1.0>`
    Pid(Pid),
    /// `#Port<0.1>`
    Port(Port),
    /// `#Ref<0.1.2.3>`
    Reference(Reference),
    /// `fun m:f/1`
    Export(Atom, Atom, u8),
    /// `#Fun<m.1.2>`
    Fun(Fun),
}

impl Term {
    /// An atom.
    pub fn atom(text: &str) -> Self {
        Self::Atom(text.into())
    }

    /// An integer in its one form.
    pub fn integer(value: BigInt) -> Self {
        i64::try_from(&value).map_or(Self::Big(value), Self::Int)
    }

    /// A list of the code points of a text.
    pub fn charlist(text: &str) -> Self {
        Self::List(text.chars().map(|c| Self::Int(i64::from(u32::from(c)))).collect())
    }

    /// A tuple.
    pub fn tuple<const N: usize>(elements: [Term; N]) -> Self {
        Self::Tuple(elements.into())
    }

    /// Elements before a tail: one of the three kinds of list.
    pub fn cons(elements: Vec<Term>, tail: Term) -> Self {
        match (elements.is_empty(), tail) {
            (true, tail) => tail,
            (false, Self::List(rest)) => Self::List(elements.into_iter().chain(rest).collect()),
            (false, Self::Improper(rest, tail)) => {
                Self::Improper(elements.into_iter().chain(rest).collect(), tail)
            }
            (false, tail) => Self::Improper(elements, Box::new(tail)),
        }
    }

    /// The atom's text.
    pub fn as_atom(&self) -> Option<&str> {
        match self {
            Self::Atom(atom) => Some(atom.as_str()),
            _ => None,
        }
    }

    /// A number that is not negative, cut to 64 bits where it is larger.
    pub fn as_count(&self) -> Option<u64> {
        match self {
            Self::Int(value) => u64::try_from(*value).ok(),
            Self::Big(value) => Some(u64::try_from(value).unwrap_or(u64::MAX)),
            _ => None,
        }
    }

    /// The elements of a tuple.
    pub fn as_tuple(&self) -> Option<&[Term]> {
        match self {
            Self::Tuple(elements) => Some(elements),
            _ => None,
        }
    }

    /// The elements of a proper list.
    pub fn as_list(&self) -> Option<&[Term]> {
        match self {
            Self::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// The text of chardata: binaries in UTF-8, code points, and lists of both.
    pub fn as_text(&self) -> Option<String> {
        let mut text = String::new();
        self.collect_text(&mut text)?;
        Some(text)
    }

    fn collect_text(&self, text: &mut String) -> Option<()> {
        match self {
            Self::Binary(bytes) => text.push_str(std::str::from_utf8(bytes).ok()?),
            Self::Int(point) => text.push(char::from_u32(u32::try_from(*point).ok()?)?),
            Self::List(elements) => elements.iter().try_for_each(|e| e.collect_text(text))?,
            Self::Improper(elements, tail) => {
                elements.iter().try_for_each(|e| e.collect_text(text))?;
                tail.collect_text(text)?;
            }
            _ => return None,
        }
        Some(())
    }

    /// The value of a key in a list of pairs.
    pub fn property(&self, key: &str) -> Option<&Term> {
        let pairs = self.as_list()?.iter().filter_map(Term::as_tuple);
        pairs.filter(|pair| pair.len() == 2).find(|pair| pair[0].as_atom() == Some(key)).map(|pair| &pair[1])
    }
}

/// Whose numbers stand in a text as `<0.1.0>`, `#Ref<0...>` and `#Port<0.1>`: the node that the text is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// Its name.
    pub node: Atom,
    /// Which life of it.
    pub creation: u32,
}
