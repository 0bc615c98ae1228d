//! The place in the text.

use super::ParseError;

#[derive(Clone, Copy)]
pub(super) struct Scan<'a> {
    text: &'a str,
    at: usize,
}

/// A place that is followed along the text, so that many places cost one walk.
pub(super) struct Place {
    at: usize,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn begin(&self) -> Place {
        Place { at: 0, line: 1, column: 1 }
    }

    /// Moves the place forward to here.
    pub(super) fn go_to(&self, place: &mut Place) {
        for c in self.text[place.at..self.at].chars() {
            match c {
                '\n' => (place.line, place.column) = (place.line + 1, 1),
                _ => place.column += 1,
            }
        }
        place.at = self.at;
    }

    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn peek_second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    pub(super) fn take(&mut self, mark: char) -> bool {
        let is_there = self.peek() == Some(mark);
        if is_there {
            self.at += mark.len_utf8();
        }
        is_there
    }

    pub(super) fn take_text(&mut self, text: &str) -> bool {
        let is_there = self.rest().starts_with(text);
        if is_there {
            self.at += text.len();
        }
        is_there
    }

    pub(super) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Spaces and comments.
    pub(super) fn blank(&mut self) {
        loop {
            self.take_while(char::is_whitespace);
            if self.peek() != Some('%') {
                return;
            }
            self.take_while(|c| c != '\n');
        }
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
        let before = &self.text[..self.at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        ParseError { line, column, message: message.into() }
    }

    pub(super) fn unexpected(&self, wanted: &str) -> ParseError {
        match self.peek() {
            Some(c) => self.error(format!("expected {wanted}, found {c:?}")),
            None => self.error(format!("expected {wanted}, the text ends")),
        }
    }
}
