//! What shellcheck says of scripts, where it is installed.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Files that are looked at together, in one process.
const FILES_MAX: usize = 200;
/// It looks at hundreds of scripts within this time.
const TIME_MAX: Duration = Duration::from_secs(60);
/// Lines that are shown.
const LINES_MAX: usize = 100;

/// What is wrong with these files of a directory, a line each.
///
/// # Errors
/// Why nothing can be said.
pub(super) async fn run(dir: &Path, files: &[String]) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for some in files.chunks(FILES_MAX) {
        lines.extend(one(dir, some).await?);
    }
    lines.truncate(LINES_MAX);
    Ok(lines)
}

async fn one(dir: &Path, files: &[String]) -> Result<Vec<String>, String> {
    let command = Command::new("shellcheck")
        .args(["--format=gcc", "--severity=warning", "--norc", "--"])
        .args(files)
        .current_dir(dir)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ran = tokio::time::timeout(TIME_MAX, command).await;
    let ran = ran.map_err(|_| format!("shellcheck was not done within {} s", TIME_MAX.as_secs()))?;
    let ran = ran.map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            "the scripts were not looked at: shellcheck is not installed (Debian: apt install shellcheck)"
                .into()
        }
        _ => format!("the scripts were not looked at: shellcheck: {e}"),
    })?;
    match ran.status.code() {
        Some(0) => Ok(Vec::new()),
        Some(1) => Ok(String::from_utf8_lossy(&ran.stdout).lines().map(str::to_owned).collect()),
        _ => Err(format!("shellcheck failed: {}", String::from_utf8_lossy(&ran.stderr).trim_end())),
    }
}
