//! What has to be in a node before its runtime can change over: the parts of the new release that it lacks, beside the
//! running one, with everything that is added to a node's release.

use super::super::{CONFIG, flags};
use super::build;
use super::config::{Settings, expanded, merged, own_settings, settings};
use super::environment::Said;
use crate::node::ask;
use crate::spec::{HOME, OverRelease, of_release};
use lace_beam::term::parse::parse_all;
use lace_beam::{Call, Link, Term};
use lace_machine::NodeHandle;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Instructions that mean a restart of the runtime.
const RESTARTS: [&str; 2] = ["restart_new_emulator", "restart_emulator"];
/// Most files of a release that are put beside another.
const FILES_MAX: usize = 20_000;

/// The parts, by their place in the node.
#[derive(Default)]
pub struct Parcel {
    /// The new release.
    pub version: String,
    /// Its `.rel` file in the node.
    pub rel: String,
    /// What its configuration says, and that of the release that is left, what is added included.
    pub said: Said,
    pub(super) files: BTreeMap<PathBuf, Part>,
    /// Its scripts that are not the former one's: they are used from the next start on.
    pub(super) scripts: BTreeMap<PathBuf, Part>,
}

pub(super) struct Part {
    mode: u32,
    content: Content,
}

pub(super) enum Content {
    /// A file of the tree.
    Of(PathBuf),
    /// Made here.
    Made(Vec<u8>),
}

impl Parcel {
    /// Looks the new tree through. `over`: what lies over its files in a node; `under`: over those of the old one.
    pub fn of(
        old: &Path,
        new: &Path,
        from: &str,
        (under, over): (OverRelease, OverRelease),
    ) -> Result<Self, String> {
        let version = flags::version(new)?;
        let mut parcel = Self { version: version.clone(), ..Self::default() };
        parcel.take_scripts(old, new, Path::new("bin"))?;
        if version == from {
            // It is there, and what an agent left to do that is gone.
            parcel.overlay(&over);
            return Ok(parcel);
        }
        let releases = format!("releases/{version}");
        if runtime(old)? != runtime(new)? {
            return Err(format!("release {version} has another runtime: only a restart changes that"));
        }
        check_relup(old, new, &version, from)?;
        if flags::version(old)? != from {
            return Err(format!(
                "its runtime boots release {from}, and its revision says {}",
                flags::version(old)?
            ));
        }
        parcel.take(old, new, Path::new("lib"))?;
        parcel.take(Path::new("/nonexistent"), new, Path::new(&releases))?;
        parcel.rel = parcel.find_rel(&releases)?;
        let own = own(&over);
        parcel.overlay(&over);
        parcel.configure(&releases, &own, &over.env)?;
        // One that cannot be read is left as it is, and explains nothing.
        if let Ok(text) = former(old, from, &under) {
            parcel.said.old = settings(&text)?;
        }
        parcel.said.defaults = defaults(old);
        parcel.said.ours = settings(&own)?.into_keys().collect();
        Ok(parcel)
    }

    /// What lies over files of a release takes their places.
    fn overlay(&mut self, over: &OverRelease) {
        for file in &over.files {
            let scripts = &mut self.scripts;
            if let Some(part) = self.files.get_mut(&file.path).or_else(|| scripts.get_mut(&file.path)) {
                *part = Part { mode: file.mode, content: Content::Made(file.content.clone()) };
            }
        }
    }

    /// Everything below a directory of the tree that the old tree has not.
    fn take(&mut self, old: &Path, new: &Path, dir: &Path) -> Result<(), String> {
        let place = new.join("app").join(dir);
        let entries = std::fs::read_dir(&place).map_err(|e| format!("{}: {e}", dir.display()))?;
        for entry in entries.flatten() {
            let path = dir.join(entry.file_name());
            let meta = std::fs::metadata(entry.path()).map_err(|e| format!("{}: {e}", path.display()))?;
            if meta.is_dir() {
                self.take(old, new, &path)?;
            } else if old.join("app").join(&path).exists() {
                build::check(&path, &old.join("app"), &new.join("app"))?;
            } else {
                let part =
                    Part { mode: meta.permissions().mode() & 0o755, content: Content::Of(entry.path()) };
                self.files.insert(Path::new(HOME).join(path), part);
            }
            if self.files.len() > FILES_MAX {
                return Err(format!("release {} adds more than {FILES_MAX} files", self.version));
            }
        }
        Ok(())
    }

    /// Start scripts with their hooks, as far as they are other ones now.
    fn take_scripts(&mut self, old: &Path, new: &Path, dir: &Path) -> Result<(), String> {
        for entry in std::fs::read_dir(new.join("app").join(dir)).into_iter().flatten().flatten() {
            let path = dir.join(entry.file_name());
            let meta = std::fs::metadata(entry.path()).map_err(|e| format!("{}: {e}", path.display()))?;
            if meta.is_dir() {
                self.take_scripts(old, new, &path)?;
                continue;
            }
            let read = |layer: &Path| std::fs::read(layer.join("app").join(&path)).ok();
            if read(old) != read(new) {
                let part =
                    Part { mode: meta.permissions().mode() & 0o755, content: Content::Of(entry.path()) };
                self.scripts.insert(Path::new(HOME).join(&path), part);
            }
            if self.scripts.len() > FILES_MAX {
                return Err(format!("release {} has more than {FILES_MAX} other scripts", self.version));
            }
        }
        Ok(())
    }

    fn find_rel(&self, releases: &str) -> Result<String, String> {
        let dir = Path::new(HOME).join(releases);
        let is_it = |path: &&PathBuf| {
            path.parent() == Some(&dir)
                && path.extension().is_some_and(|e| e == "rel")
                && path.file_stem().is_some_and(|name| name != "start_clean")
        };
        let found = self.files.keys().find(is_it);
        let found =
            found.ok_or_else(|| format!("release {} has no .rel file in {releases}", self.version))?;
        Ok(found.display().to_string())
    }

    /// The configuration that the release handler will read, with everything in it.
    fn configure(&mut self, releases: &str, own: &str, env: &BTreeMap<String, String>) -> Result<(), String> {
        let path = config_of(releases);
        let text = match (self.text(&path)?, self.text(&path.with_extension("config.src"))?) {
            (_, Some(template)) => expanded(&template, env)?,
            (Some(text), None) if is_replaced(env) => expanded(&text, env)?,
            (Some(text), None) => text,
            (None, None) => return Err(format!("release {} has no sys.config", self.version)),
        };
        let text = merged(&text, own)?;
        self.said.new = settings(&text)?;
        self.files.insert(path, Part::made(text));
        Ok(())
    }

    fn text(&self, path: &Path) -> Result<Option<String>, String> {
        let Some(part) = self.files.get(path) else { return Ok(None) };
        let bytes = part.bytes().map_err(|e| format!("{}: {e}", path.display()))?;
        String::from_utf8(bytes).map(Some).map_err(|_| format!("{} is no text", path.display()))
    }

    /// Writes everything into the node.
    pub async fn put(&self, link: &Link, node: &NodeHandle) -> Result<(), String> {
        put(&self.files, |_| true, (link, node)).await
    }

    /// Writes what is made for the node, as it is today, over a release that was there before.
    pub async fn put_made(&self, link: &Link, node: &NodeHandle) -> Result<(), String> {
        put(&self.files, |part| matches!(part.content, Content::Made(_)), (link, node)).await
    }

    /// Puts the scripts of a release that is permanent.
    pub async fn put_scripts(&self, link: &Link, node: &NodeHandle) -> Result<(), String> {
        put(&self.scripts, |_| true, (link, node)).await
    }
}

/// The configuration of the release that is left, as the handler has to find it for the way back. One that cannot be read is left
/// as it is.
#[derive(Default)]
pub struct Kept(BTreeMap<PathBuf, Part>);

impl Kept {
    /// Of a release in its tree. `under`: what lies over its files in a node.
    pub fn of(old: &Path, from: &str, under: &OverRelease) -> Self {
        let text = former(old, from, under).map(Part::made);
        Self(text.into_iter().map(|part| (config_of(&format!("releases/{from}")), part)).collect())
    }

    /// Writes it into the node.
    pub async fn put(&self, link: &Link, node: &NodeHandle) -> Result<(), String> {
        put(&self.0, |_| true, (link, node)).await
    }
}

async fn put(
    files: &BTreeMap<PathBuf, Part>,
    which: fn(&Part) -> bool,
    (link, node): (&Link, &NodeHandle),
) -> Result<(), String> {
    let mut made = None;
    for (path, part) in files.iter().filter(|(_, part)| which(part)) {
        if path.parent() != made {
            let ensure = vec![Term::charlist(&path.display().to_string())];
            link.call(Call::new("filelib", "ensure_dir", ensure)).await.map_err(|e| e.to_string())?;
            made = path.parent();
        }
        let bytes = part.bytes().map_err(|e| format!("{}: {e}", path.display()))?;
        let (path, mode) = (path.clone(), part.mode);
        ask(node, move |node| node.put(&path, mode, &bytes)).await?;
    }
    Ok(())
}

impl Part {
    fn made(text: String) -> Self {
        Self { mode: 0o644, content: Content::Made(text.into_bytes()) }
    }

    fn bytes(&self) -> std::io::Result<Vec<u8>> {
        match &self.content {
            Content::Of(path) => std::fs::read(path),
            Content::Made(bytes) => Ok(bytes.clone()),
        }
    }
}

/// The version of the runtime that a release starts.
fn runtime(layer: &Path) -> Result<String, String> {
    let (text, _) =
        of_release(layer, "releases/start_erl.data").map_err(|e| format!("start_erl.data: {e}"))?;
    Ok(text.split_whitespace().next().unwrap_or_default().to_owned())
}

/// The configuration of a release in a node.
fn config_of(releases: &str) -> PathBuf {
    Path::new(HOME).join(releases).join("sys.config")
}

/// Does relx's script put variables into a plain configuration, too?
fn is_replaced(env: &BTreeMap<String, String>) -> bool {
    env.get("RELX_REPLACE_OS_VARS").is_some_and(|said| said == "true")
}

/// What is added to a node's configuration.
fn own(over: &OverRelease) -> String {
    let file = over.files.iter().find(|file| file.path == Path::new(CONFIG));
    file.map_or_else(|| "[].".to_owned(), |file| String::from_utf8_lossy(&file.content).into_owned())
}

/// The configuration of the release that is left, as it is in the node.
fn former(old: &Path, from: &str, under: &OverRelease) -> Result<String, String> {
    let releases = format!("releases/{from}");
    let read = |name: &str| {
        let path = Path::new(HOME).join(&releases).join(name);
        let over = under.files.iter().find(|file| file.path == path);
        let over = over.map(|file| String::from_utf8_lossy(&file.content).into_owned());
        over.or_else(|| of_release(old, &format!("{releases}/{name}")).ok().map(|(text, _)| text))
    };
    let text = match read("sys.config.src") {
        Some(template) => expanded(&template, &under.env)?,
        None => match read("sys.config").ok_or("no sys.config")? {
            text if is_replaced(&under.env) => expanded(&text, &under.env)?,
            text => text,
        },
    };
    merged(&text, &own(under))
}

/// What the applications of a release say of their own settings. Of one that lies elsewhere nothing is known.
fn defaults(layer: &Path) -> Settings {
    let mut found = Settings::new();
    for entry in std::fs::read_dir(layer.join("app/lib")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((app, _)) = name.rsplit_once('-') else { continue };
        let file = format!("lib/{name}/ebin/{app}.app");
        let Some((text, _)) = of_release(layer, &file).ok() else { continue };
        found.extend(own_settings(app, &text));
    }
    found
}

/// Relups lead from the one to the other and back again: what goes wrong is undone the same way, not by a restart.
fn check_relup(old: &Path, new: &Path, version: &str, from: &str) -> Result<(), String> {
    let hint = format!("build it with appups and a relup from {from} and back, or roll it without --hot");
    let read = |layer: &Path, of: &str| of_release(layer, &format!("releases/{of}/relup")).ok();
    let (up, down) = (read(new, version), read(old, from));
    let way = |relup: &Option<(String, bool)>, place: usize, other: &str| match relup {
        Some((text, _)) => way(text, place, other),
        None => Ok(None),
    };
    let forth = match way(&up, UP, from)? {
        Some(steps) => steps,
        None => way(&down, DOWN, version)?.ok_or_else(|| match up {
            None => format!("release {version} has no relup: {hint}"),
            Some(_) => format!("the relup of release {version} knows no way from {from}: {hint}"),
        })?,
    };
    let back = match way(&down, UP, version)? {
        Some(steps) => Some(steps),
        None => way(&up, DOWN, from)?,
    };
    let back =
        back.ok_or_else(|| format!("no relup knows a way back from release {version} to {from}: {hint}"))?;
    let restarts = |steps: &[Term]| {
        steps.iter().filter_map(Term::as_atom).find(|word| RESTARTS.contains(word)).map(str::to_owned)
    };
    if let Some(word) = restarts(&forth) {
        return Err(format!("the relup of release {version} restarts the runtime ({word})"));
    }
    match restarts(&back) {
        Some(word) => Err(format!(
            "the way back from release {version} to {from} restarts the runtime ({word}): {hint}"
        )),
        None => Ok(()),
    }
}

/// Where ways up and ways down stand in a relup: `{VSN, [{FROM, DESCR, STEPS}], [{TO, DESCR, STEPS}]}`.
const UP: usize = 1;
const DOWN: usize = 2;

/// The steps of a relup from or to another version; none where it has no such way.
fn way(text: &str, place: usize, other: &str) -> Result<Option<Vec<Term>>, String> {
    let read = parse_all(text).map_err(|error| format!("the relup: {error}"))?;
    let ways = read.first().and_then(Term::as_tuple).and_then(|relup| relup.get(place)?.as_list());
    let found = ways.unwrap_or_default().iter().find_map(|way| match way.as_tuple() {
        Some([version, _, steps]) if version.as_text().as_deref() == Some(other) => steps.as_list(),
        _ => None,
    });
    Ok(found.map(<[Term]>::to_vec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relup_is_read_for_the_way_that_is_meant() {
        let text = "{\"2\",[{\"1\",[],[{load_object_code,{a,\"2\",[a]}},point_of_no_return]},\
            {\"0\",[],[restart_new_emulator]}],[{\"1\",[],[restart_emulator]}]}.";
        let steps = |place, other: &str| way(text, place, other).unwrap().map(|steps| steps.len());
        assert_eq!((steps(UP, "1"), steps(UP, "0"), steps(UP, "3")), (Some(2), Some(1), None));
        assert_eq!((steps(DOWN, "1"), steps(DOWN, "0")), (Some(1), None));
        assert!(way("{", UP, "1").is_err());
    }
}
