//! `lace schema`: the shape of the manifest, or of a package's description, for editors.

use super::{Exit, Outcome, Session};
use clap::Args;

/// `lace schema`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  lace schema > lace.schema.json
  lace schema --package --reference")]
pub struct SchemaArgs {
    /// A reference for people instead
    #[arg(long)]
    pub reference: bool,
    /// Of `package.toml` instead of the manifest
    #[arg(long)]
    pub package: bool,
}

/// Runs `lace schema`.
pub fn run(args: SchemaArgs, s: &mut Session) -> Outcome {
    use lace_model::{manifest, package};
    let pretty = |schema| serde_json::to_string_pretty(&schema).unwrap_or_default();
    let text = match (args.reference, args.package) {
        (true, true) => package::reference(),
        (true, false) => manifest::reference(),
        (false, true) => pretty(package::schema()),
        (false, false) => pretty(manifest::schema()),
    };
    s.out.line(text.trim_end());
    Ok(Exit::DONE)
}
