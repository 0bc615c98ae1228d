//! `lace beam adopt` and `forget`: a cluster that runs already comes into view, and goes.

use super::super::{Exit, Outcome, Session, confirm, secret};
use clap::Args;
use lace_model::adopted::{AdoptedTls, parts};
use lace_model::{AppName, Code, Problem, TargetPath};
use lace_wire::api::AdoptRequest;
use std::path::{Path, PathBuf};

/// `lace beam adopt`.
#[derive(Args, Debug)]
#[command(after_help = "\
The controller connects to the node, and to all nodes that it sees, as a hidden node, and only looks:
`lace beam status`, `top`, `rpc` (with a deployer's token), numbers in /metrics, alarms as events. The
cookie comes from the input, a variable or a file, and is sealed. They stand as APP/adopted/N; without
--app the application is called like the node, and is made where it is missing. Nodes that speak TLS
are trusted by their authority's certificate (--tls), and must name the part behind the @ in theirs;
where they ask for one, a certificate of ours is shown (--certificate). Both are sealed, too.

Example:
  lace beam adopt game@10.0.0.5 < cookie
  lace beam adopt game@db1.example.com --port 9100 --from-env COOKIE --app legacy
  lace beam adopt game@db1.example.com --tls ca.pem --certificate ours.pem < cookie")]
pub struct AdoptArgs {
    /// The node, NAME@HOST
    pub name: String,
    /// The application that they stand in
    #[arg(long, value_name = "APP")]
    pub app: Option<AppName>,
    /// Its distribution port, where no epmd shall be asked
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// They speak TLS; certificates of their authority (PEM) are in this file
    #[arg(long, value_name = "FILE")]
    pub tls: Option<PathBuf>,
    /// A certificate that they accept, and its key (PEM), are in this file
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub certificate: Option<PathBuf>,
    /// The cookie from this environment variable
    #[arg(long, value_name = "VARIABLE", conflicts_with = "file")]
    pub from_env: Option<String>,
    /// The cookie from this file
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// `lace beam forget`.
#[derive(Args, Debug)]
#[command(
    after_help = "The nodes go on; only the look at them ends.\n\nExample:\n  lace beam forget game/adopted"
)]
pub struct ForgetArgs {
    /// APP/adopted, or one node of it
    pub target: TargetPath,
}

/// Runs `lace beam adopt`.
pub async fn adopt(args: AdoptArgs, s: &mut Session) -> Outcome {
    let Some((alive, _)) = parts(&args.name) else {
        let problem = Problem::new(Code::Usage, format!("{:?} is no node name", args.name));
        return Err(problem.hint("write NAME@HOST, as the node itself says: node()."));
    };
    let app = args.app.unwrap_or_else(|| lace_release::name_from(alive));
    let cookie = secret::value(s, "COOKIE", args.from_env, args.file)?;
    let text = |bytes: Vec<u8>| {
        String::from_utf8(bytes).map_err(|_| Problem::new(Code::Usage, "the cookie is not text"))
    };
    let cookie = text(cookie)?;
    let tls = match args.tls {
        Some(authority) => {
            let certificate = args.certificate.map(|file| read(s, &file)).transpose()?;
            Some(AdoptedTls { authority: read(s, &authority)?, certificate })
        }
        None => None,
    };
    let client = s.client()?;
    match client.app_create(&app).await {
        Err(problem) if problem.code != Code::Conflict => return Err(problem),
        _ => {}
    }
    let accepted =
        client.beam_adopt(&app, &args.name, &AdoptRequest { cookie, port: args.port, tls }).await?;
    s.out.say(accepted.message);
    Ok(Exit::DONE)
}

fn read(s: &Session, file: &Path) -> Result<String, Problem> {
    std::fs::read_to_string(s.at(file)).map_err(|e| super::super::session::cannot_read(file, &e))
}

/// Runs `lace beam forget`.
pub async fn forget(args: ForgetArgs, s: &mut Session) -> Outcome {
    confirm::destructive(s, &format!("this looks at {} no more", args.target))?;
    let accepted = s.client()?.beam_forget(&args.target).await?;
    s.out.say(accepted.message);
    Ok(Exit::DONE)
}
