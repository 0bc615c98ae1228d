//! The end that a person asks for (Ctrl-C, SIGTERM) while a story is told by commands.

use super::{Failure, asked_to_end};
use std::process::{Command, Output};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What was asked, and which command runs.
#[derive(Default)]
struct Now {
    asked: bool,
    running: Option<rustix::process::Pid>,
}

/// Knows whether the end was asked for, and ends the command that runs then.
#[derive(Default)]
pub struct End {
    now: Mutex<Now>,
    bell: Condvar,
}

/// The answer to a story that is cut off.
#[derive(Debug)]
pub struct CutOff;

impl std::fmt::Display for CutOff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it was asked to end")
    }
}

impl std::error::Error for CutOff {}

impl End {
    /// Listens for the signals from now on.
    pub fn listen() -> Result<Arc<Self>, Failure> {
        let end = Arc::new(Self::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Registered before anything is begun that would have to be cleaned up.
        let mut asked = Box::pin(asked_to_end());
        let this = end.clone();
        let (ready, listening) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            runtime.block_on(async {
                // The first poll installs the handlers.
                let first = futures::poll!(asked.as_mut());
                let _ = ready.send(());
                if first.is_pending() {
                    asked.await;
                }
            });
            this.ask();
        });
        listening.recv()?;
        Ok(end)
    }

    fn ask(&self) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.asked = true;
        if let Some(pid) = now.running {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::TERM);
        }
        self.bell.notify_all();
    }

    /// Runs a command that leads its own process group to its end, or until the end is asked for. One that is not to be
    /// `cut` is let go to its end: what it leaves half done could not be found again.
    ///
    /// # Errors
    /// [`CutOff`] where it was.
    pub fn run(&self, command: &mut Command, cut: bool) -> Result<Output, Failure> {
        let child = {
            let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
            if now.asked {
                return Err(CutOff.into());
            }
            let child = command.spawn()?;
            now.running = rustix::process::Pid::from_raw(child.id().cast_signed()).filter(|_| cut);
            child
        };
        let output = child.wait_with_output();
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.running = None;
        if now.asked { Err(CutOff.into()) } else { Ok(output?) }
    }

    /// Sleeps.
    ///
    /// # Errors
    /// [`CutOff`] where the end was asked for.
    pub fn sleep(&self, time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        while !now.asked {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            now = self.bell.wait_timeout(now, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Err(CutOff.into())
    }

    /// Waits until the end is asked for.
    pub fn wait(&self) {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.bell.wait_while(now, |now| !now.asked));
    }
}
