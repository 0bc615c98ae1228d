//! `lace export`: a manifest that makes an application again; with its data, an archive that does.

mod archive;
mod pack;
mod unpack;

pub use unpack::{begins_archive, import};

use super::output::Format;
use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::AppName;

/// `lace export`.
#[derive(Args, Debug)]
#[command(after_help = "\
Secret values and certificates are not part of it; the names of secrets are. With --with-code it is an archive of the manifest,
the releases and the packages that were uploaded, with checksums; with --with-data what the volumes hold is
in it, too. `lace apply FILE` makes the application again of it, here or elsewhere. Nothing has to be
stopped: each volume is packed as it is at one moment, for which its node is held up.

Example:
  lace export shop > lace.toml
  lace export shop --with-data > shop.lace")]
pub struct ExportArgs {
    /// The application
    pub app: AppName,
    /// Releases and uploaded packages, too
    #[arg(long)]
    pub with_code: bool,
    /// Releases, uploaded packages and volumes, too
    #[arg(long)]
    pub with_data: bool,
}

/// Runs `lace export`.
pub async fn run(args: ExportArgs, s: &mut Session) -> Outcome {
    if args.with_code || args.with_data {
        return pack::pack(s, &args.app, args.with_data).await;
    }
    let spec = s.client()?.export(&args.app).await?;
    if s.out.format() == Format::Table {
        let text = lace_model::manifest::to_toml(&args.app, &spec);
        s.out.bytes(text.as_bytes());
    } else {
        s.out.item(&spec, |_| String::new());
    }
    Ok(Exit::DONE)
}
