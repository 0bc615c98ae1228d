//! Sending a release: read it, say what it is, send the chunks that the controller lacks.

use super::Session;
use super::output::Progress;
use bytes::Bytes;
use futures::{StreamExt, stream};
use lace_model::manifest::ReleaseSource;
use lace_model::release::{Release, ReleaseKind};
use lace_model::{ByteSize, Code, Digest, Name, Problem, ServiceName};
use lace_release::{ChunkSource, Limits, Packed, Recognised};
use lace_wire::api::ReleaseUpload;
use lace_wire::client::Client;
use std::path::{Path, PathBuf};

/// Digests that are asked about at a time: 64 digits each, far below any limit of a body.
const ASKED_AT_ONCE: usize = 4096;
/// Chunks on their way at the same time.
const SENT_AT_ONCE: usize = 8;

/// What the person says about the release, beyond what it says itself.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Its name.
    pub name: Option<Name>,
    /// Its version.
    pub version: Option<String>,
    /// Its sort.
    pub kind: Option<ReleaseKind>,
    /// Its start command.
    pub start: Option<Vec<String>>,
    /// A package says what runs: it need not.
    pub packaged: bool,
    /// Its stop command.
    pub stop: Option<Vec<String>>,
    /// Its templates, beyond those that are recognised.
    pub templates: Vec<String>,
    /// The manifest that it is uploaded for: no part of it.
    pub manifest: Option<PathBuf>,
}

impl Wish {
    /// What a manifest says about the release of a service.
    pub fn of(service: &ServiceName, source: &ReleaseSource, manifest: &Path) -> Self {
        Self {
            name: Some(source.name.clone().unwrap_or_else(|| service.clone())),
            version: source.version.clone(),
            kind: source.kind,
            start: source.start.clone(),
            packaged: false,
            stop: source.stop.clone(),
            templates: source.templates.clone(),
            manifest: Some(manifest.to_owned()),
        }
    }
}

/// Uploads a directory or an archive.
pub async fn upload(s: &mut Session, path: &Path, wish: Wish) -> Result<Release, Problem> {
    let (packed, found) = read(s, path, wish.manifest.clone()).await?;
    found.remarks.iter().for_each(|remark| s.out.note(remark));
    let client = s.client()?;
    let said_version = wish.version.is_some();
    let upload = describe(wish, found, &packed)?;
    send(s, &client, &format!("{}@{}", upload.name, upload.version), &packed).await?;
    create(s, &client, upload, said_version).await
}

async fn read(
    s: &mut Session,
    path: &Path,
    manifest: Option<PathBuf>,
) -> Result<(Packed, Recognised), Problem> {
    let mut progress = Progress::new(s.out.live());
    let path = path.to_owned();
    let shown = path.display().to_string();
    let mut reading = tokio::task::spawn_blocking(move || {
        let packed = lace_release::read_path(&path, &Limits::default(), manifest.as_deref())?;
        let found = lace_release::recognise(&packed.tree, &packed.chunks)?;
        Ok((packed, found))
    });
    let read = loop {
        tokio::select! {
            read = &mut reading => break read,
            () = tokio::time::sleep(std::time::Duration::from_millis(200)) => {
                if let Some(line) = progress.at(&format!("reading {shown}")) {
                    s.out.note(line);
                }
            }
        }
    };
    let read = read.map_err(|e| Problem::new(Code::Error, format!("cannot read {shown}: {e}")))?;
    read.map_err(|e: lace_release::ReleaseError| e.problem())
}

fn describe(wish: Wish, found: Recognised, packed: &Packed) -> Result<ReleaseUpload, Problem> {
    let own_name = || found.name.as_deref().and_then(|name| Name::new(name.replace('_', "-")).ok());
    let name = wish.name.or_else(own_name).ok_or_else(|| {
        Problem::new(Code::Usage, "the release does not say its name").hint("lace release upload NAME PATH")
    })?;
    let start = wish.start.unwrap_or(found.start);
    if start.is_empty() && !wish.packaged {
        return Err(Problem::new(Code::Usage, format!("release {name} does not say what starts it"))
            .hint("say it with --start \"bin/run\", `start` in lace.toml, or a Procfile; of a service with a package that says what runs: --files"));
    }
    let kind = wish.kind.unwrap_or(found.kind);
    kind.check_start(&start)?;
    let unnamed = || format!("0.0.0-{}", packed.tree.digest().short());
    let mut templates = found.templates;
    templates.extend(wish.templates);
    templates.sort();
    templates.dedup();
    Ok(ReleaseUpload {
        name,
        version: wish.version.or(found.version).unwrap_or_else(unnamed),
        tree: packed.tree.clone(),
        kind,
        start,
        files: wish.packaged,
        stop: wish.stop.or(found.stop),
        templates,
        needs: found.needs,
    })
}

/// Sends what the controller lacks of a tree's chunks. `name` is for people.
pub async fn send(s: &mut Session, client: &Client, name: &str, packed: &Packed) -> Result<(), Problem> {
    let needed: Vec<Digest> = lace_release::needed(&packed.tree).into_iter().collect();
    let mut missing = Vec::new();
    for some in needed.chunks(ASKED_AT_ONCE) {
        missing.extend(client.blobs_missing(some).await?);
    }
    let mut progress = Progress::new(s.out.live());
    let (mut sent, mut bytes) = (0, 0u64);
    let mut puts =
        stream::iter(&missing).map(|digest| put(client, packed, *digest)).buffer_unordered(SENT_AT_ONCE);
    while let Some(put) = puts.next().await {
        bytes += put?;
        sent += 1;
        if let (Some(line), true) = (progress.at(&sending(sent, missing.len(), bytes)), sent % 100 == 0) {
            s.out.note(line);
        }
    }
    drop(progress);
    s.out.note(format!("{name}: sent {sent} of {} chunks, {}", needed.len(), ByteSize(bytes).human()));
    Ok(())
}

fn sending(sent: usize, of: usize, bytes: u64) -> String {
    format!("sending: {sent} of {of} chunks, {}", ByteSize(bytes).human())
}

async fn put(client: &Client, packed: &Packed, digest: Digest) -> Result<u64, Problem> {
    let bytes = packed.chunks.chunk(&digest).map_err(|e| e.problem())?;
    let size = bytes.len() as u64;
    client.blob_put(digest, Bytes::from(bytes)).await?;
    Ok(size)
}

/// Makes the release. A version that the release gave itself and that is taken by another content gets the content's
/// digest behind it: people rebuild without counting up.
async fn create(
    s: &mut Session,
    client: &Client,
    mut upload: ReleaseUpload,
    said_version: bool,
) -> Result<Release, Problem> {
    match client.release_create(&upload).await {
        Err(problem) if problem.code == Code::Conflict && !said_version => {
            let taken = upload.version.clone();
            // There are other conflicts too: chunks that went away meanwhile.
            if client.release(&format!("{}@{taken}", upload.name)).await.is_err() {
                return Err(problem);
            }
            upload.version = format!("{taken}-{}", upload.tree.digest().short());
            let release = client.release_create(&upload).await?;
            s.out.note(format!(
                "version {taken} is there with another content: this one is {}@{}",
                release.name, release.version
            ));
            Ok(release)
        }
        made => made,
    }
}

/// A command line as words: blanks divide, quotes hold together. No shell is asked.
pub fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(format!("{text:?} has a quote without an end"));
    }
    words.extend(word);
    if words.is_empty() { Err("a command has at least one word".into()) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn commands_are_words() {
        assert_eq!(words("bin/riak start"), Ok(vec!["bin/riak".into(), "start".into()]));
        assert_eq!(
            words("sh -c 'a  b'\"c\" ''"),
            Ok(vec!["sh".into(), "-c".into(), "a  bc".into(), String::new()])
        );
        assert!(words("a 'b").is_err());
        assert!(words("  ").is_err());
    }
}
