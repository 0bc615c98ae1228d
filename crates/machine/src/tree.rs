//! Files in and out of a node.
//!
//! A `tar` runs inside the node as one of its commands: it sees the node's root and nothing else,
//! so no link can lead out of it. A node without `tar` has no copying; image `host` has it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use crate::client::NodeHandle;
use crate::error::{Error, Result};
use crate::protocol::Exit;
use crate::spec::ExecSpec;

impl NodeHandle {
    /// Writes a file or directory as a tar stream (names relative to its parent) to a descriptor.
    ///
    /// # Errors
    /// [`Error::Refused`] with tar's words.
    pub fn read_tree(&self, path: &str, to: BorrowedFd) -> Result<()> {
        let (parent, name) = split(path)?;
        let null = open_null(self)?;
        let words = ["tar", "--create", "--file=-", "--directory", parent, "--", name];
        self.run_tar(&words, null.as_fd(), to)
    }

    /// Unpacks a tar stream below a directory of the node, which is made when absent. Owners in
    /// the stream are taken as ids inside of the node when `owners`, else all is root's.
    ///
    /// # Errors
    /// [`Error::Refused`] with tar's words.
    pub fn write_tree(&self, directory: &str, from: BorrowedFd, owners: bool) -> Result<()> {
        let (made, _, words) = self.output(&root(&["mkdir", "-p", "--", directory]))?;
        self.expect_success(&made, &words)?;
        let owner = if owners { "--numeric-owner" } else { "--no-same-owner" };
        let words = ["tar", "--extract", "--file=-", owner, "--directory", directory];
        let null = open_null(self)?;
        self.run_tar(&words, from, null.as_fd())
    }

    fn run_tar(&self, words: &[&str], input: BorrowedFd, output: BorrowedFd) -> Result<()> {
        let failed = |cause| Error::Control { id: self.id().to_owned(), cause };
        let (mut err, err_writer) = io::pipe().map_err(failed)?;
        let mut handle = self.exec(&root(words), [input, output, err_writer.as_fd()])?;
        drop(err_writer);
        let mut words = Vec::new();
        let mut bounded = io::Read::take(&mut err, 64 << 10);
        io::Read::read_to_end(&mut bounded, &mut words).map_err(failed)?;
        drop(err);
        let exit = handle.wait(None)?;
        self.expect_success(&exit, &words)
    }

    fn expect_success(&self, exit: &Exit, words: &[u8]) -> Result<()> {
        if exit.code == Some(0) {
            return Ok(());
        }
        let words = String::from_utf8_lossy(words);
        Err(Error::Refused {
            id: self.id().to_owned(),
            message: format!("copying failed ({}): {}", exit.reason, words.trim()),
        })
    }
}

fn root(words: &[&str]) -> ExecSpec {
    ExecSpec {
        user: Some("0:0".to_owned()),
        cwd: Some("/".to_owned()),
        ..ExecSpec::new(words.iter().copied())
    }
}

fn split(path: &str) -> Result<(&str, &str)> {
    let path = path.trim_end_matches('/');
    match path.rsplit_once('/') {
        Some((_, "" | "." | "..")) | None => {
            Err(Error::invalid("path", "must be absolute and name something"))
        }
        Some(("", name)) => Ok(("/", name)),
        Some(parts) => Ok(parts),
    }
}

fn open_null(node: &NodeHandle) -> Result<std::fs::File> {
    let file = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null");
    file.map_err(|cause| Error::Control { id: node.id().to_owned(), cause })
}
