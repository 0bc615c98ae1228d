//! The text of terms, as the runtime's own `~p` writes them on one line, so that it can be pasted into a shell.

use super::{Home, Pid, Port, Reference, Term};
use std::fmt::Write;

/// Words that an atom may not be without quotes.
const RESERVED: [&str; 29] = [
    "after", "and", "andalso", "band", "begin", "bnot", "bor", "bsl", "bsr", "bxor", "case", "catch", "cond",
    "div", "else", "end", "fun", "if", "let", "maybe", "not", "of", "or", "orelse", "receive", "rem", "try",
    "when", "xor",
];

/// The text of a term. Processes, ports and references of `home` are written as its own shell writes them.
pub fn print(term: &Term, home: Option<&Home>) -> String {
    let mut out = String::new();
    put(term, home, &mut out);
    out
}

impl std::fmt::Display for Term {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&print(self, None))
    }
}

/// The text of an atom, quoted where it has to be.
pub fn atom(text: &str) -> String {
    let mut out = String::new();
    put_atom(text, &mut out);
    out
}

fn put(term: &Term, home: Option<&Home>, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = match term {
        Term::Int(value) => write!(out, "{value}"),
        Term::Big(value) => write!(out, "{value}"),
        _ => Ok(()),
    };
    match term {
        Term::Int(_) | Term::Big(_) => {}
        Term::Atom(atom) => put_atom(atom.as_str(), out),
        Term::Float(value) => out.push_str(&float(*value)),
        Term::Binary(bytes) => put_binary(bytes, out),
        Term::Bits(bytes, last) => put_bits(bytes, *last, out),
        Term::List(elements) if is_text(elements) => {
            put_quoted(elements.iter().filter_map(point), '"', out);
        }
        Term::List(elements) => put_between(elements, ("[", "]"), home, out),
        Term::Tuple(elements) => put_between(elements, ("{", "}"), home, out),
        Term::Improper(elements, tail) => {
            put_between(elements, ("[", "|"), home, out);
            put(tail, home, out);
            out.push(']');
        }
        Term::Map(pairs) => put_map(pairs, home, out),
        Term::Pid(pid) => put_pid(pid, home, out),
        Term::Port(port) => put_port(port, home, out),
        Term::Reference(reference) => put_reference(reference, home, out),
        Term::Export(module, function, arity) => {
            out.push_str("fun ");
            put_atom(module.as_str(), out);
            out.push(':');
            put_atom(function.as_str(), out);
            let _ = write!(out, "/{arity}");
        }
        Term::Fun(fun) => {
            let _ = write!(out, "#Fun<{}.{}.{}>", fun.module.as_str(), fun.index, fun.unique);
        }
    }
}

fn put_between(elements: &[Term], marks: (&str, &str), home: Option<&Home>, out: &mut String) {
    out.push_str(marks.0);
    for (at, element) in elements.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        put(element, home, out);
    }
    out.push_str(marks.1);
}

fn put_map(pairs: &[(Term, Term)], home: Option<&Home>, out: &mut String) {
    out.push_str("#{");
    for (at, (key, value)) in pairs.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        put(key, home, out);
        out.push_str(" => ");
        put(value, home, out);
    }
    out.push('}');
}

fn put_atom(text: &str, out: &mut String) {
    let plain = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '@')
        && !RESERVED.contains(&text);
    if plain { out.push_str(text) } else { put_quoted(text.chars(), '\'', out) }
}

fn put_quoted(text: impl Iterator<Item = char>, quote: char, out: &mut String) {
    out.push(quote);
    for c in text {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{1b}' => out.push_str("\\e"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\x{{{:X}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// The code point, where the term is one.
fn point(term: &Term) -> Option<char> {
    match term {
        Term::Int(value) => char::from_u32(u32::try_from(*value).ok()?),
        _ => None,
    }
}

fn is_printable(c: char) -> bool {
    !c.is_control() || matches!(c, '\u{8}'..='\r' | '\u{1b}')
}

/// Would a person read this list as a text? An empty one is a list.
pub fn is_text(elements: &[Term]) -> bool {
    !elements.is_empty() && elements.iter().all(|element| point(element).is_some_and(is_printable))
}

fn put_binary(bytes: &[u8], out: &mut String) {
    out.push_str("<<");
    match str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && text.chars().all(is_printable) => {
            put_quoted(text.chars(), '"', out);
            if !text.is_ascii() {
                out.push_str("/utf8");
            }
        }
        _ => put_bytes(bytes, out),
    }
    out.push_str(">>");
}

fn put_bytes(bytes: &[u8], out: &mut String) {
    for (at, byte) in bytes.iter().enumerate() {
        let _ = write!(out, "{}{byte}", if at > 0 { "," } else { "" });
    }
}

fn put_bits(bytes: &[u8], last: u8, out: &mut String) {
    let Some((end, whole)) = bytes.split_last() else { return out.push_str("<<>>") };
    out.push_str("<<");
    put_bytes(whole, out);
    let _ = write!(out, "{}{}:{last}>>", if whole.is_empty() { "" } else { "," }, end >> (8 - last));
}

/// The shortest digits that read back as the same number, with the point that Erlang wants.
fn float(value: f64) -> String {
    let text = format!("{value:?}");
    match text.split_once('e') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0e{exponent}"),
        _ => text,
    }
}

fn is_home(home: Option<&Home>, node: &super::Atom, creation: u32) -> bool {
    home.is_some_and(|home| home.node == *node && home.creation == creation)
}

/// The first number of what belongs to `home`, the node's name for others.
fn put_owner(node: &super::Atom, creation: u32, home: Option<&Home>, out: &mut String) {
    if is_home(home, node, creation) { out.push('0') } else { put_quoted(node.0.chars(), '\'', out) }
}

fn put_pid(pid: &Pid, home: Option<&Home>, out: &mut String) {
    out.push('<');
    put_owner(&pid.node, pid.creation, home, out);
    let _ = write!(out, ".{}.{}>", pid.id, pid.serial);
}

fn put_port(port: &Port, home: Option<&Home>, out: &mut String) {
    out.push_str("#Port<");
    put_owner(&port.node, port.creation, home, out);
    let _ = write!(out, ".{}>", port.id);
}

fn put_reference(reference: &Reference, home: Option<&Home>, out: &mut String) {
    out.push_str("#Ref<");
    put_owner(&reference.node, reference.creation, home, out);
    for word in reference.words.iter().rev() {
        let _ = write!(out, ".{word}");
    }
    out.push('>');
}
