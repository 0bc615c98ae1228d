//! Challenges on their way to the doors: written into the application's row, from where they go with its topic.

use crate::Refused;
use crate::keep::Keeper;
use crate::row::Wish;
use lace_model::authority::Challenge;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Where no door of this machine says that it knows a challenge, doors are trusted to know it after this time.
const SHOWN_WITHIN: Duration = Duration::from_secs(10);
/// Doors of other hosts get a challenge at about the same time as ours; they have so much longer.
const OTHERS: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The doors that answer for one certificate.
pub(crate) struct Doors<'a> {
    pub keeper: &'a Keeper,
    pub wish: &'a Wish,
}

impl Doors<'_> {
    /// Returns when they show it.
    pub async fn show(&self, challenge: Challenge) -> Result<(), Refused> {
        self.wish.show(&self.keeper.store, challenge.clone(), self.keeper.clock.now_ms())?;
        let until = Instant::now() + SHOWN_WITHIN;
        let Some(door) = self.keeper.door else {
            sleep(SHOWN_WITHIN / 4).await;
            return Ok(());
        };
        let client = reqwest::Client::builder().no_proxy().timeout(SHOWN_WITHIN).tls_certs_only([]).build();
        let client = client.map_err(Refused::new)?;
        while Instant::now() < until && !is_shown(&client, door, &challenge).await {
            sleep(LOOK_AGAIN).await;
        }
        sleep(OTHERS).await;
        Ok(())
    }
}

async fn is_shown(client: &reqwest::Client, door: SocketAddr, challenge: &Challenge) -> bool {
    let url = format!("http://{door}/.well-known/acme-challenge/{}", challenge.token);
    let sent = client.get(url).header(http::header::HOST, &challenge.host).send().await;
    let Ok(answer) = sent else { return false };
    answer.text().await.is_ok_and(|text| text == challenge.authorization)
}
