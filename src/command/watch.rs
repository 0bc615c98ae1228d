//! Waiting for what was asked for: an operation's progress, its end, its exit status.

use super::output::Progress;
use super::{Exit, Outcome, Session};
use lace_model::operation::{Operation, OperationState};
use lace_model::{Code, OperationId, Problem};
use lace_wire::api::Accepted;
use std::time::{Duration, Instant};

/// How long the controller is asked to wait at a time: progress is no older than this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches what was accepted to its end and says how it ended.
pub async fn accepted(s: &mut Session, accepted: Accepted) -> Outcome {
    let Some(id) = accepted.operation else {
        s.out.item(&accepted, |a| a.message.clone());
        return Ok(Exit::DONE);
    };
    let operation = operation(s, id).await?;
    s.out.item(&operation, |op| sentence(op, &accepted.message));
    Ok(Exit::DONE)
}

fn sentence(operation: &Operation, asked: &str) -> String {
    let message = if operation.message.is_empty() { asked } else { operation.message.as_str() };
    let mut text = message.to_owned();
    for line in &operation.details {
        text.push_str("\n  ");
        text.push_str(line);
    }
    text
}

/// Watches an operation to its good end.
///
/// # Errors
/// Its code where it ended badly; [`Code::StillWatching`] where the time was over before.
pub async fn operation(s: &mut Session, id: OperationId) -> Result<Operation, Problem> {
    let client = s.watching_client()?;
    let deadline = Instant::now() + s.timeout();
    let mut progress = Progress::new(s.out.live());
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let operation = tokio::select! {
            operation = client.operation(id, LOOK_EVERY.min(left)) => operation?,
            _ = tokio::signal::ctrl_c() => return Err(still(id, "stopped watching")),
        };
        if operation.state != OperationState::Running {
            return ended(operation);
        }
        if left.is_zero() {
            let message = format!("still {} {}", doing(&operation), operation.subject);
            return Err(still(id, &message).details(said(&operation)));
        }
        if let Some(line) = progress.at(&operation.message) {
            s.out.note(line);
        }
    }
}

fn still(id: OperationId, message: &str) -> Problem {
    Problem::new(Code::StillWatching, message).hint(format!("it goes on: lace op wait {id}"))
}

fn doing(operation: &Operation) -> String {
    format!("busy with {} of", operation.verb)
}

fn said(operation: &Operation) -> Option<String> {
    (!operation.message.is_empty()).then(|| operation.message.clone())
}

/// The operation, or the problem that it ended with.
pub fn ended(operation: Operation) -> Result<Operation, Problem> {
    let (code, message) = match operation.state {
        OperationState::Done | OperationState::Running => return Ok(operation),
        OperationState::Failed => (Code::Error, "failed"),
        OperationState::Cancelled => (Code::Conflict, "was cancelled"),
    };
    let what = format!("{} of {}", operation.verb, operation.subject);
    let message = match operation.message.as_str() {
        "" => format!("{what} {message}"),
        said => format!("{what}: {said}"),
    };
    let code = operation.code.unwrap_or(code);
    let hint = hint(code, &operation.subject);
    let problem = Problem::new(code, message).details(operation.details);
    Err(match hint {
        Some(hint) => problem.hint(hint),
        None => problem,
    })
}

fn hint(code: Code, subject: &str) -> Option<String> {
    match code {
        Code::FailedReverted => Some(format!("the former revision runs; see lace logs {subject}")),
        Code::FailedNotReverted => {
            Some(format!("see lace why {subject}; go back with lace rollback {subject}"))
        }
        Code::CannotPlace => Some(format!("lace why {subject} names every host and what it lacks")),
        _ => None,
    }
}
