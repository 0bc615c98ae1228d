//! `lace schema`: the shape of the manifest, for editors.

use super::{Exit, Outcome, Session};
use clap::Args;

/// `lace schema`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace schema > lace.schema.json")]
pub struct SchemaArgs {
    /// A reference for people instead
    #[arg(long)]
    pub reference: bool,
}

/// Runs `lace schema`.
pub fn run(args: SchemaArgs, s: &mut Session) -> Outcome {
    let text = if args.reference {
        lace_model::manifest::reference()
    } else {
        serde_json::to_string_pretty(&lace_model::manifest::schema()).unwrap_or_default()
    };
    s.out.line(text.trim_end());
    Ok(Exit::DONE)
}
