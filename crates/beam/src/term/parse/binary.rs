//! `<<...>>`: bytes, texts, and bits at the end.

use super::{Parsed, Reader};
use crate::term::Term;

impl Reader<'_> {
    /// After `<<`.
    pub(super) fn binary(&mut self) -> Parsed<Term> {
        let mut bytes = Vec::new();
        let mut last = 0;
        self.scan.blank();
        if self.scan.take_text(">>") {
            return Ok(Term::Binary(bytes));
        }
        loop {
            if last != 0 {
                return Err(self.scan.error("only the last part may have less than 8 bits"));
            }
            self.scan.blank();
            match self.scan.peek() {
                Some('"') => self.text_part(&mut bytes)?,
                _ => last = self.number_part(&mut bytes)?,
            }
            self.scan.blank();
            if self.scan.take_text(">>") {
                return Ok(if last == 0 { Term::Binary(bytes) } else { Term::Bits(bytes, last) });
            }
            self.expect(',', "a comma or '>>'")?;
        }
    }

    fn text_part(&mut self, bytes: &mut Vec<u8>) -> Parsed<()> {
        let begin = self.scan;
        let text = self.quoted('"')?;
        if self.scan.take_text("/utf8") {
            bytes.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        for c in text.chars() {
            let wide = || begin.error(format!("{c:?} is no byte: write \"...\"/utf8"));
            bytes.push(u8::try_from(u32::from(c)).map_err(|_| wide())?);
        }
        Ok(())
    }

    /// A number and how many bits of it (8 unless said); gives the bits of an incomplete byte.
    fn number_part(&mut self, bytes: &mut Vec<u8>) -> Parsed<u8> {
        let begin = self.scan;
        let Term::Int(value) = self.number()? else {
            return Err(begin.error("a part of a binary is an integer"));
        };
        let bits = if self.scan.take(':') { self.size()? } else { 8 };
        if bits % 8 != 0 && bits > 8 {
            return Err(
                begin.error("parts of less than 8 bits, or of whole bytes up to 64 bits, can be written")
            );
        }
        if bits < 8 {
            bytes.push((value as u8) << (8 - bits));
            return Ok(bits);
        }
        bytes.extend_from_slice(&value.to_be_bytes()[8 - usize::from(bits / 8)..]);
        Ok(0)
    }

    fn size(&mut self) -> Parsed<u8> {
        let digits = self.scan.take_while(|c| c.is_ascii_digit());
        let size = digits.parse().ok().filter(|size| (1..=64).contains(size));
        size.ok_or_else(|| self.scan.error("a size is 1 to 64 bits"))
    }
}
