//! `lace authority`: where certificates of routes are ordered from.

use super::output::ago;
use super::{Exit, Outcome, Session, confirm, session, watch};
use clap::{Args, Subcommand};
use lace_model::authority::ChallengeKind;
use lace_wire::authority::{AuthorityRequest, AuthorityView};
use std::path::PathBuf;

const EXAMPLE: &str = "Example:\n  lace authority set letsencrypt --contact admin@example.com --agree-terms";

/// Directories that have a name: <https://letsencrypt.org/docs/acme-protocol-updates/> and its staging twin.
const KNOWN: [(&str, &str); 2] = [
    ("letsencrypt", "https://acme-v02.api.letsencrypt.org/directory"),
    ("letsencrypt-staging", "https://acme-staging-v02.api.letsencrypt.org/directory"),
];

/// `lace authority`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct AuthorityArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: AuthorityVerb,
}

/// The verbs of `lace authority`.
#[derive(Subcommand, Debug)]
pub enum AuthorityVerb {
    /// Choose the one that speaks ACME: routes with `tls = "auto"` get and renew their certificates from it
    #[command(after_help = EXAMPLE)]
    Set {
        /// letsencrypt, letsencrypt-staging, or the address of a directory
        #[arg(value_name = "NAME|URL")]
        directory: String,
        /// Whom it may write to (may be said again)
        #[arg(long = "contact", value_name = "MAIL")]
        contacts: Vec<String>,
        /// The only authorities that vouch for its server (PEM)
        #[arg(long, value_name = "FILE")]
        ca: Option<PathBuf>,
        /// How it is shown that names are ours, http-01 (port 80) or tls-alpn-01 (port 443); in turn where not said
        #[arg(long)]
        challenge: Option<ChallengeKind>,
        /// Its terms of service are agreed to
        #[arg(long)]
        agree_terms: bool,
    },
    /// Show which it is
    #[command(after_help = "Example:\n  lace authority show")]
    Show,
    /// Print the certificate of the installation's own authority (PEM), for clients that are to trust it
    #[command(after_help = "Example:\n  lace authority ca > routes-ca.pem")]
    Ca,
    /// Order no more certificates
    #[command(after_help = "Example:\n  lace authority clear")]
    Clear,
}

/// Runs `lace authority`.
pub async fn run(args: AuthorityArgs, s: &mut Session) -> Outcome {
    match args.verb {
        AuthorityVerb::Set { directory, contacts, ca, challenge, agree_terms } => {
            let known = KNOWN.iter().find(|(name, _)| *name == directory);
            let directory = known.map_or(directory, |(_, url)| (*url).to_owned());
            let read = |file: PathBuf| {
                std::fs::read_to_string(s.at(&file)).map_err(|e| session::cannot_read(&file, &e))
            };
            let ca = ca.map(read).transpose()?;
            let challenge = challenge.map(|kind| kind.to_string());
            let request = AuthorityRequest { directory, contacts, ca, challenge, terms_agreed: agree_terms };
            let accepted = s.client()?.authority_set(&request).await?;
            watch::accepted(s, accepted).await
        }
        AuthorityVerb::Show => {
            let view = s.client()?.authority().await?;
            let now = s.now();
            s.out.item(&view, |view| shown(view, now));
            Ok(Exit::DONE)
        }
        AuthorityVerb::Ca => {
            let view = s.client()?.authority().await?;
            let pem = view.internal_ca.ok_or_else(|| {
                lace_model::Problem::not_found("authority of this installation's own")
                    .hint("it is made for the first route with `tls = \"internal\"`")
            })?;
            s.out.bytes(pem.as_bytes());
            Ok(Exit::DONE)
        }
        AuthorityVerb::Clear => {
            confirm::destructive(s, "routes no longer get or renew certificates from the authority")?;
            let accepted = s.client()?.authority_clear().await?;
            watch::accepted(s, accepted).await
        }
    }
}

fn shown(view: &AuthorityView, now: u64) -> String {
    let own = if view.internal_ca.is_some() { "made: lace authority ca" } else { "not needed so far" };
    let Some(directory) = &view.directory else {
        return format!(
            "public authority  none: lace authority set letsencrypt --agree-terms\nown authority     {own}\n"
        );
    };
    let contacts = if view.contacts.is_empty() { "nobody".to_owned() } else { view.contacts.join(" ") };
    let challenge = view.challenge.as_deref().unwrap_or("http-01 and tls-alpn-01 in turn");
    let trusts = if view.own_ca { "the authorities that were given" } else { "the system's authorities" };
    let since = view.set_at.map_or_else(String::new, |at| ago(now, at));
    format!(
        "public authority  {directory}\ncontacts          {contacts}\nchallenge         {challenge}\n\
         server trusted by {trusts}\nset               {since}\nown authority     {own}\n"
    )
}
