//! Debian packages as a read-only layer: what they and those that they need have beside what this host has installed.
//!
//! `apt-get` finds out what is missing (apt-get(8): `--print-uris`, `--download-only`) with a cache of its own and without the
//! host's locks; nothing is installed on the host. `dpkg-deb -x` lays the files out. Scripts of the packages do not run: what
//! they would have made (users, alternatives) is not there.

use crate::error::{Error, Result};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Most bytes that are downloaded for one layer.
const DOWNLOAD_BYTES_MAX: u64 = 1 << 30;
/// Most packages of one layer, those that are needed by others among them.
const PACKAGES_MAX: usize = 1000;
/// How often a program is looked after.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Lines of what a program said that an error tells.
const LINES_TOLD: usize = 3;
/// Directories that are links into /usr where it is merged.
const INTO_USR: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Lays packages out at `place`, which is there as a whole or not at all. `lists` keeps what is known of packages where the
/// host itself knows too little; `within` is the time for everything.
///
/// # Errors
/// [`Error::Packages`]: no apt-get here, a package that nobody knows, no network, too much, too late.
pub fn lay_out(packages: &[String], place: &Path, lists: &Path, within: Duration) -> Result<()> {
    let work = place.with_extension("new");
    let made = make(packages, place, &work, lists, Instant::now() + within);
    let _ = fs::remove_dir_all(&work);
    made.map_err(|reason| Error::Packages { packages: packages.join(" "), reason })
}

fn make(packages: &[String], place: &Path, work: &Path, lists: &Path, until: Instant) -> Result<(), String> {
    let told = |e: io::Error| format!("{}: {e}", work.display());
    match fs::remove_dir_all(work) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(told(e)),
        _ => {}
    }
    let root = work.join("root");
    for dir in [&root, &work.join("archives/partial"), &lists.join("partial")] {
        fs::create_dir_all(dir).map_err(told)?;
    }
    let mut apt = Apt { work, lists: None, until };
    let wanted = match apt.wanted(packages) {
        Ok(wanted) => wanted,
        // The host may never have heard of packages, or so long ago that they are gone.
        Err(_) => {
            apt.lists = Some(lists);
            apt.update()?;
            apt.wanted(packages)?
        }
    };
    check_amount(&wanted)?;
    if !wanted.is_empty() && apt.download(packages).is_err() {
        apt.lists = Some(lists);
        apt.update()?;
        apt.download(packages)?;
    }
    let mut archives: Vec<PathBuf> = files_of(&work.join("archives")).map_err(told)?;
    archives.retain(|path| path.extension().is_some_and(|extension| extension == "deb"));
    for archive in archives {
        let mut command = Command::new("dpkg-deb");
        run(command.arg("-x").args([&archive, &root]), work, until)?;
    }
    merge_usr(&root).map_err(told)?;
    fs::rename(&root, place).map_err(told)
}

/// An archive that has to come, and its bytes.
type Wanted = Vec<u64>;

fn check_amount(wanted: &Wanted) -> Result<(), String> {
    let bytes: u64 = wanted.iter().sum();
    if wanted.len() <= PACKAGES_MAX && bytes <= DOWNLOAD_BYTES_MAX {
        return Ok(());
    }
    let (count, most) = (wanted.len(), DOWNLOAD_BYTES_MAX);
    Err(format!(
        "they need {count} packages with {bytes} bytes; at most {PACKAGES_MAX} with {most} are taken"
    ))
}

struct Apt<'a> {
    work: &'a Path,
    /// Lists of our own; else the host's.
    lists: Option<&'a Path>,
    until: Instant,
}

impl Apt<'_> {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("apt-get");
        let cache = format!("Dir::Cache={}", self.work.display());
        let lists = self.lists.map(|lists| format!("Dir::State::lists={}", lists.display()));
        let fixed = ["APT::Sandbox::User=root", "Debug::NoLocking=1", "APT::Install-Recommends=false"];
        for option in fixed.into_iter().chain([cache.as_str()]).chain(lists.as_deref()) {
            command.args(["-o", option]);
        }
        command
            .args(["-qq", "-y", "-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=20"])
            .args(words);
        command.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    fn ask(&self, words: &[&str], packages: &[String]) -> Result<String, String> {
        run(self.command(words).arg("--").args(packages), self.work, self.until)
    }

    /// Lines of `'URL' FILE BYTES HASH`.
    fn wanted(&self, packages: &[String]) -> Result<Wanted, String> {
        let said = self.ask(&["--print-uris", "install"], packages)?;
        let archives = said.lines().filter(|line| line.starts_with('\''));
        Ok(archives
            .map(|line| line.split(' ').nth(2).and_then(|bytes| bytes.parse().ok()).unwrap_or(0))
            .collect())
    }

    fn download(&self, packages: &[String]) -> Result<(), String> {
        self.ask(&["--download-only", "install"], packages).map(drop)
    }

    fn update(&self) -> Result<(), String> {
        run(&mut self.command(&["update"]), self.work, self.until).map(drop)
    }
}

/// Runs a program to its end and gives what it printed; late, it is killed with all that it began.
fn run(command: &mut Command, work: &Path, until: Instant) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let told = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => {
            format!("{name} is not on this host: only Debian and its kin lay packages out")
        }
        _ => format!("{name}: {e}"),
    };
    let file = |stream: &str| fs::File::create(work.join(stream));
    let (out, err) = (file("out").map_err(told)?, file("err").map_err(told)?);
    let mut child =
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0).spawn().map_err(told)?;
    let status = wait(&mut child, until).map_err(|e| format!("{name}: {e}"))?;
    let said = |stream: &str| {
        fs::read(work.join(stream))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    };
    if status.is_some_and(|status| status.success()) {
        return Ok(said("out"));
    }
    let errors = said("err");
    let lines: Vec<&str> = errors.lines().filter(|line| !line.starts_with("W:")).collect();
    let last = lines[lines.len().saturating_sub(LINES_TOLD)..].join("; ");
    match status {
        Some(status) => Err(format!("{name}: {status}: {last}")),
        None => Err(format!("{name} was not done in time and was ended; {last}")),
    }
}

/// How it ended; `None` where it had to be killed.
fn wait(child: &mut Child, until: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            if let Some(group) = rustix::process::Pid::from_raw(child.id().cast_signed()) {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn files_of(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let entries: io::Result<Vec<_>> = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect();
    entries.map(|mut paths| {
        paths.sort();
        paths
    })
}

/// What packages put into /lib and the like belongs into /usr, where nodes have it.
fn merge_usr(root: &Path) -> io::Result<()> {
    for name in INTO_USR {
        let (from, to) = (root.join(name), root.join("usr").join(name));
        if from.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            merge(&from, &to)?;
        }
    }
    Ok(())
}

fn merge(from: &Path, to: &Path) -> io::Result<()> {
    if !to.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        return fs::rename(from, to);
    }
    for path in files_of(from)? {
        let Some(name) = path.file_name() else { continue };
        match path.symlink_metadata()?.is_dir() {
            true => merge(&path, &to.join(name))?,
            false => fs::rename(&path, to.join(name))?,
        }
    }
    fs::remove_dir(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_outside_of_usr_comes_into_it() {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [("lib/x/a", "a"), ("usr/lib/x/b", "b"), ("sbin/c", "c"), ("etc/d", "d")] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        merge_usr(dir.path()).unwrap();
        for (path, text) in [("usr/lib/x/a", "a"), ("usr/lib/x/b", "b"), ("usr/sbin/c", "c"), ("etc/d", "d")]
        {
            assert_eq!(fs::read_to_string(dir.path().join(path)).unwrap(), text, "{path}");
        }
        assert!(!dir.path().join("lib").exists());
    }

    #[test]
    fn a_program_that_is_late_or_absent_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let soon = || Instant::now() + Duration::from_millis(100);
        let late = run(Command::new("sleep").arg("100"), dir.path(), soon()).unwrap_err();
        assert!(late.contains("not done in time"), "{late}");
        let absent = run(&mut Command::new("no-such-program"), dir.path(), soon()).unwrap_err();
        assert!(absent.contains("not on this host"), "{absent}");
    }

    #[test]
    fn too_much_is_refused() {
        assert!(check_amount(&vec![1; PACKAGES_MAX]).is_ok());
        assert!(check_amount(&vec![1; PACKAGES_MAX + 1]).is_err());
        assert!(check_amount(&vec![DOWNLOAD_BYTES_MAX, 1]).is_err());
    }
}
