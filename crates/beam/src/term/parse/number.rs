//! Integers, floats and characters.

use super::{Parsed, Reader};
use crate::term::{INTEGER_BYTES_MAX, Term};
use num_bigint::BigInt;

/// Digits that an integer within [`INTEGER_BYTES_MAX`] cannot exceed, in base 2.
const DIGITS_MAX: usize = INTEGER_BYTES_MAX * 8;

impl Reader<'_> {
    /// With its sign.
    pub(super) fn number(&mut self) -> Parsed<Term> {
        let negative = self.scan.take('-');
        if !negative {
            self.scan.take('+');
        }
        self.scan.blank();
        let number = self.unsigned()?;
        Ok(match number {
            Term::Int(value) if negative => Term::Int(-value),
            Term::Big(value) if negative => Term::integer(-value),
            Term::Float(value) if negative => Term::Float(-value),
            other => other,
        })
    }

    pub(super) fn unsigned(&mut self) -> Parsed<Term> {
        if self.scan.take('$') {
            return self.character();
        }
        let digits = self.digits(10);
        if digits.is_empty() {
            return Err(self.scan.unexpected("a number"));
        }
        if self.scan.take('#') {
            let base = digits.parse().ok().filter(|base| (2..=36).contains(base));
            let base = base.ok_or_else(|| self.scan.error("a base is 2 to 36"))?;
            let digits = self.digits(base);
            return self.integer(&digits, base);
        }
        let is_float =
            self.scan.peek() == Some('.') && self.scan.peek_second().is_some_and(|c| c.is_ascii_digit());
        if is_float { self.float(&digits) } else { self.integer(&digits, 10) }
    }

    /// Digits of a base, without the underscores between them.
    fn digits(&mut self, base: u32) -> String {
        let mut digits = String::new();
        loop {
            digits.push_str(self.scan.take_while(|c| c.is_digit(base)));
            let goes_on = self.scan.peek() == Some('_')
                && !digits.is_empty()
                && self.scan.peek_second().is_some_and(|c| c.is_digit(base));
            if !goes_on {
                return digits;
            }
            self.scan.take('_');
        }
    }

    fn integer(&self, digits: &str, base: u32) -> Parsed<Term> {
        if let Ok(value) = i64::from_str_radix(digits, base) {
            return Ok(Term::Int(value));
        }
        if digits.len() > DIGITS_MAX {
            return Err(self.scan.error("the integer is too large"));
        }
        let value = BigInt::parse_bytes(digits.as_bytes(), base);
        let value = value.ok_or_else(|| self.scan.unexpected("digits"))?;
        if value.bits() > 8 * INTEGER_BYTES_MAX as u64 {
            return Err(self.scan.error("the integer is too large"));
        }
        Ok(Term::integer(value))
    }

    fn float(&mut self, whole: &str) -> Parsed<Term> {
        self.scan.take('.');
        let mut text = format!("{whole}.{}", self.digits(10));
        let before = self.scan;
        if self.scan.take('e') || self.scan.take('E') {
            text.push('e');
            if self.scan.take('-') {
                text.push('-');
            } else {
                self.scan.take('+');
            }
            let exponent = self.digits(10);
            if exponent.is_empty() {
                self.scan = before;
                return Err(self.scan.error("a float's exponent has no digits"));
            }
            text.push_str(&exponent);
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Term::Float(value)),
            _ => Err(self.scan.error("the float is out of range")),
        }
    }

    /// After `$`.
    fn character(&mut self) -> Parsed<Term> {
        let c = match self.scan.next() {
            Some('\\') => self.escape()?,
            Some(c) => c,
            None => return Err(self.scan.unexpected("a character after '$'")),
        };
        Ok(Term::Int(i64::from(u32::from(c))))
    }
}
