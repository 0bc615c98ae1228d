//! What stands in quotes: texts and atoms, with their escapes.

use super::{Parsed, Reader};
use crate::term::{Atom, Term};

impl Reader<'_> {
    /// `"..."`, and what follows it directly: `"a" "b"` is one text.
    pub(super) fn text(&mut self) -> Parsed<Term> {
        let mut text = String::new();
        loop {
            text.push_str(&self.quoted('"')?);
            let after = self.scan;
            self.scan.blank();
            if self.scan.peek() != Some('"') {
                self.scan = after;
                return Ok(Term::charlist(&text));
            }
        }
    }

    pub(super) fn quoted_atom(&mut self) -> Parsed<Atom> {
        let text = self.quoted('\'')?;
        self.checked_atom(text)
    }

    /// The characters between two quotes.
    pub(super) fn quoted(&mut self, quote: char) -> Parsed<String> {
        let begin = self.scan;
        self.scan.take(quote);
        let mut text = String::new();
        loop {
            text.push_str(self.scan.take_while(|c| c != quote && c != '\\'));
            match self.scan.next() {
                Some('\\') => text.push(self.escape()?),
                Some(_) => return Ok(text),
                None => return Err(begin.error(format!("the closing {quote} is missing"))),
            }
        }
    }

    /// After the backslash.
    pub(super) fn escape(&mut self) -> Parsed<char> {
        let Some(c) = self.scan.next() else { return Err(self.scan.unexpected("an escape")) };
        Ok(match c {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'e' => '\u{1b}',
            's' => ' ',
            'd' => '\u{7f}',
            '0'..='7' => self.octal(c),
            'x' => return self.hexadecimal(),
            '^' => match self.scan.next() {
                Some(c @ '@'..='_') => char::from(c as u8 & 0x1f),
                Some(c @ 'a'..='z') => char::from(c as u8 & 0x1f),
                _ => return Err(self.scan.error("after \\^ comes a letter")),
            },
            other => other,
        })
    }

    /// One to three digits.
    fn octal(&mut self, first: char) -> char {
        let mut value = first.to_digit(8).unwrap_or(0);
        for _ in 0..2 {
            let Some(digit) = self.scan.peek().and_then(|c| c.to_digit(8)) else { break };
            self.scan.next();
            value = value * 8 + digit;
        }
        char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    /// `\xHH` or `\x{H...}`.
    fn hexadecimal(&mut self) -> Parsed<char> {
        let braced = self.scan.take('{');
        let digits = if braced {
            self.scan.take_while(|c| c.is_ascii_hexdigit()).to_owned()
        } else {
            let two = [self.scan.peek(), self.scan.peek_second()];
            let two: String = two.into_iter().flatten().take_while(char::is_ascii_hexdigit).collect();
            for _ in two.chars() {
                self.scan.next();
            }
            two
        };
        if braced && !self.scan.take('}') {
            return Err(self.scan.unexpected("'}' after the digits"));
        }
        let point = u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32);
        point.ok_or_else(|| self.scan.error("no character has this number"))
    }
}
