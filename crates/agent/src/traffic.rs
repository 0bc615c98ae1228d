//! Asks the door of this host what it carried, and has the last answer ready for the next beat.

use crate::hands::{Hands, Kept};
use lace_edge::NetClient;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// Between two questions: what scrapes the controller comes more seldom.
const EVERY: Duration = Duration::from_secs(5);
/// Between two looks whether somebody waits for a node that is to be started: that is told at once.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A door that is busy is asked again later.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks until dropped.
pub fn keep(hands: Arc<Hands>) -> Kept {
    Kept(tokio::spawn(async move {
        let mut door = NetClient::new(&hands.net_socket).patience(PATIENCE);
        let mut interval = tokio::time::interval(LOOK_EVERY);
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut asked, mut waited) = (None::<Instant>, false);
        loop {
            interval.tick().await;
            let waits = door.waiting().await.is_ok_and(|count| count > 0);
            let is_due = asked.is_none_or(|at| at.elapsed() >= EVERY);
            if !is_due && waits == waited {
                continue;
            }
            if let Ok(traffic) = door.traffic().await {
                hands.traffic.send_replace(Some(traffic));
                (asked, waited) = (Some(Instant::now()), waits);
            }
        }
    }))
}
