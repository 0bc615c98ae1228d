//! `lace route cert`: certificates for routes. Their keys are never shown.

use super::output::ago;
use super::{Exit, Outcome, Session, confirm, session, watch};
use bytes::Bytes;
use clap::Subcommand;
use lace_model::certificate::{Certificate, pattern};
use lace_model::secret::SECRET_BYTES_MAX;
use lace_model::{AppName, Code, Problem};
use std::path::{Path, PathBuf};

/// The verbs of `lace route cert`.
#[derive(Subcommand, Debug)]
pub enum CertVerb {
    /// Give the certificate of a host name, or a newer one; open connections go on with the former
    #[command(
        after_help = "Example:\n  lace route cert add shop shop.example.com --cert chain.pem --key key.pem"
    )]
    Add {
        /// The application
        app: AppName,
        /// Host name, or *.example.com
        #[arg(value_parser = pattern)]
        host: String,
        /// The certificate and its intermediates (PEM)
        #[arg(long, value_name = "FILE")]
        cert: PathBuf,
        /// Its key (PEM, without a pass phrase)
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// List them, and how long they are good for
    #[command(
        after_help = "Doors staple no answer of OCSP to them: authorities have ended it, and what counts is the end.\n\nExample:\n  lace route cert list shop"
    )]
    List {
        /// The application
        app: AppName,
    },
    /// Ask for one that Lace obtains now, whatever pause a failure brought
    #[command(after_help = "Example:\n  lace route cert renew shop shop.example.com")]
    Renew {
        /// The application
        app: AppName,
        /// Host name of a route
        #[arg(value_parser = lace_model::route::host_name)]
        host: String,
    },
    /// Remove one with its key: its routes are plain HTTP again
    #[command(after_help = "Example:\n  lace route cert remove shop shop.example.com")]
    Remove {
        /// The application
        app: AppName,
        /// As it was added
        #[arg(value_parser = pattern)]
        host: String,
    },
}

/// Runs `lace route cert`.
pub async fn run(verb: CertVerb, s: &mut Session) -> Outcome {
    match verb {
        CertVerb::Add { app, host, cert, key } => {
            let pem = [read(s, &cert)?, b"\n".to_vec(), read(s, &key)?].concat();
            let accepted = s.client()?.certificate_add(&app, &host, Bytes::from(pem)).await?;
            watch::accepted(s, accepted).await
        }
        CertVerb::List { app } => list(s, &app).await,
        CertVerb::Renew { app, host } => {
            let accepted = s.client()?.certificate_renew(&app, &host).await?;
            watch::accepted(s, accepted).await
        }
        CertVerb::Remove { app, host } => {
            confirm::destructive(s, &format!("this removes the certificate of {app} for {host}"))?;
            let accepted = s.client()?.certificate_remove(&app, &host).await?;
            watch::accepted(s, accepted).await
        }
    }
}

fn read(s: &Session, file: &Path) -> Result<Vec<u8>, Problem> {
    let bytes = std::fs::read(s.at(file)).map_err(|e| session::cannot_read(file, &e))?;
    if bytes.len() > SECRET_BYTES_MAX {
        let message = format!("{} has {} bytes; at most {SECRET_BYTES_MAX}", file.display(), bytes.len());
        return Err(Problem::new(Code::TooLarge, message));
    }
    Ok(bytes)
}

async fn list(s: &mut Session, app: &AppName) -> Outcome {
    let certificates = s.client()?.certificates(app).await?;
    let now = s.now();
    s.out.list(
        &certificates,
        &["host", "names", "ends in", "issuer", "from", "added"],
        |certificate: &Certificate| {
            vec![
                certificate.host.as_str().into(),
                certificate.names.join(" ").into(),
                ends_in(now, certificate.not_after).into(),
                certificate.issuer.as_str().into(),
                certificate.source.as_str().into(),
                ago(now, certificate.added_at).into(),
            ]
        },
    );
    Ok(Exit::DONE)
}

/// `61 days`, `ended`.
pub fn ends_in(now: u64, not_after: u64) -> String {
    const DAY_MS: u64 = 24 * 3_600 * 1_000;
    match not_after.checked_sub(now) {
        None => "ended".to_owned(),
        Some(left) if left < 2 * DAY_MS => format!("{} hours", left / 3_600_000),
        Some(left) => format!("{} days", left / DAY_MS),
    }
}
