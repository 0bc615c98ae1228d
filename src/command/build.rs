//! Build commands: lists of words, run one after the other without a shell, their output passed on.

use super::Session;
use lace_model::manifest::ReleaseSource;
use lace_model::{Code, Problem};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::AsyncReadExt;

/// Last lines of output that a failed step shows.
const LINES_SHOWN: usize = 20;
/// Most bytes of a step's output that are kept.
const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// Runs the build steps of a source; gives the path that shall be uploaded.
pub async fn run(s: &mut Session, dir: &Path, source: &ReleaseSource) -> Result<PathBuf, Problem> {
    let path = dir.join(&source.path);
    for step in &source.build {
        one(s, &path, step).await?;
    }
    let made = source.output.as_ref().map_or_else(|| path.clone(), |output| path.join(output));
    if made.exists() {
        return Ok(made);
    }
    let hint = match source.build.is_empty() {
        true => "name the steps that make it: release = { path = \".\", build = [[...]] }",
        false => "the build steps ended well without making it: mend `output`",
    };
    Err(Problem::not_found(format_args!("release at {}", made.display())).hint(hint))
}

/// Runs one step.
pub async fn one(s: &mut Session, dir: &Path, step: &[String]) -> Result<(), Problem> {
    let Some((program, words)) = step.split_first() else { return Ok(()) };
    let shown = step.join(" ");
    s.out.note(format!("build: {shown}"));
    let mut child = tokio::process::Command::new(program)
        .args(words)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| {
            Problem::new(Code::Error, format!("cannot run the build step `{shown}`: {e}"))
                .hint(format!("is {program} installed on this machine?"))
        })?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (out, err, status) = tokio::join!(collect(out), collect(err), child.wait());
    let failed = match status {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => status.to_string(),
        Err(e) => e.to_string(),
    };
    Err(Problem::new(Code::Error, format!("the build step `{shown}` failed: {failed}"))
        .details(last_lines(&out, &err)))
}

async fn collect(from: Option<impl tokio::io::AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let Some(mut from) = from else { return bytes };
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        bytes.extend_from_slice(&buffer[..n]);
        if bytes.len() > 2 * OUTPUT_BYTES_MAX {
            bytes.drain(..OUTPUT_BYTES_MAX);
        }
    }
    bytes
}

fn last_lines(out: &[u8], err: &[u8]) -> Vec<String> {
    let text = format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err));
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES_SHOWN)..].iter().map(ToString::to_string).collect()
}
