//! An application with its data, out of a controller and its hosts.

use super::archive::{CONTENTS, Contents, MANIFEST, PART_BYTES, Stored, Writer};
use crate::command::output::Progress;
use crate::command::{Exit, Outcome, Session};
use lace_model::application::ApplicationSpec;
use lace_model::package::StoredPackage;
use lace_model::release::{Release, Tree};
use lace_model::{AppName, ByteSize, Code, Digest, Name, Problem, TargetPath};
use lace_wire::api::{StreamAction, StreamOpen};
use lace_wire::client::Client;
use lace_wire::stream::{StreamFrame, Volume};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// Writes the archive to the output.
pub async fn pack(s: &mut Session, app: &AppName, with_data: bool) -> Outcome {
    if s.world.out_terminal {
        return Err(Problem::new(Code::Usage, "an archive is nothing for a terminal")
            .hint(format!("lace export {app} --with-data > {app}.lace")));
    }
    let client = s.client()?;
    let mut spec = client.export(app).await?;
    let releases = releases(&client, &spec).await?;
    let packages = packages(&client, app, &mut spec).await?;
    let whole = TargetPath { app: app.clone(), service: None, family: None, index: None };
    let volumes = if with_data { client.volumes(Some(&whole)).await? } else { Vec::new() };
    once_each(&volumes)?;
    if volumes.iter().any(|volume| volume.node.is_some()) {
        let whole = volumes.iter().all(|volume| volume.node.is_none() || volume.size.is_some());
        let how = match whole {
            true => "each of its volumes is packed as it is at one moment",
            false => "what it writes meanwhile may be half in volumes whose size is not enforced",
        };
        s.out.note(format!("{app} runs: {how}"));
    }
    let contents = contents(&client, app, (&releases, &packages), &volumes).await?;
    let now = s.now() / 1000;
    let out = s.out.take();
    let mut packing =
        Packing { archive: Writer::new(out, now), client, progress: Progress::new(s.out.live()), bytes: 0 };
    packing.add(CONTENTS, &serde_json::to_vec_pretty(&contents).unwrap_or_default())?;
    packing.add(MANIFEST, lace_model::manifest::to_toml(app, &spec).as_bytes())?;
    let trees = releases.iter().map(|release| release.tree);
    packing.trees(trees.chain(packages.iter().map(|package| package.tree)).collect()).await?;
    for volume in &volumes {
        packing.volume(s, volume).await?;
    }
    let bytes = packing.bytes;
    packing.archive.end().map_err(|e| unwritten(&e))?;
    drop(packing.progress);
    let (releases, packages, volumes) = (releases.len(), packages.len(), volumes.len());
    let size = ByteSize(bytes).human();
    s.out.note(format!(
        "{app}: releases {releases}, packages {packages}, volumes {volumes}, {size}; secrets only by name"
    ));
    Ok(Exit::DONE)
}

fn unwritten(error: &io::Error) -> Problem {
    Problem::new(Code::Error, format!("the archive cannot be written: {error}"))
}

/// Two hosts may keep a volume of one place, if a node moved: nobody knows which is meant.
fn once_each(volumes: &[Volume]) -> Result<(), Problem> {
    let mut seen = BTreeSet::new();
    match volumes.iter().find(|volume| !seen.insert((&volume.path, &volume.name))) {
        None => Ok(()),
        Some(twice) => {
            let text = format!("volume {} of {} is on two hosts", twice.name, twice.path.short());
            Err(Problem::new(Code::Conflict, text).hint("delete the one that is not meant: lace volume list"))
        }
    }
}

/// The releases that the services run, each once.
async fn releases(client: &Client, spec: &ApplicationSpec) -> Result<Vec<Release>, Problem> {
    let wanted = spec.services.values().filter_map(|service| service.release.as_ref());
    let names: BTreeSet<String> = wanted
        .map(|release| match &release.version {
            Some(version) => format!("{}@{version}", release.name),
            None => release.name.to_string(),
        })
        .collect();
    let mut releases = Vec::new();
    for name in names {
        releases.push(client.release(&name).await?);
    }
    Ok(releases)
}

/// The packages that the services have pinned, each once, and named with their versions from here on: elsewhere another
/// one may be the newest. Those that come with Lace are there anyway.
async fn packages(
    client: &Client,
    app: &AppName,
    spec: &mut ApplicationSpec,
) -> Result<Vec<StoredPackage>, Problem> {
    let mut packages: BTreeMap<String, StoredPackage> = BTreeMap::new();
    for (name, service) in &mut spec.services {
        let Some(named) = &mut service.package else { continue };
        let target = TargetPath { app: app.clone(), service: Some(name.clone()), family: None, index: None };
        let Some(used) = client.revision(&target).await?.spec.package else { continue };
        let package = client.package(&used.key()).await?;
        if package.tree != used.tree {
            let text = format!("{app}/{name} has package {} as a former Lace brought it", used.key());
            return Err(Problem::new(Code::Conflict, text)
                .hint("apply its manifest again, so that it has the one of this Lace"));
        }
        named.version = Some(used.version.clone());
        if !package.built_in {
            packages.insert(used.key(), package);
        }
    }
    Ok(packages.into_values().collect())
}

async fn contents(
    client: &Client,
    app: &AppName,
    (releases, packages): (&[Release], &[StoredPackage]),
    volumes: &[Volume],
) -> Result<Contents, Problem> {
    let secrets = client.secrets(app).await?;
    let volumes = volumes.iter().map(|volume| Stored {
        place: volume.path.clone(),
        name: volume.name.clone(),
        size: volume.size,
    });
    Ok(Contents {
        lace_export: 1,
        app: app.clone(),
        releases: releases.to_vec(),
        packages: packages.to_vec(),
        volumes: volumes.collect(),
        secrets: secrets.into_iter().filter(|secret| !secret.generated).map(|secret| secret.name).collect(),
    })
}

struct Packing {
    archive: Writer<Box<dyn Write + Send>>,
    client: Client,
    progress: Progress,
    bytes: u64,
}

impl Packing {
    fn add(&mut self, path: &str, bytes: &[u8]) -> Result<(), Problem> {
        self.bytes += bytes.len() as u64;
        self.archive.add(path, bytes).map_err(|e| unwritten(&e))
    }

    /// Of releases and packages.
    async fn trees(&mut self, trees: BTreeSet<Digest>) -> Result<(), Problem> {
        let mut blobs = BTreeSet::new();
        for digest in &trees {
            let bytes = self.client.blob_get(*digest).await?;
            let tree: Tree = serde_json::from_slice(&bytes)
                .map_err(|e| Problem::new(Code::Error, format!("tree {} is damaged: {e}", digest.short())))?;
            blobs.extend(lace_release::needed(&tree));
            self.add(&blob(digest), &bytes)?;
        }
        blobs.retain(|digest| !trees.contains(digest));
        for digest in blobs {
            let bytes = self.client.blob_get(digest).await?;
            self.add(&blob(&digest), &bytes)?;
        }
        Ok(())
    }

    async fn volume(&mut self, s: &mut Session, volume: &Volume) -> Result<(), Problem> {
        let host = Name::new(volume.host.clone()).map_err(|e| Problem::new(Code::Error, e.to_string()))?;
        let action = StreamAction::VolumeOut { volume: volume.name.clone(), host };
        let mut stream = self.client.open(&StreamOpen { target: volume.path.to_string(), action }).await?;
        let stored = Stored { place: volume.path.clone(), name: volume.name.clone(), size: volume.size };
        let (mut part, mut number) = (Vec::with_capacity(PART_BYTES), 0);
        loop {
            match stream.from.recv().await {
                Some(StreamFrame::Stdout(bytes)) => part.extend_from_slice(&bytes),
                Some(StreamFrame::Exit(0)) => break,
                Some(StreamFrame::Failed(problem)) => return Err(problem),
                Some(_) => {}
                None => return Err(cut_off(&stored)),
            }
            if part.len() >= PART_BYTES {
                self.add(&format!("{}{number:08}", stored.dir()), &part)?;
                part.clear();
                number += 1;
                let size = ByteSize(self.bytes).human();
                if let Some(line) =
                    self.progress.at(&format!("volume {} of {}: {size}", stored.name, stored.place))
                {
                    s.out.note(line);
                }
            }
        }
        self.add(&format!("{}{number:08}", stored.dir()), &part)
    }
}

fn cut_off(volume: &Stored) -> Problem {
    let text = format!("the stream of volume {} of {} ended before it was whole", volume.name, volume.place);
    Problem::new(Code::NodeUnreachable, text).hint("the archive is of no use: try again")
}

fn blob(digest: &Digest) -> String {
    format!("blobs/{digest}")
}
