//! PID 1 replaces its own executable; children, log, sockets and timers go on.
//!
//! The state goes through an in-memory file, descriptors are inherited. The new executable comes
//! as a descriptor from the host. It should be static: a dynamic one would be completed by the
//! loader and libraries that the *node* shows.

use std::io::{Read, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use serde::{Deserialize, Serialize};

use super::ballot::{Ballot, BallotEstate};
use super::log::Lines;
use super::process::{Main, StopPlan, Stream};
use super::serve::Client;
use super::session::ExecSession;
use super::supervisor::{Seat, Supervisor};
use crate::protocol::{Exit, Phase, Reply};
use crate::spec::{Isolation, ProcessSpec};
use crate::sys::step::{Step, StepError};
use crate::sys::{self, check};

/// What one build hands to the next. Only grows; every field has a default.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Estate {
    listener: RawFd,
    log_dir: RawFd,
    oom: Option<RawFd>,
    memory_bytes: Option<u64>,
    isolation: Isolation,
    user: Option<u32>,
    notes: Vec<String>,
    spec: Option<ProcessSpec>,
    phase: Option<Phase>,
    main: Option<MainEstate>,
    stop: Option<StopPlan>,
    failures: u32,
    restarts: u64,
    next_start: Option<u64>,
    last_exit: Option<Exit>,
    clients: Vec<ClientEstate>,
    sessions: Vec<ExecSession>,
    reexecs: u32,
    asked_by: Option<u64>,
    ballot: Option<BallotEstate>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct MainEstate {
    pid: i32,
    started_unix_ms: u64,
    started_ms: u64,
    kills_before: u64,
    streams: Vec<(RawFd, char)>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct ClientEstate {
    id: u64,
    socket: RawFd,
    subscribed: bool,
    waiting: bool,
    session: Option<i32>,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
}

/// Becomes the executable behind `program`; returns only the reason why that failed.
pub(super) fn replace(supervisor: &mut Supervisor, asked_by: usize, program: Option<OwnedFd>) -> StepError {
    let Some(program) = program else {
        return StepError::plain("re-exec: no executable came along");
    };
    match try_replace(supervisor, asked_by, &program) {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

fn try_replace(
    supervisor: &mut Supervisor,
    asked_by: usize,
    program: &OwnedFd,
) -> Result<std::convert::Infallible, StepError> {
    let asked_by = supervisor.clients[asked_by].id;
    for stream in supervisor.main.iter_mut().flat_map(|m| &mut m.streams) {
        stream.lines.finish(&mut supervisor.log);
    }
    let estate = take_stock(supervisor, asked_by);
    // SAFETY: constant string.
    let memory = unsafe { libc::memfd_create(c"lace-pid1".as_ptr(), 0) };
    let memory = sys::own(check(memory.into()).step("memfd")?);
    let mut file = std::fs::File::from(memory);
    let text = serde_json::to_vec(&estate).unwrap_or_default();
    file.write_all(&text).step("write memfd")?;
    file.rewind().step("rewind memfd")?;
    let kept = inherited(supervisor);
    set_all(&kept, false);
    let error = execute(program, file.as_raw_fd());
    set_all(&kept, true);
    Err(error)
}

fn take_stock(s: &Supervisor, asked_by: u64) -> Estate {
    let stream = |s: &Stream| (s.fd.as_raw_fd(), s.lines.mark());
    Estate {
        listener: s.listener.as_raw_fd(),
        log_dir: s.log.dir().as_raw_fd(),
        oom: s.oom.file().map(AsRawFd::as_raw_fd),
        memory_bytes: s.memory_bytes,
        isolation: s.isolation,
        user: s.user,
        notes: s.notes.clone(),
        spec: s.spec.clone(),
        phase: Some(s.phase),
        main: s.main.as_ref().map(|m| MainEstate {
            pid: m.pid,
            started_unix_ms: m.started_unix_ms,
            started_ms: m.started_ms,
            kills_before: m.kills_before,
            streams: m.streams.iter().map(stream).collect(),
        }),
        stop: s.stop.clone(),
        failures: s.failures,
        restarts: s.restarts,
        next_start: s.next_start,
        last_exit: s.last_exit.clone(),
        clients: s.clients.iter().map(client_estate).collect(),
        sessions: s.sessions.clone(),
        reexecs: s.reexecs + 1,
        asked_by: Some(asked_by),
        ballot: s.ballot.as_ref().map(Ballot::estate),
    }
}

fn client_estate(client: &Client) -> ClientEstate {
    ClientEstate {
        id: client.id,
        socket: client.socket.as_raw_fd(),
        subscribed: client.subscribed,
        waiting: client.waiting,
        session: client.session,
        inbox: client.inbox.clone(),
        outbox: client.outbox.clone(),
    }
}

fn inherited(s: &Supervisor) -> Vec<BorrowedFd<'_>> {
    let mut fds = vec![s.listener.as_fd(), s.log.dir().as_fd()];
    fds.extend(s.oom.file().map(AsFd::as_fd));
    fds.extend(s.ballot.iter().map(Ballot::socket));
    let streams = s.main.iter().flat_map(|m| &m.streams);
    fds.extend(streams.map(|stream| stream.fd.as_fd()));
    fds.extend(s.clients.iter().map(|c| c.socket.as_fd()));
    fds
}

fn set_all(fds: &[BorrowedFd], cloexec: bool) {
    for fd in fds {
        let _ = sys::set_cloexec(*fd, cloexec);
    }
}

fn execute(program: &OwnedFd, memory: RawFd) -> StepError {
    let number = std::ffi::CString::new(memory.to_string()).unwrap_or_default();
    let argv = [c"lace".as_ptr(), c"pid1".as_ptr(), c"resume".as_ptr(), number.as_ptr(), std::ptr::null()];
    let env = [std::ptr::null::<libc::c_char>()];
    // SAFETY: both arrays are null-terminated and outlive the call.
    let result = check(unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    });
    match result.step("re-exec") {
        Err(error) => error,
        Ok(_) => StepError::plain("re-exec returned"),
    }
}

/// In the new executable: takes over and serves on.
pub(super) fn resume(number: &str) -> ! {
    match number.parse().map(take_over) {
        Ok(Ok(supervisor)) => supervisor.run(),
        // Nobody is left to tell; the agent sees the node end.
        _ => std::process::exit(70),
    }
}

fn take_over(memory: RawFd) -> Result<Supervisor, StepError> {
    let mut text = Vec::new();
    // SAFETY: the number was inherited from the former executable for us alone.
    let mut file = std::fs::File::from(unsafe { sys::inherit(memory) });
    file.read_to_end(&mut text).step("read state")?;
    let estate: Estate =
        serde_json::from_slice(&text).map_err(|e| StepError::plain(format!("state: {e}")))?;
    // SAFETY: all numbers in the estate were inherited for us alone.
    let take = |fd: RawFd| unsafe { sys::inherit(fd) };
    let mut supervisor = Supervisor::new(Seat {
        listener: take(estate.listener),
        log_dir: take(estate.log_dir),
        oom: estate.oom.map(take),
        memory_bytes: estate.memory_bytes,
        isolation: estate.isolation,
        user: estate.user,
        notes: estate.notes,
        ballot: estate.ballot.map(|ballot| Ballot::inherited(ballot, take)),
    })?;
    if let Some(spec) = &estate.spec {
        supervisor.log.set_bounds(spec.log_bytes_max, spec.log_files);
    }
    supervisor.spec = estate.spec;
    supervisor.phase = estate.phase.unwrap_or(Phase::Stopped);
    supervisor.main = estate.main.map(|m| Main {
        pid: m.pid,
        started_unix_ms: m.started_unix_ms,
        started_ms: m.started_ms,
        kills_before: m.kills_before,
        streams: m.streams.into_iter().map(|(fd, mark)| stream(take(fd), mark)).collect(),
    });
    supervisor.stop = estate.stop;
    supervisor.failures = estate.failures;
    supervisor.restarts = estate.restarts;
    supervisor.next_start = estate.next_start;
    supervisor.last_exit = estate.last_exit;
    supervisor.clients = estate
        .clients
        .into_iter()
        .map(|c| {
            let socket = take(c.socket);
            client(c, socket)
        })
        .collect();
    supervisor.sessions = estate.sessions;
    supervisor.reexecs = estate.reexecs;
    set_all(&inherited(&supervisor), true);
    let asked_by = estate.asked_by;
    if let Some(client) = supervisor.clients.iter_mut().find(|c| Some(c.id) == asked_by) {
        client.send(&Reply::Done);
    }
    // A child may have ended in between: its SIGCHLD is gone, its zombie is not.
    supervisor.reap();
    Ok(supervisor)
}

fn stream(fd: OwnedFd, mark: char) -> Stream {
    let lines = Lines::new(mark);
    Stream { fd, lines }
}

fn client(mut estate: ClientEstate, socket: OwnedFd) -> Client {
    let mut client = Client::new(estate.id, socket);
    client.subscribed = estate.subscribed;
    client.waiting = estate.waiting;
    client.session = estate.session;
    client.inbox = std::mem::take(&mut estate.inbox);
    client.outbox = std::mem::take(&mut estate.outbox);
    client
}
