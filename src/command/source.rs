//! Where an uploaded release comes from: a path of this machine, an address, or a git repository with build steps.

use super::Session;
use super::build;
use super::output::Progress;
use super::release::UploadArgs;
use super::session::cannot_write;
use lace_model::manifest::ReleaseSource;
use lace_model::release::TREE_BYTES_MAX;
use lace_model::{ByteSize, Code, Problem};
use lace_wire::client::{Downloaded, download};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What shall be uploaded, and the directory that goes when it was.
pub struct Fetched {
    /// The directory or the archive.
    pub path: PathBuf,
    _dir: Option<TempDir>,
}

/// Brings the release to this machine, where it is not here.
pub async fn fetch(s: &mut Session, args: &UploadArgs) -> Result<Fetched, Problem> {
    match (&args.git, &args.path) {
        (Some(address), _) => clone(s, args, address).await,
        (None, Some(address)) if address.contains("://") => from_address(s, args, address).await,
        (None, Some(_)) if args.sha256.is_some() => {
            Err(Problem::new(Code::Usage, "--sha256 is for an address")
                .hint("sha256sum FILE shows a file's own"))
        }
        (None, Some(path)) => Ok(Fetched { path: s.at(path), _dir: None }),
        (None, None) => Err(Problem::new(Code::Usage, "nothing to upload is named")
            .hint("lace release upload NAME PATH, NAME https://..., or NAME --git URL")),
    }
}

/// A directory that goes when nobody needs it.
pub fn scratch() -> Result<TempDir, Problem> {
    let made = tempfile::Builder::new().prefix("lace-upload-").tempdir();
    made.map_err(|e| cannot_write(&std::env::temp_dir(), &e))
}

async fn from_address(s: &mut Session, args: &UploadArgs, address: &str) -> Result<Fetched, Problem> {
    let dir = scratch()?;
    let path = dir.path().join(file_name(address));
    let came = download_to(s, address, &path, TREE_BYTES_MAX).await?;
    if let Some(wanted) = args.sha256.as_ref().filter(|wanted| !wanted.eq_ignore_ascii_case(&came.sha256)) {
        return Err(Problem::new(
            Code::Error,
            format!("{address} is not what was meant: sha256 {wanted} is wanted"),
        )
        .details([format!("sha256 {} came", came.sha256)]));
    }
    Ok(Fetched { path, _dir: Some(dir) })
}

/// Fetches a file of at most `bytes_max` bytes to a path, and says what came.
///
/// # Errors
/// As of [`download`]; the path cannot be written.
pub async fn download_to(
    s: &mut Session,
    address: &str,
    path: &Path,
    bytes_max: u64,
) -> Result<Downloaded, Problem> {
    let mut file = std::fs::File::create(path).map_err(|e| cannot_write(path, &e))?;
    let mut progress = Progress::new(s.out.live());
    let out = &mut s.out;
    let told = |bytes| {
        if let Some(line) = progress.at(&format!("fetching {address}: {}", ByteSize(bytes).human())) {
            out.note(line);
        }
    };
    let came = download(address, &mut file, bytes_max, told).await?;
    drop(progress);
    s.out.note(format!("{address}: {}, sha256 {}", ByteSize(came.bytes).human(), came.sha256));
    Ok(came)
}

/// The last part of an address: an archive is known by its content, its name is for messages.
fn file_name(address: &str) -> String {
    let bare = address.split(['?', '#']).next().unwrap_or_default();
    let last = bare.rsplit('/').next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name: String = last.chars().filter(|c| plain(*c)).take(100).collect();
    if name.trim_matches('.').is_empty() { "release".into() } else { name }
}

/// `URL#REF`: a branch or a tag behind the sign, the repository's own branch without it.
async fn clone(s: &mut Session, args: &UploadArgs, address: &str) -> Result<Fetched, Problem> {
    let dir = scratch()?;
    let (url, reference) = match address.split_once('#') {
        Some((url, reference)) if !reference.is_empty() => (url, Some(reference)),
        _ => (address.trim_end_matches('#'), None),
    };
    repository(s, dir.path(), url, reference).await?;
    let source = ReleaseSource {
        path: "source".into(),
        build: args.build.iter().map(|words| words.0.clone()).collect(),
        output: args.path.clone(),
        ..ReleaseSource::default()
    };
    let path = build::run(s, dir.path(), &source).await?;
    forget_history(&path)?;
    Ok(Fetched { path, _dir: Some(dir) })
}

/// Brings a repository to `source` in a directory: a branch or a tag of it, or its own branch.
pub async fn repository(
    s: &mut Session,
    dir: &Path,
    url: &str,
    reference: Option<&str>,
) -> Result<(), Problem> {
    let mut words = vec!["git", "clone", "--quiet", "--depth", "1"];
    words.extend(reference.map(|r| ["--branch", r]).into_iter().flatten());
    words.extend(["--", url, "source"]);
    let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    build::one(s, dir, &words).await
}

/// What git remembers is no part of a release.
pub fn forget_history(path: &Path) -> Result<(), Problem> {
    let history = path.join(".git");
    match history.is_dir() {
        true => std::fs::remove_dir_all(&history).map_err(|e| cannot_write(&history, &e)),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn a_file_has_the_name_of_its_address() {
        for (address, name) in [
            ("https://example.com/riak-3.tar.gz", "riak-3.tar.gz"),
            ("https://example.com/x.zip?token=1#2", "x.zip"),
            ("https://example.com/", "release"),
            ("https://example.com/..", "release"),
            ("https://example.com/a%2Fb", "a2Fb"),
        ] {
            assert_eq!(file_name(address), name, "{address}");
        }
    }
}
