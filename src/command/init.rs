//! `lace init`: a manifest for a project.

use super::session::cannot_write;
use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::{Code, Problem};
use std::path::{Path, PathBuf};

/// The manifest's usual name.
pub const MANIFEST: &str = "lace.toml";

/// `lace init`.
#[derive(Args, Debug)]
#[command(after_help = "\
It recognises rebar.config, mix.exs, Procfile, compose.yaml, deploy.yml and fly.toml.

Example:
  lace init ./game")]
pub struct InitArgs {
    /// The project's directory
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Overwrite a lace.toml
    #[arg(long)]
    pub force: bool,
    /// Print it instead of writing it
    #[arg(long)]
    pub print: bool,
}

/// Runs `lace init`.
pub async fn run(args: InitArgs, s: &mut Session) -> Outcome {
    let dir = s.at(&args.dir);
    if !dir.is_dir() {
        return Err(Problem::not_found(format_args!("directory {}", args.dir.display())));
    }
    let project = lace_release::detect_project(&dir);
    if args.print {
        s.out.bytes(project.manifest.as_bytes());
        return Ok(Exit::DONE);
    }
    write(&dir, &project.manifest, args.force)?;
    s.out.say(format!("{} is written; look at it, then: lace deploy", shown(&args.dir)));
    project.notes.iter().for_each(|note| s.out.note(format!("  {note}")));
    Ok(Exit::DONE)
}

fn shown(dir: &Path) -> String {
    let dir = if dir == Path::new(".") { Path::new("") } else { dir };
    dir.join(MANIFEST).display().to_string()
}

/// Writes a manifest; one that is there is kept unless forced.
pub fn write(dir: &Path, text: &str, force: bool) -> Result<(), Problem> {
    use std::io::Write;
    let path = dir.join(MANIFEST);
    let mut how = std::fs::OpenOptions::new();
    how.write(true).create(true).truncate(true).create_new(!force);
    let written = how.open(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Problem::new(Code::Conflict, format!("{} is there already", path.display()))
                .hint("edit it, or overwrite it with --force")
        }
        _ => cannot_write(&path, &e),
    })
}
