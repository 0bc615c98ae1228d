//! `lace package`: how to run a kind of service, as data.

mod check;
mod new;
mod shellcheck;
mod shown;
mod stored;

use super::{Outcome, Session};
use clap::{Args, Subcommand};
use lace_model::Name;
use std::path::PathBuf;

const EXAMPLE: &str = "Example:
  lace package new echo
  lace package check ./echo
  lace package upload ./echo";

/// `lace package`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub struct PackageArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: PackageVerb,
}

/// The verbs of `lace package`.
#[derive(Subcommand, Debug)]
pub enum PackageVerb {
    /// Make a package to begin with
    #[command(after_help = "Example:\n  lace package new echo")]
    New {
        /// Its name
        name: Name,
        /// The directory to make; where none is said, one of that name
        dir: Option<PathBuf>,
    },
    /// Say everything that is wrong with a package, without a controller
    #[command(after_help = "\
Scripts are looked at by shellcheck where it is installed (Debian: apt install shellcheck). What
templates become with the parameters of samples/NAME.toml is compared with golden/NAME/; --bless
writes it there.

Example:
  lace package check ./echo
  lace package check ./echo --bless")]
    Check(check::CheckArgs),
    /// Give one to the controller; only what is missing travels
    #[command(after_help = "Example:\n  lace package upload ./echo")]
    Upload {
        /// Its directory, or an archive of it (tar, gz, bz2, xz, zst, zip)
        path: PathBuf,
    },
    /// List them
    #[command(after_help = "Example:\n  lace package list")]
    List,
    /// Show one: roles, settings, actions
    #[command(after_help = "Example:\n  lace package show redis")]
    Show {
        /// NAME, or NAME@VERSION
        package: String,
    },
    /// Delete one that no service uses
    #[command(after_help = "Example:\n  lace package delete echo@0.1")]
    Delete {
        /// NAME@VERSION
        package: String,
    },
}

/// Runs `lace package`.
pub async fn run(args: PackageArgs, s: &mut Session) -> Outcome {
    match args.verb {
        PackageVerb::New { name, dir } => new::run(&name, dir, s),
        PackageVerb::Check(args) => check::run(args, s).await,
        PackageVerb::Upload { path } => stored::upload(&path, s).await,
        PackageVerb::List => stored::list(s).await,
        PackageVerb::Show { package } => stored::show(&package, s).await,
        PackageVerb::Delete { package } => stored::delete(&package, s).await,
    }
}
