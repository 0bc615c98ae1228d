//! Reads the text of terms: what `file:consult/1` reads, and the processes, ports and references of one node.
//!
//! No expressions: variables, operators and calls are refused with the place where they stand.

mod binary;
mod number;
mod quoted;
mod scan;

use super::print::print;
use super::{Atom, DEPTH_MAX, Home, Pid, Port, Reference, Term};
use scan::{Place, Scan};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Longest text that is read, in bytes.
pub const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// A text that is no term.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

type Parsed<T> = Result<T, ParseError>;

/// Reads one term; a full stop after it is allowed. Without `home`, no processes, ports and references.
///
/// # Errors
/// [`ParseError`] with the place.
pub fn parse(text: &str, home: Option<&Home>) -> Parsed<Term> {
    let mut reader = Reader::new(text, home)?;
    let term = reader.term(0)?;
    reader.scan.blank();
    if reader.scan.take('.') {
        reader.scan.blank();
    }
    if reader.scan.is_at_end() { Ok(term) } else { Err(reader.scan.unexpected("the end of the term")) }
}

/// Reads terms that each end with a full stop, as a file for `file:consult/1` holds them.
///
/// # Errors
/// [`ParseError`] with the place.
pub fn parse_all(text: &str) -> Parsed<Vec<Term>> {
    let mut reader = Reader::new(text, None)?;
    let mut terms = Vec::new();
    loop {
        reader.scan.blank();
        if reader.scan.is_at_end() {
            return Ok(terms);
        }
        terms.push(reader.term(0)?);
        reader.expect('.', "a full stop after the term")?;
    }
}

/// A term with the place where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// Its line, from 1.
    pub line: usize,
    /// Its column, from 1, in characters.
    pub column: usize,
    /// What stands there.
    pub term: Term,
}

/// Reads the entries of a file of settings: terms that each end with a full stop, or the elements of lists that do.
///
/// # Errors
/// [`ParseError`] with the place.
pub fn parse_entries(text: &str) -> Parsed<Vec<Placed>> {
    let mut reader = Reader::new(text, None)?;
    let mut entries = Vec::new();
    let mut place = reader.scan.begin();
    loop {
        reader.scan.blank();
        if reader.scan.is_at_end() {
            return Ok(entries);
        }
        if reader.scan.take('[') {
            reader.elements(&mut place, &mut entries)?;
        } else {
            entries.push(reader.placed(&mut place, 0)?);
        }
        reader.expect('.', "a full stop after the term")?;
    }
}

/// Reads terms between commas, as the arguments of a call: `ok, [1,2]`. Brackets around them are no matter here.
///
/// # Errors
/// [`ParseError`] with the place.
pub fn parse_list(text: &str, home: Option<&Home>) -> Parsed<Vec<Term>> {
    let mut reader = Reader::new(text, home)?;
    let terms = reader.until(None, 0)?;
    if reader.scan.is_at_end() { Ok(terms) } else { Err(reader.scan.unexpected("a comma or the end")) }
}

struct Reader<'a> {
    scan: Scan<'a>,
    home: Option<&'a Home>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, home: Option<&'a Home>) -> Parsed<Self> {
        let scan = Scan::new(text);
        if text.len() > TEXT_BYTES_MAX {
            return Err(scan.error(format!("more than {TEXT_BYTES_MAX} bytes")));
        }
        Ok(Self { scan, home })
    }

    fn expect(&mut self, mark: char, what: &str) -> Parsed<()> {
        self.scan.blank();
        if self.scan.take(mark) { Ok(()) } else { Err(self.scan.unexpected(what)) }
    }

    fn placed(&mut self, place: &mut Place, depth: usize) -> Parsed<Placed> {
        self.scan.blank();
        self.scan.go_to(place);
        let (line, column) = (place.line, place.column);
        Ok(Placed { line, column, term: self.term(depth)? })
    }

    /// The elements of a list, after its `[`.
    fn elements(&mut self, place: &mut Place, entries: &mut Vec<Placed>) -> Parsed<()> {
        self.scan.blank();
        if self.scan.take(']') {
            return Ok(());
        }
        loop {
            entries.push(self.placed(place, 1)?);
            self.scan.blank();
            if self.scan.take(']') {
                return Ok(());
            }
            self.expect(',', "a comma or ']'")?;
        }
    }

    fn term(&mut self, depth: usize) -> Parsed<Term> {
        if depth > DEPTH_MAX {
            return Err(self.scan.error(format!("nested deeper than {DEPTH_MAX}")));
        }
        self.scan.blank();
        match self.scan.peek() {
            Some('[') => self.list(depth),
            Some('{') => {
                self.scan.take('{');
                self.until(Some('}'), depth).map(Term::Tuple)
            }
            Some('<') if self.scan.take_text("<<") => self.binary(),
            Some('<') => self.pid(),
            Some('#') => self.hash(depth),
            Some('"') => self.text(),
            Some('\'') => Ok(Term::Atom(self.quoted_atom()?)),
            Some('0'..='9' | '-' | '+' | '$') => self.number(),
            Some(c) if c.is_lowercase() => self.word(),
            Some(c) if c.is_uppercase() || c == '_' => {
                let message = format!("{c:?} begins a variable: write atoms like 'This'");
                Err(self.scan.error(message))
            }
            _ => Err(self.scan.unexpected("a term")),
        }
    }

    /// Terms between commas up to a closing mark, or to where no comma follows.
    fn until(&mut self, close: Option<char>, depth: usize) -> Parsed<Vec<Term>> {
        let mut terms = Vec::new();
        self.scan.blank();
        if close.map_or(self.scan.is_at_end(), |mark| self.scan.take(mark)) {
            return Ok(terms);
        }
        loop {
            terms.push(self.term(depth + 1)?);
            self.scan.blank();
            if self.scan.take(',') {
                continue;
            }
            return match close {
                None => Ok(terms),
                Some(mark) if self.scan.take(mark) => Ok(terms),
                Some(mark) => Err(self.scan.unexpected(&format!("a comma or {mark:?}"))),
            };
        }
    }

    fn list(&mut self, depth: usize) -> Parsed<Term> {
        self.scan.take('[');
        self.scan.blank();
        if self.scan.take(']') {
            return Ok(Term::List(Vec::new()));
        }
        let elements = self.until(None, depth)?;
        let tail = if self.scan.take('|') { self.term(depth + 1)? } else { Term::List(Vec::new()) };
        self.expect(']', "a comma, '|' or ']'")?;
        Ok(Term::cons(elements, tail))
    }

    /// `#{...}`, `#Ref<...>`, `#Port<...>`.
    fn hash(&mut self, depth: usize) -> Parsed<Term> {
        if self.scan.take_text("#{") {
            return self.map(depth);
        }
        if self.scan.take_text("#Ref<") {
            let (home, mut words) = (self.home()?, self.dotted(6)?);
            if words.remove(0) != 0 || words.is_empty() {
                return Err(self.scan.error("only references of the node itself can be written"));
            }
            words.reverse();
            return Ok(Term::Reference(Reference { node: home.node, creation: home.creation, words }));
        }
        if self.scan.take_text("#Port<") {
            let home = self.home()?;
            return match self.dotted(2)?.as_slice() {
                [0, id] => {
                    Ok(Term::Port(Port { node: home.node, id: u64::from(*id), creation: home.creation }))
                }
                _ => Err(self.scan.error("only ports of the node itself can be written")),
            };
        }
        Err(self
            .scan
            .error("after '#': a map, #Ref<...> or #Port<...>; records and functions cannot be written"))
    }

    fn map(&mut self, depth: usize) -> Parsed<Term> {
        let mut pairs: Vec<(Term, Term)> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        self.scan.blank();
        if self.scan.take('}') {
            return Ok(Term::Map(pairs));
        }
        loop {
            let key = self.term(depth + 1)?;
            self.scan.blank();
            if !self.scan.take_text("=>") {
                return Err(self.scan.unexpected("'=>' after the key"));
            }
            let value = self.term(depth + 1)?;
            // The last of equal keys counts, as in Erlang.
            match known.entry(print(&key, None)) {
                Entry::Occupied(at) => pairs[*at.get()].1 = value,
                Entry::Vacant(free) => {
                    free.insert(pairs.len());
                    pairs.push((key, value));
                }
            }
            self.scan.blank();
            if self.scan.take('}') {
                return Ok(Term::Map(pairs));
            }
            self.expect(',', "a comma or '}'")?;
        }
    }

    fn pid(&mut self) -> Parsed<Term> {
        self.scan.take('<');
        let home = self.home()?;
        match self.dotted(3)?.as_slice() {
            [0, id, serial] => {
                Ok(Term::Pid(Pid { node: home.node, id: *id, serial: *serial, creation: home.creation }))
            }
            _ => Err(self.scan.error("only processes of the node itself can be written, as <0.12.0>")),
        }
    }

    fn home(&self) -> Parsed<Home> {
        let none =
            || self.scan.error("processes, ports and references belong to a node and cannot stand here");
        self.home.cloned().ok_or_else(none)
    }

    /// Numbers between points up to `>`.
    fn dotted(&mut self, most: usize) -> Parsed<Vec<u32>> {
        let mut numbers = Vec::new();
        loop {
            let digits = self.scan.take_while(|c| c.is_ascii_digit());
            let number = digits.parse().map_err(|_| self.scan.unexpected("a number"))?;
            numbers.push(number);
            if self.scan.take('>') {
                return Ok(numbers);
            }
            if !self.scan.take('.') || numbers.len() >= most {
                return Err(self.scan.unexpected("'.' or '>'"));
            }
        }
    }

    /// An atom without quotes, or `fun m:f/1`.
    fn word(&mut self) -> Parsed<Term> {
        let word = self.scan.take_while(|c| c.is_alphanumeric() || c == '_' || c == '@');
        if word == "fun" {
            return self.export();
        }
        Ok(Term::Atom(self.checked_atom(word.to_owned())?))
    }

    fn checked_atom(&self, text: String) -> Parsed<Atom> {
        match text.chars().count() {
            0..=super::ATOM_CHARACTERS_MAX => Ok(Atom(text)),
            count => {
                Err(self.scan.error(format!("an atom has at most 255 characters, this one has {count}")))
            }
        }
    }

    fn export(&mut self) -> Parsed<Term> {
        let module = self.name("the module of a function")?;
        self.expect(':', "':' after the module")?;
        let function = self.name("the name of a function")?;
        self.expect('/', "'/' and the number of arguments")?;
        let digits = self.scan.take_while(|c| c.is_ascii_digit());
        let arity = digits.parse().map_err(|_| self.scan.unexpected("the number of arguments"))?;
        Ok(Term::Export(module, function, arity))
    }

    fn name(&mut self, what: &str) -> Parsed<Atom> {
        self.scan.blank();
        match self.scan.peek() {
            Some('\'') => self.quoted_atom(),
            Some(c) if c.is_lowercase() => {
                let word = self.scan.take_while(|c| c.is_alphanumeric() || c == '_' || c == '@').to_owned();
                self.checked_atom(word)
            }
            _ => Err(self.scan.unexpected(what)),
        }
    }
}
