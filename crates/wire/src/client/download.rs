//! Fetching a file from anywhere: releases that lie behind an address.

use super::{CONNECT_TIMEOUT, is_loopback, tls};
use lace_model::{Code, Problem};
use reqwest::Url;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::time::Duration;

/// A server that sends nothing for this long has stopped sending.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// From one address to the next, so often.
const REDIRECTS_MAX: usize = 5;

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downloaded {
    /// How many bytes.
    pub bytes: u64,
    /// Their SHA-256 in hexadecimal digits, as release pages print it.
    pub sha256: String,
}

/// Writes what an `http` or `https` address holds to `to`; `told` hears how many bytes came so far.
///
/// # Errors
/// [`Code::Usage`] for another sort of address, [`Code::NotFound`] where nothing is behind it, [`Code::TooLarge`] for
/// more than `bytes_max` bytes, [`Code::Error`] for everything else.
pub async fn download(
    address: &str,
    to: &mut impl Write,
    bytes_max: u64,
    mut told: impl FnMut(u64),
) -> Result<Downloaded, Problem> {
    let failed = |why: &dyn std::fmt::Display| {
        Problem::new(Code::Error, format!("cannot fetch {address}: {why}"))
            .hint("fetch it yourself and upload the file")
    };
    let too_large = || Problem::new(Code::TooLarge, format!("{address} has more than {bytes_max} bytes"));
    let mut answer = ask(address).await?;
    if answer.content_length().is_some_and(|length| length > bytes_max) {
        return Err(too_large());
    }
    let (mut bytes, mut sum) = (0, Sha256::new());
    while let Some(chunk) = answer.chunk().await.map_err(|e| failed(&innermost(&e)))? {
        bytes += chunk.len() as u64;
        if bytes > bytes_max {
            return Err(too_large());
        }
        sum.update(&chunk);
        to.write_all(&chunk).map_err(|e| failed(&e))?;
        told(bytes);
    }
    to.flush().map_err(|e| failed(&e))?;
    let sha256 = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Downloaded { bytes, sha256 })
}

async fn ask(address: &str) -> Result<reqwest::Response, Problem> {
    crate::install_crypto();
    let usage = |why: &dyn std::fmt::Display| {
        Problem::new(Code::Usage, format!("cannot fetch from {address:?}: {why}"))
            .hint("write an address that begins with https:// or http://")
    };
    let url = Url::parse(address).map_err(|e| usage(&e))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(usage(&format!("{} is not fetched", url.scheme())));
    }
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(SILENCE_MAX)
        .redirect(reqwest::redirect::Policy::limited(REDIRECTS_MAX))
        .tls_backend_preconfigured(tls::config(None)?);
    let builder = if url.host_str().is_some_and(is_loopback) { builder.no_proxy() } else { builder };
    let client = builder.build().map_err(|e| usage(&e))?;
    let answer = client.get(url).send().await.map_err(|e| {
        Problem::new(Code::Error, format!("cannot fetch {address}: {}", innermost(&e)))
            .hint("does the address open in a browser?")
    })?;
    match answer.status() {
        status if status.is_success() => Ok(answer),
        status if status.as_u16() == 404 || status.as_u16() == 410 => {
            Err(Problem::not_found(format_args!("file at {address} (HTTP {status})")))
        }
        status => Err(Problem::new(Code::Error, format!("cannot fetch {address}: it answers HTTP {status}"))),
    }
}

/// The cause behind the layers: they repeat the address only.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
