//! Times as people read and write them.

use jiff::Timestamp;
use lace_model::{Code, Millis, Problem, Span};

/// How long ago: `12s`, `5m`, `3h`, `2d`; `-` for a moment that has not been.
pub fn ago(now: Millis, then: Millis) -> String {
    if then == 0 { "-".into() } else { between(then, now) }
}

/// The length between two moments, in its largest unit.
pub fn between(from: Millis, to: Millis) -> String {
    let seconds = to.saturating_sub(from) / 1000;
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A moment in UTC to the millisecond (RFC 3339).
pub fn clock(at: Millis) -> String {
    let at = i64::try_from(at).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    at.map_or_else(|| "-".into(), |at| format!("{at:.3}"))
}

/// A moment as a person says it: a length of time before now (`1h`), or a moment (RFC 3339).
pub fn instant(text: &str, now: Millis) -> Result<Millis, Problem> {
    if let Ok(span) = text.parse::<Span>() {
        return Ok(now.saturating_sub(span.ms()));
    }
    let moment: Result<Timestamp, _> = text.parse();
    moment.map(|at| u64::try_from(at.as_millisecond()).unwrap_or(0)).map_err(|_| {
        Problem::new(Code::Usage, format!("{text:?} is not a time"))
            .hint("write how long ago (1h, 30m), or a moment such as 2026-11-22T14:00:00Z")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_short() {
        let cases = [(0, "0s"), (119_999, "119s"), (120_000, "2m"), (7_200_000, "2h")];
        for (ms, text) in cases {
            assert_eq!(between(0, ms), text);
        }
        assert_eq!(ago(5000, 0), "-");
    }

    #[test]
    fn moments_are_lengths_or_dates() {
        assert_eq!(instant("1h", 7_200_000), Ok(3_600_000));
        assert_eq!(instant("1970-01-01T00:00:01Z", 0), Ok(1000));
        assert!(instant("yesterday", 0).is_err());
        assert_eq!(clock(1000), "1970-01-01T00:00:01.000Z");
    }
}
