//! The feed of events: server-sent events (WHATWG HTML, 9.2), resumed after the last one seen.

use super::Client;
use lace_model::event::Event;
use lace_model::{Code, Problem};
use std::collections::VecDeque;
use std::time::Duration;

/// Longest single message, in bytes: an event is a line, more is a mistake on the other side.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Pause before the feed is opened again after it ended.
const RESUME_PAUSE: Duration = Duration::from_millis(100);

/// One message of a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SseMessage {
    /// Its sort; empty for a plain message.
    pub event: String,
    /// Its content.
    pub data: String,
}

/// Cuts bytes into messages.
#[derive(Debug, Default)]
pub struct SseDecoder {
    buffer: Vec<u8>,
    current: SseMessage,
}

impl SseDecoder {
    /// Takes bytes, gives the messages that they completed.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<SseMessage> {
        self.buffer.extend_from_slice(bytes);
        let mut done = Vec::new();
        while let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            done.extend(self.line(line.trim_end_matches(['\n', '\r'])));
        }
        done
    }

    /// Is a message longer than any event may be?
    pub fn overflowed(&self) -> bool {
        self.buffer.len() + self.current.data.len() > MESSAGE_BYTES_MAX
    }

    fn line(&mut self, line: &str) -> Option<SseMessage> {
        if line.is_empty() {
            let message = std::mem::take(&mut self.current);
            return (!message.data.is_empty()).then_some(message);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" if self.current.data.is_empty() => self.current.data.push_str(value),
            "data" => {
                self.current.data.push('\n');
                self.current.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.current.event),
            _ => {}
        }
        None
    }
}

/// Events as they come. Opened at the first [`EventFeed::next`].
pub struct EventFeed {
    client: Client,
    since: Option<u64>,
    subject: Option<String>,
    open: Option<reqwest::Response>,
    decoder: SseDecoder,
    ready: VecDeque<Event>,
}

impl EventFeed {
    pub(super) fn new(client: Client, since: Option<u64>, subject: Option<String>) -> Self {
        let decoder = SseDecoder::default();
        Self { client, since, subject, open: None, decoder, ready: VecDeque::new() }
    }

    /// The next event. Waits for it as long as it takes; opens the feed again where it broke.
    ///
    /// # Errors
    /// What the controller refuses, or [`Code::Unreachable`] when it stayed away for [`super::RETRY_WATCHING`].
    pub async fn next(&mut self) -> Result<Event, Problem> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.since = Some(event.seq);
                return Ok(event);
            }
            match &mut self.open {
                None => self.open = Some(self.connect().await?),
                Some(response) => match response.chunk().await {
                    Ok(Some(bytes)) => self.take(&bytes)?,
                    Ok(None) | Err(_) => self.lost().await,
                },
            }
        }
    }

    async fn connect(&self) -> Result<reqwest::Response, Problem> {
        let call = self.client.get(&["v1", "events"]).query("follow", true).unbounded();
        let call = call.query_some("since", self.since).query_some("subject", self.subject.as_deref());
        self.client.send(call).await
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        for message in self.decoder.push(bytes) {
            if let Some(event) = read(&message)?
                && self.since.is_none_or(|since| event.seq > since)
            {
                self.ready.push_back(event);
            }
        }
        if self.decoder.overflowed() {
            return Err(Problem::new(Code::TooLarge, "the controller sent an event without end"));
        }
        Ok(())
    }

    async fn lost(&mut self) {
        self.open = None;
        self.decoder = SseDecoder::default();
        tokio::time::sleep(RESUME_PAUSE).await;
    }
}

/// An event, the problem that ends the feed, or a message of a later version.
fn read(message: &SseMessage) -> Result<Option<Event>, Problem> {
    if message.event == "problem" {
        return Err(serde_json::from_str(&message.data)
            .unwrap_or_else(|_| Problem::new(Code::Error, message.data.clone())));
    }
    Ok(serde_json::from_str(&message.data).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: &[&str], expected: &[(&str, &str)]) {
        let mut decoder = SseDecoder::default();
        let got: Vec<_> = chunks.iter().flat_map(|c| decoder.push(c.as_bytes())).collect();
        let got: Vec<_> = got.iter().map(|m| (m.event.as_str(), m.data.as_str())).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn messages_are_cut_at_blank_lines() {
        check(&["data: a\n\ndata: b\n\n"], &[("", "a"), ("", "b")]);
        check(&["da", "ta: a", "\n", "\n"], &[("", "a")]);
        check(&["id: 7\nevent: node\ndata:a\r\n\r\n"], &[("node", "a")]);
        check(&["data: a\ndata: b\n\n"], &[("", "a\nb")]);
        check(&[": keep-alive\n\n", "data: a\n"], &[]);
    }

    #[test]
    fn a_message_without_end_is_noticed() {
        let mut decoder = SseDecoder::default();
        decoder.push(&vec![b'x'; MESSAGE_BYTES_MAX + 1]);
        assert!(decoder.overflowed());
    }
}
