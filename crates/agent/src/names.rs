//! Hands the topics to `lace net`, the DNS of this host. It keeps them on disk itself; nothing here ever waits for it.

use crate::hands::{Kept, Topics};
use lace_edge::{ClientError, NetClient};
use lace_model::{AppName, Generation};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;

const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Keeps the names of `lace net` equal to the topics.
pub fn keep(socket: PathBuf, mut topics: watch::Receiver<Topics>) -> Kept {
    Kept(tokio::spawn(async move {
        let mut client = NetClient::new(socket);
        let mut told: Option<BTreeMap<AppName, Generation>> = None;
        let mut quiet = false;
        loop {
            let wanted = topics.borrow_and_update().clone();
            match tell(&mut client, &mut told, &wanted).await {
                Ok(()) => {
                    quiet = false;
                    if topics.changed().await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    if !quiet {
                        tracing::warn!(%error, "names are not handed over yet");
                    }
                    quiet = true;
                    told = None;
                    tokio::time::sleep(TRY_AGAIN).await;
                }
            }
        }
    }))
}

async fn tell(
    client: &mut NetClient,
    told: &mut Option<BTreeMap<AppName, Generation>>,
    wanted: &Topics,
) -> Result<(), ClientError> {
    let told = match told {
        Some(told) => told,
        None => told.insert(client.held().await?.into_iter().collect()),
    };
    for (app, topic) in wanted.iter() {
        if told.get(app) != Some(&topic.generation) {
            client.put((**topic).clone()).await?;
            told.insert(app.clone(), topic.generation);
        }
    }
    let gone: Vec<_> = told.keys().filter(|app| !wanted.contains_key(*app)).cloned().collect();
    for app in gone {
        client.gone(app.clone()).await?;
        told.remove(&app);
    }
    Ok(())
}
