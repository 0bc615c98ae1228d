//! An application with its data, made again of an archive. The archive is read twice: first it is held against its
//! checksums, so that what is damaged changes nothing.

use super::archive::{CHECKSUMS, CONTENTS, Contents, ENTRY_BYTES_MAX, MANIFEST, Stored};
use crate::command::manifest::{self, ManifestArgs};
use crate::command::session::cannot_read;
use crate::command::{Outcome, Session, apply};
use bytes::Bytes;
use lace_model::application::ApplyRequest;
use lace_model::release::{Release, Tree};
use lace_model::{ByteSize, Code, Digest, Name, Problem};
use lace_wire::api::{PackageUpload, ReleaseUpload, StreamAction, StreamOpen};
use lace_wire::client::Client;
use lace_wire::stream::{STREAM_FRAME_BYTES_MAX, StreamFrame, StreamPair};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// Where tar has the name of the first entry, and how an archive of ours begins.
const NAME_BYTES_MAX: u64 = 100;

/// Does the file begin as an exported application does?
pub fn begins_archive(path: &Path) -> bool {
    let mut name = Vec::new();
    let read = File::open(path).and_then(|file| file.take(NAME_BYTES_MAX).read_to_end(&mut name));
    read.is_ok() && name.starts_with(CONTENTS.as_bytes()) && name[CONTENTS.len()..].iter().all(|b| *b == 0)
}

/// Makes the application of the archive.
pub async fn import(s: &mut Session, path: &Path, args: &ManifestArgs) -> Outcome {
    let full = s.at(path);
    let read = |e: &std::io::Error| cannot_read(path, e);
    let checked = check(&full).map_err(|why| damaged(path, &why))?;
    let Checked { contents, manifest } = checked;
    let located = manifest::understand(&manifest, full.clone(), Path::new(MANIFEST), args)?;
    let request = args.request(located.manifest);
    let client = s.client()?;
    must_be_new(&client, &request).await?;
    let mut import =
        Import { client, contents, request, missing: BTreeSet::new(), trees: BTreeMap::new(), open: None };
    import.ask_missing(s, &full).await?;
    let mut archive = tar::Archive::new(BufReader::new(File::open(&full).map_err(|e| read(&e))?));
    let mut released = false;
    for entry in archive.entries().map_err(|e| read(&e))? {
        let (name, bytes) = entry.and_then(whole).map_err(|e| read(&e))?;
        if let Some(digest) = name.strip_prefix("blobs/") {
            import.blob(digest, bytes).await?;
        } else if name.starts_with("volumes/") {
            if !released {
                import.release(s).await?;
                released = true;
            }
            import.part(s, &name, bytes).await?;
        }
    }
    if !released {
        import.release(s).await?;
    }
    import.close().await?;
    apply::submit(s, import.request).await
}

fn damaged(path: &Path, why: &str) -> Problem {
    Problem::new(Code::Error, format!("{} is not whole: {why}", path.display()))
        .hint("nothing was changed; export it again, or copy it again")
}

/// An archive that agrees with its checksums.
struct Checked {
    contents: Contents,
    manifest: String,
}

fn check(path: &Path) -> Result<Checked, String> {
    let text = |e: std::io::Error| e.to_string();
    let mut archive = tar::Archive::new(BufReader::new(File::open(path).map_err(text)?));
    let (mut found, mut listed) = (BTreeMap::new(), None);
    let (mut contents, mut manifest) = (None, None);
    for entry in archive.entries().map_err(text)? {
        let (name, bytes) = entry.and_then(whole).map_err(text)?;
        if listed.is_some() {
            return Err(format!("{name} stands behind its checksums"));
        }
        if name == CHECKSUMS {
            listed = Some(String::from_utf8(bytes).map_err(|_| "its checksums are no text")?);
            continue;
        }
        match name.as_str() {
            CONTENTS => {
                contents =
                    Some(serde_json::from_slice::<Contents>(&bytes).map_err(|e| format!("{CONTENTS}: {e}"))?)
            }
            MANIFEST => {
                manifest = Some(String::from_utf8(bytes.clone()).map_err(|_| "its manifest is no text")?)
            }
            _ => {}
        }
        found.insert(name, Digest::of(&bytes).to_string());
    }
    let listed = listed.ok_or("it was cut off: its checksums are missing")?;
    let listed: BTreeMap<&str, &str> =
        listed.lines().filter_map(|line| line.split_once("  ")).map(|(sum, name)| (name, sum)).collect();
    if let Some(name) = listed.keys().find(|name| !found.contains_key(**name)) {
        return Err(format!("{name} is missing"));
    }
    if let Some((name, _)) = found.iter().find(|(name, sum)| listed.get(name.as_str()) != Some(&sum.as_str()))
    {
        return Err(format!("{name} is not what it was"));
    }
    let contents = contents.ok_or("it does not say what it holds")?;
    if contents.lace_export != 1 {
        return Err(format!("it is of version {}, and this lace reads 1", contents.lace_export));
    }
    Ok(Checked { contents, manifest: manifest.ok_or("its manifest is missing")? })
}

/// Name and bytes of an entry.
fn whole<R: Read>(mut entry: tar::Entry<'_, R>) -> std::io::Result<(String, Vec<u8>)> {
    if entry.size() > ENTRY_BYTES_MAX {
        return Err(std::io::Error::other("an entry is larger than any that lace writes"));
    }
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    match bytes.len() as u64 == entry.size() {
        true => Ok((name, bytes)),
        false => Err(std::io::Error::other(format!("{name} is cut off"))),
    }
}

/// What lives is never mixed with what comes.
async fn must_be_new(client: &Client, request: &ApplyRequest) -> Result<(), Problem> {
    match client.export(&request.app).await {
        Ok(live) if live.services.is_empty() => Ok(()),
        Ok(_) => {
            let text = format!("application {} is there already, and runs what it runs", request.app);
            Err(Problem::new(Code::Conflict, text)
                .hint(format!("lace app rename {0} OTHER, or lace app delete {0}, then again", request.app)))
        }
        Err(problem) if problem.code == Code::NotFound => Ok(()),
        Err(problem) => Err(problem),
    }
}

struct Import {
    client: Client,
    contents: Contents,
    request: ApplyRequest,
    /// Blobs that the controller lacks.
    missing: BTreeSet<Digest>,
    trees: BTreeMap<Digest, Tree>,
    /// The volume that is being filled.
    open: Option<(Stored, StreamPair)>,
}

impl Import {
    async fn ask_missing(&mut self, s: &mut Session, path: &Path) -> Result<(), Problem> {
        let read = |e: std::io::Error| cannot_read(path, &e);
        let mut archive = tar::Archive::new(BufReader::new(File::open(path).map_err(read)?));
        let mut all = Vec::new();
        for entry in archive.entries().map_err(read)? {
            let name = String::from_utf8_lossy(&entry.map_err(read)?.path_bytes()).into_owned();
            all.extend(name.strip_prefix("blobs/").and_then(|digest| digest.parse::<Digest>().ok()));
        }
        for some in all.chunks(4096) {
            self.missing.extend(self.client.blobs_missing(some).await?);
        }
        s.out.note(format!("releases: {} of {} pieces to send", self.missing.len(), all.len()));
        Ok(())
    }

    async fn blob(&mut self, digest: &str, bytes: Vec<u8>) -> Result<(), Problem> {
        let bad = || Problem::new(Code::Error, format!("{digest} is no name of a piece of a release"));
        let digest: Digest = digest.parse().map_err(|_| bad())?;
        if Digest::of(&bytes) != digest {
            return Err(bad());
        }
        let mut trees = self.contents.releases.iter().map(|release| release.tree);
        let packages = self.contents.packages.iter().map(|package| package.tree);
        if trees.any(|tree| tree == digest) || packages.into_iter().any(|tree| tree == digest) {
            let tree = serde_json::from_slice(&bytes).map_err(|_| bad())?;
            // A tree comes with its release, or its package.
            self.trees.insert(digest, tree);
        } else if self.missing.contains(&digest) {
            self.client.blob_put(digest, Bytes::from(bytes)).await?;
        }
        Ok(())
    }

    /// Makes the releases, and asks whether all else that it needs is there before any volume is made.
    async fn release(&mut self, s: &mut Session) -> Result<(), Problem> {
        for release in &self.contents.releases {
            let tree = self.trees.get(&release.tree).cloned().ok_or_else(|| {
                Problem::new(Code::Error, format!("the tree of release {} is not in it", release.name))
            })?;
            let made = self.client.release_create(&upload(release, tree)).await?;
            s.out.note(format!("release {}@{} is there", made.name, made.version));
        }
        for package in &self.contents.packages {
            let key = package.spec.key();
            let tree = self.trees.get(&package.tree).cloned().ok_or_else(|| {
                Problem::new(Code::Error, format!("the tree of package {key} is not in it"))
            })?;
            self.client.package_create(&PackageUpload { tree }).await?;
            s.out.note(format!("package {key} is there"));
        }
        match self.client.plan(&self.request).await {
            Err(problem) if problem.code == Code::NotFound && !self.contents.secrets.is_empty() => {
                let app = &self.request.app;
                let set = self.contents.secrets.iter().map(|name| format!("lace secret set {app} {name}"));
                Err(problem.details(std::iter::once(format!("lace app create {app}")).chain(set)))
            }
            planned => planned.map(drop),
        }
    }

    async fn part(&mut self, s: &mut Session, name: &str, bytes: Vec<u8>) -> Result<(), Problem> {
        let is_in = |volume: &Stored| name.starts_with(&volume.dir());
        if !self.open.as_ref().is_some_and(|(volume, _)| is_in(volume)) {
            self.close().await?;
            let volume = self.contents.volumes.iter().find(|volume| is_in(volume)).cloned();
            let volume = volume.ok_or_else(|| {
                Problem::new(Code::Error, format!("{name} belongs to no volume that it names"))
            })?;
            let stream = self.begin(&volume).await?;
            s.out.note(format!("filling volume {} of {}", volume.name, volume.place.short()));
            self.open = Some((volume, stream));
        }
        let Some((_, stream)) = &mut self.open else { return Ok(()) };
        let bytes = Bytes::from(bytes);
        for at in (0..bytes.len()).step_by(STREAM_FRAME_BYTES_MAX) {
            let frame = bytes.slice(at..(at + STREAM_FRAME_BYTES_MAX).min(bytes.len()));
            // Where the host takes no more, its last word says why.
            if stream.to.send(StreamFrame::Stdin(frame)).await.is_err() {
                return self.close().await;
            }
        }
        Ok(())
    }

    async fn begin(&self, volume: &Stored) -> Result<StreamPair, Problem> {
        let host = the_host(&self.client).await?;
        let mut place = volume.place.clone();
        place.family.app = self.request.app.clone();
        let size = volume.size.unwrap_or_else(|| self.size_of(volume).0);
        let action = StreamAction::VolumeIn { volume: volume.name.clone(), host, size };
        self.client.open(&StreamOpen { target: place.to_string(), action }).await
    }

    /// What the manifest says, where the former host enforced nothing.
    fn size_of(&self, volume: &Stored) -> ByteSize {
        let service = self.request.spec.services.get(&volume.place.family.service);
        let volumes = service.and_then(|service| service.volumes.as_ref());
        let said = volumes.into_iter().flatten().find(|said| said.name == volume.name);
        said.map_or(ByteSize::mib(1024), |said| said.size)
    }

    /// Waits until the volume that is being filled is whole.
    async fn close(&mut self) -> Result<(), Problem> {
        let Some((volume, mut stream)) = self.open.take() else { return Ok(()) };
        let _ = stream.to.send(StreamFrame::StdinEnd).await;
        while let Some(frame) = stream.from.recv().await {
            match frame {
                StreamFrame::Exit(0) => return Ok(()),
                StreamFrame::Failed(problem) => return Err(problem),
                _ => {}
            }
        }
        let text = format!("the host of volume {} of {} has gone", volume.name, volume.place);
        Err(Problem::new(Code::NodeUnreachable, text))
    }
}

/// Who gets the volumes: nodes come where theirs are only if there is one host.
async fn the_host(client: &Client) -> Result<Name, Problem> {
    let hosts = client.hosts().await?;
    let mut names = hosts.into_iter().filter(|view| view.liveness.connected).map(|view| view.host.name);
    match (names.next(), names.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(Problem::new(Code::NodeUnreachable, "no host is connected").hint("lace host list")),
        (Some(_), Some(_)) => {
            Err(Problem::new(Code::Conflict, "of several hosts none is meant for its volumes")
                .hint("volumes are brought back where one host is connected only"))
        }
    }
}

fn upload(release: &Release, tree: Tree) -> ReleaseUpload {
    ReleaseUpload {
        name: release.name.clone(),
        version: release.version.clone(),
        tree,
        kind: release.kind,
        start: release.start.clone(),
        files: release.start.is_empty(),
        stop: release.stop.clone(),
        templates: release.templates.clone(),
        needs: release.needs.clone(),
    }
}
