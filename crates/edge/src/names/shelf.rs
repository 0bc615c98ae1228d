//! Topics on disk: one file per application, replaced as a whole.

use crate::control::FRAME_BYTES_MAX;
use lace_model::AppName;
use lace_model::document::Topic;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Counts the forms that a file has had.
const SCHEMA: u32 = 1;
const SUFFIX: &str = ".json";

#[derive(Serialize)]
struct SheetRef<'a> {
    schema: u32,
    topic: &'a Topic,
}

#[derive(Deserialize)]
struct Sheet {
    schema: u32,
    topic: Topic,
}

pub(super) struct Shelf(PathBuf);

impl Shelf {
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self(dir.to_owned()))
    }

    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// Every readable topic.
    pub fn load(&self) -> io::Result<Vec<Topic>> {
        let mut topics = Vec::new();
        for item in fs::read_dir(&self.0)? {
            let path = item?.path();
            if !path.to_string_lossy().ends_with(SUFFIX) {
                continue;
            }
            match read(&path) {
                Ok(topic) => topics.push(topic),
                Err(error) => tracing::warn!(path = %path.display(), %error, "passing over kept names"),
            }
        }
        Ok(topics)
    }

    /// Write beside, sync, rename: a reader finds the old file or the new one, whole.
    pub fn save(&self, topic: &Topic) -> io::Result<()> {
        let beside = self.0.join(format!("{}.new", topic.app));
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(&SheetRef { schema: SCHEMA, topic })?)?;
        file.sync_data()?;
        fs::rename(&beside, self.path(&topic.app))
    }

    pub fn remove(&self, app: &AppName) -> io::Result<()> {
        match fs::remove_file(self.path(app)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The name of an application has no dot and no slash in it, so it is safe as a file's name.
    fn path(&self, app: &AppName) -> PathBuf {
        self.0.join(format!("{app}{SUFFIX}"))
    }
}

fn read(path: &Path) -> io::Result<Topic> {
    let mut bytes = Vec::new();
    let limit = FRAME_BYTES_MAX as u64 + 4_096;
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    let sheet: Sheet = serde_json::from_slice(&bytes)?;
    let named = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(SUFFIX));
    let odd = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    if sheet.schema != SCHEMA {
        return odd(format!("schema {} is not known here", sheet.schema));
    }
    if named != Some(sheet.topic.app.as_str()) {
        return odd(format!("the file holds application {}", sheet.topic.app));
    }
    Ok(sheet.topic)
}
