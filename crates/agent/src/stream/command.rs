//! A command in a node: started with pipes or a terminal, waited for without a thread, killed when dropped.

use super::exec::DRAIN;
use super::failed;
use lace_machine::{Error, ExecHandle, ExecSpec, Exit, NodeHandle};
use lace_model::Problem;
use lace_wire::stream::TerminalSize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::task::JoinSet;

/// The socket never blocks; the bound is only asked for by the interface.
const NOT_AT_ALL: Duration = Duration::from_millis(1);
/// Login shells, the better one first.
const SHELLS: [&str; 2] = ["/bin/bash", "/bin/sh"];
/// Kept of a command's words.
const SAID_BYTES_MAX: usize = 16 << 10;

/// What shall run.
pub struct Wish {
    /// Words; none for the login shell.
    pub argv: Vec<String>,
    /// More environment.
    pub env: BTreeMap<String, String>,
    /// With a terminal.
    pub terminal: Option<TerminalSize>,
    /// Does stdin come?
    pub stdin: bool,
}

/// Our end of its input.
pub type Writer = Box<dyn AsyncWrite + Send + Unpin>;
/// Our end of its output.
pub type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// A running command with our ends of its descriptors.
pub struct Running {
    /// The command.
    pub handle: ExecHandle,
    /// Its stdin, where it comes.
    pub input: Option<Writer>,
    /// Its stdout, or its terminal.
    pub output: Reader,
    /// Its stderr, where it is apart.
    pub errors: Option<Reader>,
    /// Its terminal.
    pub terminal: Option<OwnedFd>,
}

/// Starts a command.
pub async fn start(node: NodeHandle, wish: Wish) -> Result<Running, NotStarted> {
    let program = wish.argv.first().cloned().unwrap_or_default();
    let started = tokio::task::spawn_blocking(move || start_now(&node, &wish)).await;
    let begun = started.map_err(failed)?.map_err(|error| NotStarted::of(&program, error))?;
    Ok(begun.into_async().map_err(failed)?)
}

/// Why a command did not start.
pub enum NotStarted {
    /// Its program is missing or cannot be executed: the status is what a shell would give (POSIX, "Exit Status for
    /// Commands").
    NoProgram {
        /// 127 or 126.
        status: i32,
        /// In words.
        message: String,
    },
    /// Anything else.
    Problem(Problem),
}

impl NotStarted {
    fn of(program: &str, error: Error) -> Self {
        let (status, what) = match error.exec_errno() {
            Some("ENOENT" | "ENOTDIR") => (127, "not found in the node".to_owned()),
            Some(errno) => (126, format!("cannot be executed: {errno}")),
            None => return Self::Problem(failed(error)),
        };
        Self::NoProgram { status, message: format!("{program}: {what}") }
    }
}

impl From<Problem> for NotStarted {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<NotStarted> for Problem {
    fn from(not: NotStarted) -> Self {
        match not {
            NotStarted::NoProgram { message, .. } => failed(message),
            NotStarted::Problem(problem) => problem,
        }
    }
}

/// A command that runs, before its descriptors are handed to the runtime.
struct Begun {
    handle: ExecHandle,
    pipes: Option<(Option<io::PipeWriter>, io::PipeReader, io::PipeReader)>,
}

fn start_now(node: &NodeHandle, wish: &Wish) -> Result<Begun, Error> {
    let mut spec = ExecSpec { argv: wish.argv.clone(), env: wish.env.clone(), ..ExecSpec::default() };
    spec.pty = wish.terminal.map(|size| (size.rows, size.columns));
    if !wish.argv.is_empty() {
        return begin(node, &spec, wish.stdin);
    }
    let mut refused = None;
    for shell in SHELLS {
        spec.argv = vec![shell.to_owned(), "-l".to_owned()];
        match begin(node, &spec, wish.stdin) {
            Err(Error::Refused { id, message }) => refused = Some(Error::Refused { id, message }),
            other => return other,
        }
    }
    Err(refused.unwrap_or_else(|| Error::Unknown(node.id().to_owned())))
}

fn begin(node: &NodeHandle, spec: &ExecSpec, stdin: bool) -> Result<Begun, Error> {
    let control = |cause| Error::Control { id: node.id().to_owned(), cause };
    let null = File::options().read(true).write(true).open("/dev/null").map_err(control)?;
    if spec.pty.is_some() {
        let handle = node.exec(spec, [null.as_fd(), null.as_fd(), null.as_fd()])?;
        return Ok(Begun { handle, pipes: None });
    }
    let (input_theirs, input) = io::pipe().map_err(control)?;
    let (output, output_theirs) = io::pipe().map_err(control)?;
    let (errors, errors_theirs) = io::pipe().map_err(control)?;
    let stdin_theirs = if stdin { input_theirs.as_fd() } else { null.as_fd() };
    let handle = node.exec(spec, [stdin_theirs, output_theirs.as_fd(), errors_theirs.as_fd()])?;
    Ok(Begun { handle, pipes: Some((stdin.then_some(input), output, errors)) })
}

impl Begun {
    fn into_async(mut self) -> io::Result<Running> {
        let Some((input, output, errors)) = self.pipes else {
            let terminal =
                self.handle.terminal.take().ok_or_else(|| io::Error::other("the node gave no terminal"))?;
            // Two files: one may read while the other writes. Each blocks a thread of the pool, not the runtime.
            let reader = tokio::fs::File::from_std(terminal.try_clone()?.into());
            let writer = tokio::fs::File::from_std(terminal.try_clone()?.into());
            return Ok(Running {
                handle: self.handle,
                input: Some(Box::new(writer)),
                output: Box::new(reader),
                errors: None,
                terminal: Some(terminal),
            });
        };
        let input = input.map(|pipe| pipe::Sender::from_owned_fd(pipe.into())).transpose()?;
        Ok(Running {
            handle: self.handle,
            input: input.map(|pipe| Box::new(pipe) as Writer),
            output: Box::new(pipe::Receiver::from_owned_fd(output.into())?),
            errors: Some(Box::new(pipe::Receiver::from_owned_fd(errors.into())?)),
            terminal: None,
        })
    }
}

/// Waits for the end of a command without a thread.
pub struct Ending {
    handle: ExecHandle,
    ready: UnixStream,
}

impl Ending {
    /// Of a command that was started.
    pub fn of(handle: ExecHandle) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(handle.as_fd(), true)?;
        let socket = std::os::unix::net::UnixStream::from(handle.as_fd().try_clone_to_owned()?);
        Ok(Self { handle, ready: UnixStream::from_std(socket)? })
    }

    /// How it ended. May be dropped and called again.
    pub async fn exit(&mut self) -> Result<Exit, String> {
        // A quick command's end may have come with the answer to its start: the socket will not say so again.
        match self.handle.wait(Some(NOT_AT_ALL)) {
            Err(Error::Timeout(..)) => {}
            ended => return ended.map_err(|e| e.to_string()),
        }
        loop {
            let Self { handle, ready } = self;
            let looked = ready.try_io(Interest::READABLE, || match handle.wait(Some(NOT_AT_ALL)) {
                Ok(exit) => Ok(Ok(exit)),
                Err(Error::Timeout(..)) => Err(io::ErrorKind::WouldBlock.into()),
                Err(error) => Ok(Err(error.to_string())),
            });
            match looked {
                Ok(exit) => return exit,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready.readable().await.map_err(|e| e.to_string())?;
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// Runs a command to its end and keeps the last words of both outputs. Dropped before, it kills the command.
pub async fn output(node: NodeHandle, wish: Wish) -> Result<(Exit, Vec<u8>), Problem> {
    let Running { handle, output, errors, .. } = start(node, wish).await?;
    let said = Arc::new(Mutex::new(Vec::new()));
    let mut readers = JoinSet::new();
    for reader in std::iter::once(output).chain(errors) {
        readers.spawn(keep(reader, said.clone()));
    }
    let exit = Ending::of(handle).map_err(failed)?.exit().await.map_err(failed)?;
    let drained = async { while readers.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, drained).await;
    let said = std::mem::take(&mut *said.lock().unwrap_or_else(PoisonError::into_inner));
    Ok((exit, said))
}

/// Keeps the end of what is said.
async fn keep(mut reader: Reader, said: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = reader.read(&mut buffer).await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend_from_slice(&buffer[..length]);
        let surplus = said.len().saturating_sub(SAID_BYTES_MAX);
        said.drain(..surplus);
    }
}
