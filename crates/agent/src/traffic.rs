//! Asks the door of this host what it carried, and has the last answer ready for the next beat.

use crate::hands::{Hands, Kept};
use lace_edge::NetClient;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Between two questions: what scrapes the controller comes more seldom.
const EVERY: Duration = Duration::from_secs(5);
/// A door that is busy is asked again later.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks until dropped.
pub fn keep(hands: Arc<Hands>) -> Kept {
    Kept(tokio::spawn(async move {
        let mut door = NetClient::new(&hands.net_socket).patience(PATIENCE);
        let mut interval = tokio::time::interval(EVERY);
        interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            interval.tick().await;
            if let Ok(traffic) = door.traffic().await {
                hands.traffic.send_replace(Some(traffic));
            }
        }
    }))
}
