//! The epmd of a node that has one: started by its runtime, and again by us when it died. The runtime then tells it its
//! name again by itself (OTP 23 and later).

use crate::node::Patient;
use crate::stream::command::{self, Wish};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::Duration;
use tokio::net::TcpStream;

/// Where every epmd listens.
const PORT: u16 = 4369;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// For one look, and for one start.
const WITHIN: Duration = Duration::from_secs(5);
/// The release's own epmd, else the host's.
const START: &str =
    "for epmd in /app/erts-*/bin/epmd; do [ -x \"$epmd\" ] || epmd=epmd; exec \"$epmd\" -daemon; done";

/// Looks again and again, as long as it is polled.
pub async fn keep(patient: Patient) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let asked = TcpStream::connect((patient.entry.address, PORT));
        match tokio::time::timeout(WITHIN, asked).await {
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => start(&patient).await,
            _ => {}
        }
    }
}

async fn start(patient: &Patient) {
    let argv = ["sh", "-c", START].map(str::to_owned).into();
    let wish = Wish { argv, env: BTreeMap::new(), terminal: None, stdin: false };
    let ran = tokio::time::timeout(WITHIN, command::output(patient.node.clone(), wish)).await;
    let said = match ran {
        Ok(Ok((exit, _))) if exit.code == Some(0) => {
            return tracing::info!(node = %patient.entry.id, "started its epmd");
        }
        Ok(Ok((exit, said))) => format!("{}: {}", exit.reason, String::from_utf8_lossy(&said).trim()),
        Ok(Err(problem)) => problem.message,
        Err(_) => "it does not end".to_owned(),
    };
    tracing::warn!(node = %patient.entry.id, said, "cannot start its epmd");
}
