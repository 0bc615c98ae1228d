//! One service changed by what it is now, with nothing lost that somebody else changes meanwhile.

use super::spec::one;
use crate::command::family::about_service;
use crate::command::{Outcome, Session, watch};
use lace_model::application::ServiceSpec;
use lace_model::{Code, Digest, Problem, TargetPath};
use std::time::Duration;

/// So often a change is made anew over what others changed; then there is somebody who changes it all the time.
const TRIES_MAX: u64 = 30;
/// The pause before another try is a multiple of it.
const PAUSE: Duration = Duration::from_millis(20);

/// Applies what `edit` makes of a service as it is now, watches, and begins again where it changed in between: what a person says
/// is one setting or link, and what is applied is all of them.
///
/// It is pinned by a plan. The plan is made over the service that was read, for it is read once more afterwards; and its
/// digest holds for that state alone.
///
/// # Errors
/// What `edit` says; a refusal that has nothing to do with others; [`Code::Conflict`] where others change it all the time.
pub async fn change(
    s: &mut Session,
    target: &TargetPath,
    edit: impl Fn(&ServiceSpec) -> Result<ServiceSpec, Problem>,
) -> Outcome {
    let client = s.client()?;
    let mut refused: Option<(Digest, Problem)> = None;
    for turn in 0..TRIES_MAX {
        let before = one(&client, target).await?;
        let mut request = about_service(target, edit(&before)?)?;
        let digest = client.plan(&request).await?.digest;
        match refused {
            // Nothing has changed since: it is not others that keep it from being done.
            Some((of, problem)) if of == digest => return Err(problem),
            _ => refused = None,
        }
        if one(&client, target).await? == before {
            request.plan = Some(digest);
            match client.apply(&request).await {
                Err(problem) if problem.code == Code::Conflict => refused = Some((digest, problem)),
                accepted => return watch::accepted(s, accepted?).await,
            }
        }
        // Not all at the same time again: processes that began together have different numbers.
        tokio::time::sleep(PAUSE * (1 + (turn * 7 + u64::from(std::process::id())) % 10) as u32).await;
    }
    Err(Problem::new(Code::Conflict, format!("{target} is changed by others all the time: nothing was done"))
        .hint("try again"))
}
