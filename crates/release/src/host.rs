//! What a host has, and what a release would miss on it.

use crate::elf;
use lace_model::release::Needs;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What releases may ask of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Machine as `uname -m` names it.
    pub arch: String,
    /// Version of its glibc; `None` where it has none.
    pub glibc: Option<String>,
    /// Highest versions of other libraries' symbols, by the word before them, such as `OPENSSL`.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
    /// Names of the shared objects that its loader finds.
    pub libraries: BTreeSet<String>,
    /// Names of the programs on the usual path.
    pub programs: BTreeSet<String>,
    /// Versions of ERTS that are installed.
    pub erts: BTreeSet<String>,
    /// Applications of its Erlang.
    #[serde(default)]
    pub otp: BTreeSet<String>,
}

/// Directories of programs, as nodes have them in PATH.
const PROGRAM_DIRS: [&str; 6] = ["usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin"];
/// Directories of libraries beside the loader's cache.
const LIBRARY_DIRS: [&str; 5] = ["lib", "usr/lib", "lib64", "usr/lib64", "usr/local/lib"];
/// The loader's cache is not read beyond this, in bytes; a desktop's has some 200 kB.
const CACHE_BYTES_MAX: u64 = 16 << 20;

impl HostFacts {
    /// Looks at this machine. What cannot be read counts as absent.
    pub fn detect() -> Self {
        let arch = rustix::system::uname().machine().to_string_lossy().into_owned();
        Self::detect_in(Path::new("/"), arch)
    }

    /// Looks at a root file system, for a machine.
    pub fn detect_in(root: &Path, arch: String) -> Self {
        let mut library_dirs: Vec<PathBuf> = LIBRARY_DIRS.iter().map(|dir| root.join(dir)).collect();
        for triplet in [format!("lib/{arch}-linux-gnu"), format!("usr/lib/{arch}-linux-gnu")] {
            library_dirs.push(root.join(triplet));
        }
        let mut libraries: BTreeSet<String> = library_dirs.iter().flat_map(|dir| names(dir)).collect();
        libraries.retain(|name| name.contains(".so"));
        libraries.extend(cached(&root.join("etc/ld.so.cache")));
        Self {
            glibc: library_dirs.iter().find_map(|dir| glibc(&dir.join("libc.so.6"))),
            versions: versions(&library_dirs),
            libraries,
            programs: PROGRAM_DIRS.iter().flat_map(|dir| names(&root.join(dir))).collect(),
            erts: names(&root.join("usr/lib/erlang"))
                .filter_map(|name| Some(name.strip_prefix("erts-")?.to_owned()))
                .collect(),
            otp: names(&root.join("usr/lib/erlang/lib"))
                .filter_map(|name| Some(name.rsplit_once('-')?.0.to_owned()))
                .collect(),
            arch,
        }
    }
}

fn names(dir: &Path) -> impl Iterator<Item = String> + use<> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// The version that a libc's own symbols have: `gnu_get_libc_version` would tell of the libc that we were built with.
fn glibc(path: &Path) -> Option<String> {
    elf::facts(&std::fs::read(path).ok()?)?.glibc_offered
}

/// What the libraries offer that grow without another name.
fn versions(dirs: &[PathBuf]) -> BTreeMap<String, String> {
    let offered = |file: &str| {
        let mut read = dirs.iter().filter_map(|dir| std::fs::read(dir.join(file)).ok());
        read.find_map(|bytes| elf::facts(&bytes)).map(|facts| facts.offered).unwrap_or_default()
    };
    elf::VERSIONED.iter().flat_map(|(_, file, _)| offered(file)).collect()
}

/// Names in the loader's cache (glibc, sysdeps/generic/dl-cache.h, format 1.1).
fn cached(path: &Path) -> Vec<String> {
    let small = std::fs::metadata(path).is_ok_and(|meta| meta.len() <= CACHE_BYTES_MAX);
    let bytes = if small { std::fs::read(path).unwrap_or_default() } else { Vec::new() };
    parse_cache(&bytes).unwrap_or_default()
}

const CACHE_MAGIC: &[u8] = b"glibc-ld.so.cache1.1";

fn parse_cache(bytes: &[u8]) -> Option<Vec<String>> {
    let start = bytes.windows(CACHE_MAGIC.len()).position(|w| w == CACHE_MAGIC)?;
    let cache = &bytes[start..];
    let word = |at: usize| Some(u32::from_le_bytes(cache.get(at..at + 4)?.try_into().ok()?) as usize);
    let count = word(20)?.min(cache.len() / 24);
    let name = |i: usize| {
        let text = cache.get(word(48 + 24 * i + 4)?..)?;
        let end = text.iter().position(|b| *b == 0)?;
        Some(std::str::from_utf8(&text[..end]).ok()?.to_owned())
    };
    Some((0..count).filter_map(name).collect())
}

/// Debian packages of libraries and programs that releases often miss.
const PACKAGES: [(&str, &str); 9] = [
    ("libcrypto.so.3", "libssl3"),
    ("libssl.so.3", "libssl3"),
    ("libtinfo.so.6", "libtinfo6"),
    ("libncursesw.so.6", "libncursesw6"),
    ("libstdc++.so.6", "libstdc++6"),
    ("libsctp.so.1", "libsctp1"),
    ("erl", "erlang-base"),
    ("python3", "python3-minimal"),
    ("node", "nodejs"),
];

impl HostFacts {
    /// The facts as a host's attributes carry them (lists with commas); `None` where it says nothing of its machine.
    pub fn from_attributes(attributes: &BTreeMap<String, String>) -> Option<Self> {
        let list = |name: &str| -> BTreeSet<String> {
            let text = attributes.get(name).map(String::as_str).unwrap_or_default();
            text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        Some(Self {
            arch: attributes.get("arch")?.clone(),
            glibc: attributes.get("glibc").cloned(),
            versions: list("versions")
                .iter()
                .filter_map(|said| said.split_once('='))
                .map(|(word, version)| (word.to_owned(), version.to_owned()))
                .collect(),
            libraries: list("libraries"),
            programs: list("programs"),
            erts: list("erts"),
            otp: list("otp"),
        })
    }
}

/// What the release needs and the host does not have, a line for each; empty: it can run.
pub fn preflight(needs: &Needs, host: &HostFacts) -> Vec<String> {
    let mut missing = Vec::new();
    if let Some(arch) = needs.arch.as_ref().filter(|arch| !runs(arch, &host.arch)) {
        // The host's libraries are for its own machine: nothing more can be said.
        return vec![format!("the release is built for {arch}, the host is {}", host.arch)];
    }
    if let Some(wanted) = &needs.glibc {
        match &host.glibc {
            Some(has) if elf::numbers(has) >= elf::numbers(wanted) => {}
            Some(has) => missing.push(format!(
                "glibc {wanted} or newer is needed, the host has {has}: build the release on a system as old as the host"
            )),
            None => missing.push(format!("glibc {wanted} or newer is needed, the host has none")),
        }
    }
    missing.extend(elf::VERSIONED.iter().filter_map(|(word, file, name)| {
        // A library that is not there at all has its own line.
        let (wanted, has) = (needs.versions.get(*word)?, host.versions.get(*word)?);
        (elf::numbers(has) < elf::numbers(wanted)).then(|| {
            format!(
                "{name} {wanted} or newer is needed ({file}), the host has {has}: build the release on a system as old as the host"
            )
        })
    }));
    let absent = |name: &&String| !host.libraries.contains(*name);
    missing.extend(needs.libraries.iter().filter(absent).map(|name| lacks("library", name)));
    let absent = |name: &&String| !host.programs.contains(*name);
    missing.extend(needs.programs.iter().filter(absent).map(|name| lacks("program", name)));
    if let Some(erts) = needs.erts.as_ref().filter(|v| !needs.erts_included && !host.erts.contains(*v)) {
        let has: Vec<&str> = host.erts.iter().map(String::as_str).collect();
        let has = if has.is_empty() { "none".into() } else { has.join(", ") };
        missing.push(format!(
            "ERTS {erts} is not in the release, and the host has {has}: include ERTS in the release"
        ));
    }
    // One that says nothing of its Erlang may have them.
    let has = |app: &&String| needs.erts_included || !host.otp.is_empty() && !host.otp.contains(*app);
    missing.extend(needs.absent.iter().filter(has).map(|app| match needs.erts_included {
        true => {
            format!("the release starts the application {app}, and has it not in its lib: build it again")
        }
        false => format!(
            "the Erlang application {app} is missing (Debian: apt install erlang-{})",
            app.replace('_', "-")
        ),
    }));
    missing
}

fn lacks(what: &str, name: &str) -> String {
    match PACKAGES.iter().find(|(known, _)| *known == name) {
        Some((_, package)) => format!("the {what} {name} is missing (Debian: apt install {package})"),
        None => format!("the {what} {name} is missing"),
    }
}

/// 32-bit x86 programs run on 64-bit machines.
fn runs(wanted: &str, host: &str) -> bool {
    wanted == host || (wanted == "i686" && host == "x86_64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bytes_make_the_cache_reader_panic() {
        let mut bytes = CACHE_MAGIC.to_vec();
        bytes.extend([0xff; 100]);
        assert_eq!(parse_cache(&bytes), Some(vec![]));
        assert_eq!(parse_cache(b"other"), None);
    }
}
