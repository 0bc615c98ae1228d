//! Hands the topics to `lace net`, DNS and door of this host, and the certificates that they name. It keeps them on disk itself; nothing here ever waits for it.

use crate::hands::{Kept, Topics};
use crate::held::{Held, certificate_keys};
use lace_edge::{ClientError, GivenCertificate, NetClient, Put};
use lace_model::{AppName, Generation};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Keeps the names of `lace net` equal to the topics.
pub fn keep(socket: PathBuf, mut topics: watch::Receiver<Topics>, held: Arc<Held>) -> Kept {
    Kept(tokio::spawn(async move {
        let mut client = NetClient::new(socket);
        let mut told: Option<Told> = None;
        let mut quiet = false;
        loop {
            let wanted = topics.borrow_and_update().clone();
            match tell(&mut client, &mut told, &wanted, &held).await {
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

/// What `lace net` has.
struct Told {
    topics: BTreeMap<AppName, Generation>,
    /// Host names by certificate.
    certificates: BTreeMap<String, Vec<String>>,
}

/// The new ones first: no name is without one meanwhile.
async fn tell_certificates(
    client: &mut NetClient,
    told: &mut BTreeMap<String, Vec<String>>,
    topics: &Topics,
    held: &Held,
) -> Result<(), ClientError> {
    let wanted: BTreeMap<_, _> = topics.values().flat_map(|topic| certificate_keys(topic)).collect();
    for (name, hosts) in &wanted {
        if told.get(name) == Some(*hosts) {
            continue;
        }
        let Some(pem) = held.secret(name).and_then(|value| String::from_utf8(value).ok()) else {
            tracing::warn!(name, "this certificate has not come to this host");
            continue;
        };
        let given = GivenCertificate { name: name.clone(), hosts: (*hosts).clone(), pem };
        match client.certificate(given).await {
            Err(ClientError::Refused(cause)) => {
                tracing::warn!(name, cause, "the door does not take a certificate")
            }
            taken => taken?,
        }
        told.insert(name.clone(), (*hosts).clone());
    }
    let gone: Vec<_> = told.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect();
    for name in gone {
        client.certificate_gone(name.clone()).await?;
        told.remove(&name);
    }
    Ok(())
}

async fn tell(
    client: &mut NetClient,
    told: &mut Option<Told>,
    wanted: &Topics,
    held: &Held,
) -> Result<(), ClientError> {
    let told = match told {
        Some(told) => told,
        None => told.insert(Told {
            topics: client.held().await?.into_iter().collect(),
            certificates: client.certificates().await?,
        }),
    };
    tell_certificates(client, &mut told.certificates, wanted, held).await?;
    let told = &mut told.topics;
    for (app, topic) in wanted.iter() {
        if told.get(app) != Some(&topic.generation) {
            // What is wrong with one application keeps nobody else's names back.
            match client.put((**topic).clone()).await {
                Ok(Put::Older { held }) => tracing::warn!(
                    %app, ?held, offered = ?topic.generation, "newer names than the controller's hold here"
                ),
                Err(ClientError::Refused(cause)) => tracing::warn!(%app, cause, "names are not taken"),
                taken => drop(taken?),
            }
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
