//! Waiting until something in the store is as wanted, woken by its change feed.

use crate::ask::WaitAsk;
use crate::limit::WAIT_MS_MAX;
use crate::refusal::Answer;
use crate::state::ApiState;
use std::time::Duration;

/// Between two looks: under a burst of commits, thousands of waiters look once in a while instead of at each.
const LOOK_PAUSE: Duration = Duration::from_millis(2);

/// Reads until it is settled or the time is over, then answers what was read last.
pub(crate) async fn until<T>(
    state: &ApiState,
    ask: WaitAsk,
    read: impl Fn() -> Answer<T>,
    settled: impl Fn(&T) -> bool,
) -> Answer<T> {
    let wait = Duration::from_millis(ask.wait_ms.unwrap_or(0).min(WAIT_MS_MAX));
    let deadline = tokio::time::Instant::now() + wait;
    // Subscribed before reading, so that no change falls in between.
    let mut changes = state.store.watch();
    loop {
        changes.mark_unchanged();
        let value = read()?;
        if settled(&value) {
            return Ok(value);
        }
        match tokio::time::timeout_at(deadline, changes.changed()).await {
            Ok(Ok(())) => tokio::time::sleep(LOOK_PAUSE).await,
            _ => return Ok(value),
        }
    }
}
