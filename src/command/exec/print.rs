//! Output of many nodes: whole lines with the node's name before them, or JSON.

use super::{From, STATUS_OF_LACE_ITSELF};
use crate::command::output::{Format, Output};
use lace_model::{Code, Problem};
use lace_wire::stream::StreamFrame;
use serde::Serialize;

/// Longest line that is kept together.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Most output of one node in a JSON answer; the end is kept.
const KEPT_BYTES_MAX: usize = 4 << 20;

/// How the command ended in one node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// The node.
    pub node: String,
    /// Its status, where it ran.
    pub status: Option<i32>,
    /// Why it did not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// What it wrote.
    pub stdout: String,
    /// What it wrote to the error output.
    pub stderr: String,
}

impl Ended {
    /// The exit status that it stands for.
    pub fn exit(&self) -> u8 {
        match self.status {
            Some(status) => u8::try_from(status).unwrap_or(u8::MAX),
            None => STATUS_OF_LACE_ITSELF,
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    node: &'a str,
    stream: &'static str,
    text: &'a str,
}

#[derive(Default)]
struct One {
    ended: Ended,
    lines: [LineCutter; 2],
    kept: [Vec<u8>; 2],
}

/// Prints what comes from the nodes.
pub struct Printer {
    nodes: Vec<One>,
    width: usize,
}

impl Printer {
    /// For nodes with these names.
    pub fn new(names: Vec<String>) -> Self {
        let width = names.iter().map(String::len).max().unwrap_or(0);
        let one = |node| One { ended: Ended { node, ..Ended::default() }, ..One::default() };
        Self { nodes: names.into_iter().map(one).collect(), width }
    }

    /// Takes one frame of one node.
    pub fn take(&mut self, out: &mut Output, index: usize, from: From) {
        let Some(one) = self.nodes.get_mut(index) else { return };
        match from {
            StreamFrame::Stdout(bytes) => self.bytes(out, index, false, &bytes),
            StreamFrame::Stderr(bytes) => self.bytes(out, index, true, &bytes),
            StreamFrame::Exit(status) => one.ended.status = Some(status),
            StreamFrame::Failed(problem) => one.ended.problem = Some(problem),
            _ => {}
        }
    }

    fn bytes(&mut self, out: &mut Output, index: usize, error: bool, bytes: &[u8]) {
        let alone = self.nodes.len() == 1;
        match out.format() {
            Format::Table if alone && error => out.error_bytes(bytes),
            Format::Table if alone => out.bytes(bytes),
            Format::Json => {
                let kept = &mut self.nodes[index].kept[usize::from(error)];
                kept.extend_from_slice(bytes);
                let excess = kept.len().saturating_sub(KEPT_BYTES_MAX);
                kept.drain(..excess);
            }
            _ => {
                for line in self.nodes[index].lines[usize::from(error)].push(bytes) {
                    self.line(out, index, error, &line);
                }
            }
        }
    }

    fn line(&self, out: &mut Output, index: usize, error: bool, line: &str) {
        let node = self.nodes[index].ended.node.as_str();
        if out.format() == Format::Jsonl {
            let stream = if error { "stderr" } else { "stdout" };
            return out.each(&Line { node, stream, text: line }, |_| String::new());
        }
        let text = format!("{node:width$} | {line}", width = self.width);
        if error { out.warn(text) } else { out.line(text) }
    }

    /// Prints lines that have no end, and in JSON lines how each ended.
    pub fn flush(&mut self, out: &mut Output) {
        for index in 0..self.nodes.len() {
            for error in [false, true] {
                if let Some(line) = self.nodes[index].lines[usize::from(error)].rest() {
                    self.line(out, index, error, &line);
                }
            }
            if out.format() == Format::Jsonl {
                let ended = &self.nodes[index].ended;
                let last = serde_json::json!({
                    "node": ended.node, "status": ended.status, "problem": ended.problem,
                });
                out.each(&last, |_| String::new());
            }
        }
    }

    /// How it ended in each node.
    pub fn ended(self) -> Vec<Ended> {
        let ended = |one: One| {
            let [stdout, stderr] = one.kept.map(|b| String::from_utf8_lossy(&b).into_owned());
            let told = one.ended.status.is_some() || one.ended.problem.is_some();
            let problem = one.ended.problem.or_else(|| (!told).then(untold));
            Ended { stdout, stderr, problem, ..one.ended }
        };
        self.nodes.into_iter().map(ended).collect()
    }
}

fn untold() -> Problem {
    Problem::new(Code::NodeUnreachable, "the stream ended without a status")
}

/// Cuts bytes into lines.
#[derive(Clone, Debug, Default)]
pub struct LineCutter(Vec<u8>);

impl LineCutter {
    /// Takes bytes, gives the lines that they completed.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        self.0.extend_from_slice(bytes);
        let mut lines = Vec::new();
        while let Some(end) = self.0.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.0.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]).into_owned();
            lines.push(line.strip_suffix('\r').map(str::to_owned).unwrap_or(line));
        }
        if self.0.len() > LINE_BYTES_MAX {
            lines.extend(self.rest());
        }
        lines
    }

    /// What has no end yet.
    pub fn rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.0);
        (!rest.is_empty()).then(|| String::from_utf8_lossy(&rest).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole() {
        let mut cutter = LineCutter::default();
        assert_eq!(cutter.push(b"a\nb"), ["a"]);
        assert_eq!(cutter.push(b"c\r\n\n"), ["bc", ""]);
        assert_eq!(cutter.rest(), None);
        cutter.push(b"tail");
        assert_eq!(cutter.rest().as_deref(), Some("tail"));
    }
}
