//! Signals by name: those that one sends to a service's process. Numbers as on Linux (signal(7), x86 and ARM).

/// Names without SIG, and their numbers.
pub const SIGNALS: [(&str, i32); 10] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("KILL", 9),
    ("USR1", 10),
    ("USR2", 12),
    ("TERM", 15),
    ("CONT", 18),
    ("STOP", 19),
    ("WINCH", 28),
];

/// The number of a signal, with or without SIG.
pub fn number(name: &str) -> Option<i32> {
    let bare = name.trim_start_matches("SIG");
    SIGNALS.iter().find(|(known, _)| *known == bare).map(|(_, number)| *number)
}

/// The name of a signal, without SIG; its number where it has none here.
pub fn name(number: i32) -> String {
    let known = SIGNALS.iter().find(|(_, known)| *known == number);
    known.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_belong_together() {
        for (text, signal) in SIGNALS {
            assert_eq!(number(text), Some(signal));
            assert_eq!(number(&format!("SIG{text}")), Some(signal));
            assert_eq!(name(signal), text);
        }
        assert_eq!((number("term"), name(64)), (None, "64".to_owned()));
    }
}
