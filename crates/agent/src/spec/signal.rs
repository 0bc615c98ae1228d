//! Signals by name.

/// The number of a signal that may stop a process, with or without SIG.
pub fn number(name: &str) -> Result<i32, String> {
    let number = match name.trim_start_matches("SIG") {
        "HUP" => libc::SIGHUP,
        "INT" => libc::SIGINT,
        "QUIT" => libc::SIGQUIT,
        "KILL" => libc::SIGKILL,
        "USR1" => libc::SIGUSR1,
        "USR2" => libc::SIGUSR2,
        "TERM" => libc::SIGTERM,
        "WINCH" => libc::SIGWINCH,
        _ => {
            let known = "TERM, INT, QUIT, HUP, USR1, USR2, WINCH, KILL";
            return Err(format!("stop signal {name:?} is not known: write one of {known}"));
        }
    };
    Ok(number)
}
