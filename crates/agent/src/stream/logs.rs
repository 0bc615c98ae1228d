//! Lines of a node's output: the last ones, a span of time, and new ones as they come.

use super::{Out, failed};
use jiff::Timestamp;
use lace_machine::{LogLine as Found, LogPosition, LogReader, LogStream};
use lace_model::{Millis, Problem};
use lace_wire::stream::{LogLine, StreamFrame};
use std::path::PathBuf;
use std::time::Duration;

/// Between two looks for new lines.
const LOOK_AGAIN: Duration = Duration::from_millis(150);
/// Lines read at once.
const LINES_AT_ONCE: usize = 1_000;

/// Which lines.
pub struct Span {
    /// Not older.
    pub since: Option<Millis>,
    /// Not newer.
    pub until: Option<Millis>,
    /// So many of the last.
    pub tail: Option<u32>,
    /// Go on with new ones.
    pub follow: bool,
}

/// Sends lines; ends with status 0 unless it follows.
pub async fn serve(dir: PathBuf, span: Span, out: &Out) -> Result<(), Problem> {
    let (lines, mut position) = first(dir.clone(), &span).await?;
    for line in lines {
        if !out.send(StreamFrame::Line(line)).await {
            return Ok(());
        }
    }
    while span.follow && dir.is_dir() {
        let (lines, next) = after(dir.clone(), position).await?;
        position = next;
        if lines.is_empty() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        for line in lines {
            if span.until.is_some_and(|until| line.at > until) {
                out.send(StreamFrame::Exit(0)).await;
                return Ok(());
            }
            if !out.send(StreamFrame::Line(line)).await {
                return Ok(());
            }
        }
    }
    out.send(StreamFrame::Exit(0)).await;
    Ok(())
}

async fn first(dir: PathBuf, span: &Span) -> Result<(Vec<LogLine>, LogPosition), Problem> {
    let since = span.since.and_then(text);
    let (until, tail) = (span.until, span.tail.map_or(usize::MAX, |n| n as usize));
    // A bound in time cuts lines off the end: only then the last ones are the last ones.
    let read = if until.is_some() { usize::MAX } else { tail };
    let found = tokio::task::spawn_blocking(move || LogReader::new(dir).tail(read, since.as_deref())).await;
    let (lines, position) = found.map_err(failed)?.map_err(failed)?;
    let mut lines: Vec<_> =
        lines.into_iter().map(line).filter(|l| until.is_none_or(|until| l.at <= until)).collect();
    lines.drain(..lines.len().saturating_sub(tail));
    Ok((lines, position))
}

async fn after(dir: PathBuf, position: LogPosition) -> Result<(Vec<LogLine>, LogPosition), Problem> {
    let found = tokio::task::spawn_blocking(move || LogReader::new(dir).after(position, LINES_AT_ONCE)).await;
    let (lines, position) = found.map_err(failed)?.map_err(failed)?;
    Ok((lines.into_iter().map(line).collect(), position))
}

fn line(found: Found) -> LogLine {
    let at = found.time.parse::<Timestamp>().map_or(0, |time| time.as_millisecond().max(0) as Millis);
    LogLine { at, stderr: found.stream != LogStream::Stdout, text: found.text }
}

/// As the log files write it: RFC 3339, UTC, milliseconds.
fn text(at: Millis) -> Option<String> {
    let time = Timestamp::from_millisecond(i64::try_from(at).ok()?).ok()?;
    Some(format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_in_the_files() {
        assert_eq!(text(1_700_000_000_000).as_deref(), Some("2023-11-14T22:13:20.000Z"));
        assert_eq!(text(1_700_000_000_123).as_deref(), Some("2023-11-14T22:13:20.123Z"));
    }
}
