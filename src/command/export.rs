//! `lace export`: a manifest that makes an application again.

use super::output::Format;
use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::AppName;

/// `lace export`.
#[derive(Args, Debug)]
#[command(after_help = "\
Secret values are not part of it; their names are.

Example:
  lace export shop > lace.toml")]
pub struct ExportArgs {
    /// The application
    pub app: AppName,
}

/// Runs `lace export`.
pub async fn run(args: ExportArgs, s: &mut Session) -> Outcome {
    let spec = s.client()?.export(&args.app).await?;
    if s.out.format() == Format::Table {
        let text = lace_model::manifest::to_toml(&args.app, &spec);
        s.out.bytes(text.as_bytes());
    } else {
        s.out.item(&spec, |_| String::new());
    }
    Ok(Exit::DONE)
}
