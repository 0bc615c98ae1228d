//! The agent's side of the nursery: started when the first node is, and again when it is gone.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use crate::boot::{BUILD, Line, Plan, order};
use crate::sys;
use crate::sys::process::wait_readable;
use crate::sys::step::{Step, StepError};

/// The nursery of a machine.
pub(super) struct Nursery {
    program: PathBuf,
    running: Mutex<Option<Running>>,
}

struct Running {
    orders: UnixStream,
    process: Child,
}

impl Nursery {
    /// Nothing runs yet. The program has the role `pid1`.
    pub fn new(program: Option<PathBuf>) -> Self {
        Nursery {
            program: program.unwrap_or_else(|| PathBuf::from("/proc/self/exe")),
            running: Mutex::default(),
        }
    }

    /// Has a helper build a node. The notes of its report, when its process runs.
    pub fn build(&self, plan: &Plan) -> Result<Vec<String>, StepError> {
        let (plan_end, to_helper) = sys::pipe().step("pipe")?;
        let (from_helper, report_end) = sys::pipe().step("pipe")?;
        self.order(&plan_end, &report_end)?;
        drop((plan_end, report_end));
        let text = serde_json::to_vec(plan).unwrap_or_default();
        let sent = std::fs::File::from(to_helper).write_all(&text).step("send plan to helper");
        read_report(from_helper).and_then(|notes| sent.map(|()| notes))
    }

    fn order(&self, plan: &OwnedFd, report: &OwnedFd) -> Result<(), StepError> {
        let mut running = self.running.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(nursery) = running.as_mut() {
            if order(nursery.orders.as_fd(), plan.as_fd(), report.as_fd()).is_ok() {
                return Ok(());
            }
            let _ = nursery.process.wait();
        }
        let program = self.program.display();
        let nursery = self.spawn().step(format!("run {program} pid1 nursery"))?;
        let sent = order(nursery.orders.as_fd(), plan.as_fd(), report.as_fd());
        *running = Some(nursery);
        sent.step("order a helper")
    }

    fn spawn(&self) -> io::Result<Running> {
        let (orders, theirs) = UnixStream::pair()?;
        let process = Command::new(&self.program)
            .args(["pid1", "nursery"])
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Running { orders, process })
    }
}

impl Drop for Running {
    /// The end of its orders ends it.
    fn drop(&mut self) {
        let _ = self.orders.shutdown(std::net::Shutdown::Both);
        let _ = self.process.wait();
    }
}

/// Reads to the end, which comes when helper and PID 1 are done with it.
fn read_report(pipe: OwnedFd) -> Result<Vec<String>, StepError> {
    if !wait_readable(pipe.as_fd(), BUILD).step("wait for report")? {
        return Err(StepError::plain("the helper took longer than 60 s"));
    }
    let mut outcome = Err(StepError::plain("the helper ended without a report"));
    for line in BufReader::new(std::fs::File::from(pipe)).lines() {
        let line = line.step("read report")?;
        match serde_json::from_str(&line) {
            Ok(Line::Running { notes }) if outcome.is_err() => outcome = Ok(notes),
            Ok(Line::Failed { error }) => return Err(error),
            _ => {}
        }
    }
    outcome
}
