//! What programs need from a host, read from ELF headers (System V gABI; symbol versions as in the Linux LSB).

use crate::chunk::ChunkSource;
use crate::error::Result;
use goblin::elf::{Elf, header};
use lace_model::release::{Needs, Tree, TreeNode};
use std::collections::{BTreeMap, BTreeSet};

/// Larger files are not looked into, in bytes: the largest BEAM with symbols has some 60 MB.
const FILE_BYTES_MAX: u64 = 128 << 20;
/// So many files are looked into at most.
const FILES_MAX: usize = 4096;
/// So many bytes of them together.
const BYTES_MAX: u64 = 2 << 30;

/// What one ELF file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub arch: String,
    pub libraries: Vec<String>,
    /// Highest `GLIBC_` version that it needs.
    pub glibc_needed: Option<String>,
    /// Highest `GLIBC_` version that it offers, for a libc itself.
    pub glibc_offered: Option<String>,
    /// Highest versions of the symbols of [`VERSIONED`] that it needs.
    pub needed: BTreeMap<String, String>,
    /// The same of those that it offers, for such a library itself.
    pub offered: BTreeMap<String, String>,
}

/// Libraries that stay at one name while they grow, beside glibc: the word before the versions of their symbols, their
/// file, and what people call them.
pub(crate) const VERSIONED: [(&str, &str, &str); 2] =
    [("OPENSSL", "libcrypto.so.3", "OpenSSL"), ("GLIBCXX", "libstdc++.so.6", "libstdc++")];

/// What a program needs of the machine that it is started on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The machine, as `uname -m` says it.
    pub machine: String,
    /// The oldest glibc that will do; none for a static program.
    pub glibc: Option<String>,
}

/// Reads what a program needs; `None` for what is no ELF file or a damaged one.
pub fn program(bytes: &[u8]) -> Option<Program> {
    facts(bytes).map(|facts| Program { machine: facts.arch, glibc: facts.glibc_needed })
}

/// Reads the headers; `None` for what is no ELF file or a damaged one.
pub(crate) fn facts(bytes: &[u8]) -> Option<Facts> {
    if !bytes.starts_with(b"\x7fELF") {
        return None;
    }
    // The bytes may be anybody's: a panic in the parser is a damaged file.
    std::panic::catch_unwind(|| parse(bytes)).ok()?
}

fn parse(bytes: &[u8]) -> Option<Facts> {
    let elf = Elf::parse(bytes).ok()?;
    let name = |at| elf.dynstrtab.get_at(at);
    let needed = elf.verneed.iter().flat_map(|section| section.iter());
    let needed: Vec<_> = needed
        .flat_map(|file| file.iter().filter_map(|aux| name(aux.vna_name)).collect::<Vec<_>>())
        .collect();
    let offered = elf.verdef.iter().flat_map(|section| section.iter());
    let offered: Vec<_> =
        offered.flat_map(|def| def.iter().filter_map(|aux| name(aux.vda_name)).collect::<Vec<_>>()).collect();
    Some(Facts {
        arch: arch(elf.header.e_machine, elf.is_64, elf.little_endian),
        libraries: elf.libraries.iter().map(|name| (*name).to_owned()).collect(),
        glibc_needed: version_of("GLIBC", &needed),
        glibc_offered: version_of("GLIBC", &offered),
        needed: versions(&needed),
        offered: versions(&offered),
    })
}

/// The highest version behind a word, of symbol versions such as `GLIBC_2.34`.
fn version_of(word: &str, symbols: &[&str]) -> Option<String> {
    highest(symbols.iter().filter_map(|symbol| symbol.strip_prefix(word)?.strip_prefix('_')))
}

/// The highest versions of the libraries that we know.
fn versions(symbols: &[&str]) -> BTreeMap<String, String> {
    let of = |(word, ..): &(&str, &str, &str)| Some(((*word).to_owned(), version_of(word, symbols)?));
    VERSIONED.iter().filter_map(of).collect()
}

/// The name that `uname -m` has for the machine.
fn arch(machine: u16, is_64: bool, little: bool) -> String {
    match (machine, is_64, little) {
        (header::EM_X86_64, ..) => "x86_64".into(),
        (header::EM_AARCH64, ..) => "aarch64".into(),
        (header::EM_386, ..) => "i686".into(),
        (header::EM_ARM, ..) => "armv7l".into(),
        (header::EM_RISCV, true, _) => "riscv64".into(),
        (header::EM_PPC64, _, true) => "ppc64le".into(),
        (header::EM_S390, true, _) => "s390x".into(),
        (other, ..) => format!("machine-{other}"),
    }
}

/// The highest of versions such as `2.34`; words such as `PRIVATE` are none.
fn highest<'a>(versions: impl Iterator<Item = &'a str>) -> Option<String> {
    let numbered = versions.filter(|v| v.starts_with(|c: char| c.is_ascii_digit()));
    numbered.max_by_key(|v| numbers(v)).map(str::to_owned)
}

/// `2.34` as numbers, to be compared.
pub(crate) fn numbers(version: &str) -> Vec<u64> {
    version.split(['.', '-']).map(|part| part.parse().unwrap_or(0)).collect()
}

/// Looks into every program and library of the tree. Where files are for several machines, the one that counts is that of
/// the ERTS, else the most frequent.
pub(crate) fn needs(tree: &Tree, source: &dyn ChunkSource) -> Result<Needs> {
    let mut found: BTreeMap<String, Vec<Facts>> = BTreeMap::new();
    let mut erts = None;
    let mut bytes_left = BYTES_MAX;
    let candidates = tree.entries.iter().filter_map(|entry| match &entry.node {
        TreeNode::File { size, executable, chunks }
            if *size <= FILE_BYTES_MAX && (*executable || is_library(&entry.path)) =>
        {
            Some((&entry.path, *size, chunks))
        }
        _ => None,
    });
    for (path, size, chunks) in candidates.take(FILES_MAX) {
        let Some(first) = chunks.first().map(|digest| source.chunk(digest)).transpose()? else { continue };
        if !first.starts_with(b"\x7fELF") || size > bytes_left {
            continue;
        }
        bytes_left -= size;
        let mut bytes = first;
        for digest in &chunks[1..] {
            bytes.extend(source.chunk(digest)?);
        }
        let Some(facts) = facts(&bytes) else { continue };
        if path.starts_with("erts-") && erts.is_none() {
            erts = Some(facts.arch.clone());
        }
        found.entry(facts.arch.clone()).or_default().push(facts);
    }
    let arch = erts.or_else(|| found.iter().max_by_key(|(_, all)| all.len()).map(|(arch, _)| arch.clone()));
    let facts = arch.as_ref().and_then(|arch| found.remove(arch)).unwrap_or_default();
    let carried: BTreeSet<&str> = tree.entries.iter().filter_map(|e| e.path.rsplit('/').next()).collect();
    let libraries: BTreeSet<&String> = facts.iter().flat_map(|f| &f.libraries).collect();
    Ok(Needs {
        arch,
        glibc: highest(facts.iter().filter_map(|f| f.glibc_needed.as_deref())),
        versions: of_all(&facts, &carried),
        libraries: libraries.into_iter().filter(|name| !carried.contains(name.as_str())).cloned().collect(),
        ..Needs::default()
    })
}

/// What all files together need of libraries that the release does not carry itself.
fn of_all(facts: &[Facts], carried: &BTreeSet<&str>) -> BTreeMap<String, String> {
    let outside = VERSIONED.iter().filter(|(_, file, _)| !carried.contains(file));
    let of = |(word, ..): &(&str, &str, &str)| {
        let version = highest(facts.iter().filter_map(|f| f.needed.get(*word).map(String::as_str)));
        Some(((*word).to_owned(), version?))
    };
    outside.filter_map(of).collect()
}

fn is_library(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.ends_with(".so") || name.contains(".so.")
}
