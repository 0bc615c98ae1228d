//! The files that are written into a node before its process starts.

use super::{HOME, Secrets};
use crate::context::Context;
use lace_machine::FileSpec;
use lace_model::beam::CA_PREFIX;
use lace_model::revision::{self, RevisionSpec};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A file of root's own in the node's tmpfs: it never reaches a disk.
pub fn private(path: &str, content: Vec<u8>) -> FileSpec {
    FileSpec { path: path.into(), mode: 0o600, owner: None, content, tmpfs: true }
}

/// Every secret as a file, also those that are no text. Who holds the authority makes members of the cluster: it stays out.
pub fn secrets(secrets: &Secrets) -> Vec<FileSpec> {
    let file =
        |(name, value): (&String, &Vec<u8>)| private(&format!("/run/lace/secrets/{name}"), value.clone());
    secrets.0.iter().filter(|(name, _)| !name.starts_with(CA_PREFIX)).map(file).collect()
}

/// Everything that a node may know, for its own programs.
pub fn context(context: &Context) -> FileSpec {
    private("/run/lace/context.json", context.json())
}

/// The revision's own files, those whose texts are `wanted`. One that holds a secret's value must be asked for below
/// /run to stay off the disk.
pub fn rendered(
    spec: &RevisionSpec,
    context: &Context,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<FileSpec>, String> {
    let file = |(path, file): (&String, &revision::FileSpec)| {
        let content =
            if file.verbatim { file.content.clone() } else { context.render(path, &file.content)? };
        let tmpfs = path.starts_with("/run/");
        Ok(FileSpec { path: path.into(), mode: file.mode, owner: None, content: content.into_bytes(), tmpfs })
    };
    spec.files.iter().filter(|(_, file)| wanted(&file.content)).map(file).collect()
}

/// Files of the release that are templates, those whose texts are `wanted`: the rendered text lies over the file of the
/// tree.
pub fn templates(
    spec: &RevisionSpec,
    context: &Context,
    layer: &Path,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<FileSpec>, String> {
    let mut files = Vec::new();
    for name in &spec.templates {
        let (text, executable) = of_release(layer, name).map_err(|e| format!("template {name}: {e}"))?;
        if wanted(&text) {
            files.push(over(name, context.render(name, &text)?, executable));
        }
    }
    Ok(files)
}

/// A text file of the release, and whether it may be executed.
pub fn of_release(layer: &Path, name: &str) -> std::io::Result<(String, bool)> {
    let path = layer.join("app").join(name);
    let executable = std::fs::metadata(&path)?.permissions().mode() & 0o111 != 0;
    Ok((std::fs::read_to_string(path)?, executable))
}

/// A file that lies over one of the release.
pub fn over(name: &str, text: String, executable: bool) -> FileSpec {
    let mode = if executable { 0o755 } else { 0o644 };
    FileSpec { path: Path::new(HOME).join(name), mode, owner: None, content: text.into_bytes(), tmpfs: false }
}
