//! `lace package upload`, `list`, `show`, `delete`: packages that a controller keeps.

use super::shown::picture;
use crate::command::output::ago;
use crate::command::upload::send;
use crate::command::{Exit, Outcome, Session, confirm};
use lace_model::{ByteSize, Code, Problem};
use lace_release::package::{PACKAGE_LIMITS, look_at};
use lace_release::read_path;
use lace_wire::api::PackageUpload;
use std::path::Path;

/// Looks at a directory or an archive as `lace package check` does, then sends what is missing.
pub(super) async fn upload(path: &Path, s: &mut Session) -> Outcome {
    let place = s.at(path);
    let read = tokio::task::spawn_blocking(move || read_path(&place, &PACKAGE_LIMITS, None)).await;
    let read = read.map_err(|e| Problem::new(Code::Error, format!("cannot read {}: {e}", path.display())))?;
    let packed = read.map_err(|e| e.problem())?;
    let looked = look_at(&packed.tree, &packed.chunks)?;
    looked.remarks.iter().for_each(|remark| s.out.note(format!("remark: {remark}")));
    let package = looked.good()?;
    let client = s.client()?;
    send(s, &client, &package.key(), &packed).await?;
    let kept = client.package_create(&PackageUpload { tree: packed.tree.clone() }).await?;
    s.out.item(&kept, |kept| kept.spec.key());
    Ok(Exit::DONE)
}

/// All packages, by name and the newest first.
pub(super) async fn list(s: &mut Session) -> Outcome {
    let mut packages = s.client()?.packages().await?;
    packages.sort_by(|a, b| a.spec.name.cmp(&b.spec.name).then(b.uploaded_at.cmp(&a.uploaded_at)));
    let now = s.now();
    s.out.list(&packages, &["name", "version", "roles", "size", "since", "summary"], |package| {
        let roles: Vec<&str> = package.spec.roles.keys().map(|role| role.as_str()).collect();
        let since = if package.built_in { "built in".into() } else { ago(now, package.uploaded_at) };
        vec![
            package.spec.name.as_str().into(),
            package.spec.version.as_str().into(),
            roles.join(" ").into(),
            ByteSize(package.bytes).human().into(),
            since.into(),
            package.spec.summary.as_str().into(),
        ]
    });
    Ok(Exit::DONE)
}

/// One package.
pub(super) async fn show(name: &str, s: &mut Session) -> Outcome {
    let package = s.client()?.package(name).await?;
    s.out.item(&package, picture);
    Ok(Exit::DONE)
}

/// Deletes one that nothing uses.
pub(super) async fn delete(name: &str, s: &mut Session) -> Outcome {
    confirm::destructive(s, &format!("this deletes package {name}"))?;
    s.client()?.package_delete(name).await?;
    s.out.say(format!("package {name} is deleted"));
    Ok(Exit::DONE)
}
