//! Signals by name.

/// The number of a signal that may stop a process, with or without SIG.
pub fn number(name: &str) -> Result<i32, String> {
    let ends = |name: &&str| !matches!(*name, "CONT" | "STOP");
    lace_model::signal::number(name).ok_or_else(|| {
        let known: Vec<_> = lace_model::signal::SIGNALS.iter().map(|(name, _)| *name).filter(ends).collect();
        format!("stop signal {name:?} is not known: write one of {}", known.join(", "))
    })
}
