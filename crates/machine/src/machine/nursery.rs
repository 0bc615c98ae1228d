//! The agent's side of the nursery: started when the first node is, and again when it is gone.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use crate::boot::{BUILD, Line, Plan, order};
use crate::sys;
use crate::sys::process::wait_readable;
use crate::sys::step::{Step, StepError};

/// An order that goes to a nursery which is just being killed is lost; so often it is given.
const ORDERS_LOST_MAX: u32 = 3;

/// The notes of a node that runs, or the step that failed.
type Report = Result<Vec<String>, StepError>;

/// The nursery of a machine.
pub(super) struct Nursery {
    program: PathBuf,
    running: Mutex<Option<Running>>,
}

struct Running {
    /// How many there were before.
    number: u64,
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
        for _ in 0..ORDERS_LOST_MAX {
            let (number, outcome) = self.try_build(plan)?;
            match outcome {
                Some(outcome) => return outcome,
                // Nobody took it, or who took it was killed before it forked.
                None if self.is_gone(number) => {}
                None => break,
            }
        }
        Err(StepError::plain("the helper ended without a report"))
    }

    /// Which nursery was asked, and what its helper said, if anything.
    fn try_build(&self, plan: &Plan) -> Result<(u64, Option<Report>), StepError> {
        let (plan_end, to_helper) = sys::pipe().step("pipe")?;
        let (from_helper, report_end) = sys::pipe().step("pipe")?;
        let number = self.order(&plan_end, &report_end)?;
        drop((plan_end, report_end));
        let text = serde_json::to_vec(plan).unwrap_or_default();
        // A helper that cannot be told says nothing either.
        let _ = std::fs::File::from(to_helper).write_all(&text);
        Ok((number, read_report(from_helper)?))
    }

    /// Has that nursery ended? Its end of the socket closes before its pipes do.
    fn is_gone(&self, number: u64) -> bool {
        let running = self.running.lock().unwrap_or_else(|e| e.into_inner());
        let hung_up = |r: &Running| wait_readable(r.orders.as_fd(), Duration::ZERO).unwrap_or(true);
        running.as_ref().is_none_or(|r| r.number != number || hung_up(r))
    }

    fn order(&self, plan: &OwnedFd, report: &OwnedFd) -> Result<u64, StepError> {
        let mut running = self.running.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(nursery) = running.as_mut() {
            if order(nursery.orders.as_fd(), plan.as_fd(), report.as_fd()).is_ok() {
                return Ok(nursery.number);
            }
            let _ = nursery.process.wait();
        }
        let number = running.as_ref().map_or(0, |nursery| nursery.number + 1);
        let program = self.program.display();
        let nursery = self.spawn(number).step(format!("run {program} pid1 nursery"))?;
        let sent = order(nursery.orders.as_fd(), plan.as_fd(), report.as_fd());
        *running = Some(nursery);
        sent.step("order a helper").map(|()| number)
    }

    fn spawn(&self, number: u64) -> io::Result<Running> {
        let (orders, theirs) = UnixStream::pair()?;
        let process = Command::new(&self.program)
            .args(["pid1", "nursery"])
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Running { number, orders, process })
    }
}

impl Drop for Running {
    /// The end of its orders ends it.
    fn drop(&mut self) {
        let _ = self.orders.shutdown(std::net::Shutdown::Both);
        let _ = self.process.wait();
    }
}

/// Reads to the end, which comes when helper and PID 1 are done with it. Nothing where neither said anything.
fn read_report(pipe: OwnedFd) -> Result<Option<Report>, StepError> {
    if !wait_readable(pipe.as_fd(), BUILD).step("wait for report")? {
        return Err(StepError::plain("the helper took longer than 60 s"));
    }
    let mut outcome = None;
    for line in BufReader::new(std::fs::File::from(pipe)).lines() {
        let line = line.step("read report")?;
        match serde_json::from_str(&line) {
            Ok(Line::Running { notes }) => outcome = Some(Ok(notes)),
            Ok(Line::Failed { error }) => return Ok(Some(Err(error))),
            Err(_) => {}
        }
    }
    Ok(outcome)
}
