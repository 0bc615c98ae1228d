//! Commands and shells in a node. The command's session ends with the stream.

use super::{In, Out, failed};
use lace_machine::{Error, ExecHandle, ExecSpec, Exit, NodeHandle};
use lace_model::Problem;
use lace_wire::stream::{STREAM_FRAME_BYTES_MAX, StreamFrame, TerminalSize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::task::JoinSet;

/// After the end of a command, what it left in its pipes is read so long: a child of its own may hold them open.
const DRAIN: Duration = Duration::from_secs(1);
/// The socket never blocks; the bound is only asked for by the interface.
const NOT_AT_ALL: Duration = Duration::from_millis(1);
/// Login shells, the better one first.
const SHELLS: [&str; 2] = ["/bin/bash", "/bin/sh"];

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

type Writer = Box<dyn AsyncWrite + Send + Unpin>;
type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// A running command with our ends of its descriptors.
struct Running {
    handle: ExecHandle,
    input: Option<Writer>,
    output: Reader,
    errors: Option<Reader>,
    terminal: Option<OwnedFd>,
}

/// Runs the command until it ends or the stream is closed, which kills it.
pub async fn serve(node: NodeHandle, wish: Wish, from: &mut In, out: &Out) -> Result<(), Problem> {
    let Running { handle, input, output, errors, terminal } = start(node, wish).await?;
    let mut pumps = JoinSet::new();
    pumps.spawn(pump(output, out.clone(), StreamFrame::Stdout));
    if let Some(errors) = errors {
        pumps.spawn(pump(errors, out.clone(), StreamFrame::Stderr));
    }
    let mut ending = Ending::of(handle).map_err(failed)?;
    let exit = tokio::select! {
        exit = ending.exit() => exit.map_err(failed)?,
        () = feed(from, input, terminal) => return Ok(()),
    };
    let drained = async { while pumps.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN, drained).await;
    out.send(StreamFrame::Exit(status_of(&exit))).await;
    Ok(())
}

fn status_of(exit: &Exit) -> i32 {
    exit.code.or(exit.signal.map(|signal| 128 + signal)).unwrap_or(255)
}

async fn start(node: NodeHandle, wish: Wish) -> Result<Running, Problem> {
    let started = tokio::task::spawn_blocking(move || start_now(&node, &wish)).await;
    let begun = started.map_err(failed)?.map_err(failed)?;
    begun.into_async().map_err(failed)
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
struct Ending {
    handle: ExecHandle,
    ready: UnixStream,
}

impl Ending {
    fn of(handle: ExecHandle) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(handle.as_fd(), true)?;
        let socket = std::os::unix::net::UnixStream::from(handle.as_fd().try_clone_to_owned()?);
        Ok(Self { handle, ready: UnixStream::from_std(socket)? })
    }

    async fn exit(&mut self) -> Result<Exit, String> {
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

/// Frames from the controller go in; returns when the stream is closed.
async fn feed(from: &mut In, mut input: Option<Writer>, terminal: Option<OwnedFd>) {
    while let Some(frame) = from.next().await {
        match frame {
            StreamFrame::Stdin(bytes) => {
                let Some(writer) = &mut input else { continue };
                let written = async {
                    writer.write_all(&bytes).await?;
                    writer.flush().await
                };
                if written.await.is_err() {
                    input = None;
                }
            }
            // A terminal has no end of input but its own end-of-file character.
            StreamFrame::StdinEnd if terminal.is_none() => input = None,
            StreamFrame::Resize(size) => {
                if let Some(terminal) = &terminal {
                    let (ws_row, ws_col) = (size.rows, size.columns);
                    let size = rustix::termios::Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
                    let _ = rustix::termios::tcsetwinsize(terminal, size);
                }
            }
            _ => {}
        }
    }
}

/// Output goes to the controller until its end. Also used for archives.
pub async fn pump(mut reader: impl AsyncRead + Unpin, out: Out, frame: impl Fn(bytes::Bytes) -> StreamFrame) {
    let mut buffer = bytes::BytesMut::new();
    loop {
        buffer.reserve(STREAM_FRAME_BYTES_MAX);
        let mut some = (&mut reader).take(STREAM_FRAME_BYTES_MAX as u64);
        match some.read_buf(&mut buffer).await {
            // The master of a terminal says EIO when the other side is closed.
            Ok(0) | Err(_) => return,
            Ok(_) => {
                if !out.send(frame(buffer.split().freeze())).await {
                    return;
                }
            }
        }
    }
}
