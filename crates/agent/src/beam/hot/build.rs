//! Two builds of an application under one version.
//!
//! Its directory is the same in both releases, so the runtime keeps the code that it has: an upgrade would change nothing of it
//! without a word. Compilers write into a module where it was made (its compile info, its line table, the file names that `?FILE` and
//! the logger's macros leave among its literals), and a number of all that into its functions. What counts is the rest of the
//! chunks that `beam_lib:md5/1` of OTP's stdlib counts; their forms are those of OTP's `beam_file.c`.

use flate2::read::ZlibDecoder;
use lace_beam::Term;
use lace_beam::term::decode::decode;
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What makes a module what it does.
const CODE: [&[u8; 4]; 8] = [b"Atom", b"AtU8", b"Code", b"StrT", b"ImpT", b"ExpT", b"FunT", b"LitT"];
/// Larger modules, and literals of a module, are compared byte by byte.
const MODULE_MAX: u64 = 16 << 20;
/// A function in `FunT`: name, arity, label, index, free variables, and a number made of the whole module.
const FUNCTION_BYTES: usize = 24;
const NUMBER_AT: usize = 20;
/// What the names of sources end with.
const SOURCES: [&str; 6] = [".erl", ".hrl", ".ex", ".exs", ".yrl", ".xrl"];

/// Is a file of an application's directory in both trees the same thing?
///
/// # Errors
/// Says which application was built anew under its version.
pub fn check(path: &Path, old: &Path, new: &Path) -> Result<(), String> {
    let mut parts = path.iter().skip(1).map(|part| part.to_string_lossy());
    let (Some(app), Some(place)) = (parts.next(), parts.next()) else { return Ok(()) };
    let is_used =
        place == "priv" || (place == "ebin" && path.extension().is_some_and(|e| e == "beam" || e == "app"));
    if !is_used
        || is_same(&old.join(path), &new.join(path)).map_err(|e| format!("{}: {e}", path.display()))?
    {
        return Ok(());
    }
    Err(format!(
        "{app} is another build under the same version ({} differs), and running nodes would keep the one that they have: \
         give it another version, or roll without --hot",
        path.display()
    ))
}

fn is_same(old: &Path, new: &Path) -> std::io::Result<bool> {
    let (was, is) = (std::fs::metadata(old)?, std::fs::metadata(new)?);
    if (was.dev(), was.ino()) == (is.dev(), is.ino()) {
        return Ok(true);
    }
    let sizes = (was.len(), is.len());
    let is_module = new.extension().is_some_and(|e| e == "beam") && sizes.0.max(sizes.1) <= MODULE_MAX;
    if !is_module {
        return Ok(sizes.0 == sizes.1 && is_equal(old, new)?);
    }
    let (old, new) = (std::fs::read(old)?, std::fs::read(new)?);
    Ok(old == new || code(&old).is_some_and(|chunks| Some(chunks) == code(&new)))
}

fn is_equal(old: &Path, new: &Path) -> std::io::Result<bool> {
    let (mut old, mut new) = (std::fs::File::open(old)?, std::fs::File::open(new)?);
    let (mut a, mut b) = (Vec::new(), Vec::new());
    loop {
        a.clear();
        b.clear();
        (&mut old).take(1 << 16).read_to_end(&mut a)?;
        (&mut new).take(1 << 16).read_to_end(&mut b)?;
        if a != b || a.is_empty() {
            return Ok(a == b);
        }
    }
}

/// The chunks of a module that count; none where it is compressed or no module.
fn code(module: &[u8]) -> Option<BTreeMap<&[u8], Chunk>> {
    let mut rest = module.strip_prefix(b"FOR1")?.get(4..)?.strip_prefix(b"BEAM")?;
    let mut found = BTreeMap::new();
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let (name, size) = head.split_at(4);
        let size = u32::from_be_bytes(size.try_into().ok()?) as usize;
        let content = body.get(..size)?;
        if CODE.iter().any(|chunk| chunk.as_slice() == name) {
            let chunk = match name {
                b"LitT" => literals(content).map_or_else(|| Chunk::Bytes(content.to_vec()), Chunk::Literals),
                b"FunT" => Chunk::Bytes(without_numbers(content)),
                _ => Chunk::Bytes(content.to_vec()),
            };
            found.insert(name, chunk);
        }
        rest = body.get(size.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(found)
}

#[derive(PartialEq)]
enum Chunk {
    Bytes(Vec<u8>),
    Literals(Vec<Term>),
}

fn without_numbers(functions: &[u8]) -> Vec<u8> {
    let mut all = functions.to_vec();
    if let Some(entries) = all.get_mut(4..) {
        entries.chunks_exact_mut(FUNCTION_BYTES).for_each(|entry| entry[NUMBER_AT..].fill(0));
    }
    all
}

/// A count, then each with its size before it; the whole compressed, with its size before it (none: it is not).
fn literals(chunk: &[u8]) -> Option<Vec<Term>> {
    let (size, packed) = chunk.split_first_chunk::<4>()?;
    let mut table = Vec::new();
    match u32::from_be_bytes(*size) {
        0 => table.extend_from_slice(packed),
        size if u64::from(size) > MODULE_MAX => return None,
        _ => drop(ZlibDecoder::new(packed).take(MODULE_MAX).read_to_end(&mut table).ok()?),
    }
    let (count, mut rest) = table.split_first_chunk::<4>()?;
    let mut found = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (size, body) = rest.split_first_chunk::<4>()?;
        let (term, after) = body.split_at_checked(u32::from_be_bytes(*size) as usize)?;
        found.push(without_places(decode(term).ok()?));
        rest = after;
    }
    Some(found)
}

/// Names of sources without their directories.
fn without_places(term: Term) -> Term {
    let each = |terms: Vec<Term>| terms.into_iter().map(without_places).collect();
    match term {
        Term::Binary(bytes) => Term::Binary(file_name(&bytes).map_or(bytes.clone(), <[u8]>::to_vec)),
        Term::List(terms) => {
            let text: Option<Vec<u8>> =
                terms.iter().map(|t| t.as_count().and_then(|c| u8::try_from(c).ok())).collect();
            match text.as_deref().and_then(file_name) {
                Some(name) => Term::Binary(name.to_vec()),
                None => Term::List(each(terms)),
            }
        }
        Term::Tuple(terms) => Term::Tuple(each(terms)),
        Term::Map(pairs) => {
            Term::Map(pairs.into_iter().map(|(k, v)| (without_places(k), without_places(v))).collect())
        }
        other => other,
    }
}

fn file_name(text: &[u8]) -> Option<&[u8]> {
    let is_source = SOURCES.iter().any(|end| text.ends_with(end.as_bytes()));
    is_source.then(|| text.rsplit(|byte| *byte == b'/').next()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut body = b"BEAM".to_vec();
        for (name, content) in chunks {
            body.extend_from_slice(*name);
            body.extend_from_slice(&u32::try_from(content.len()).expect("small").to_be_bytes());
            body.extend_from_slice(content);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        [b"FOR1".as_slice(), &u32::try_from(body.len()).expect("small").to_be_bytes(), &body].concat()
    }

    #[test]
    fn where_a_module_was_made_does_not_count_and_what_it_does_counts() {
        let dir = tempfile::tempdir().expect("made");
        let [old, new] = ["old", "new"].map(|tree| dir.path().join(tree));
        let path = Path::new("lib/game-1/ebin/game.beam");
        let check = |was: &[u8], is: &[u8], path: &Path| {
            for (tree, content) in [(&old, was), (&new, is)] {
                std::fs::create_dir_all(tree.join(path).parent().expect("a parent")).expect("made");
                std::fs::write(tree.join(path), content).expect("written");
            }
            check(path, &old, &new)
        };
        let built =
            |code: &[u8], info: &[u8]| module(&[(b"AtU8", b"game"), (b"Code", code), (b"CInf", info)]);
        assert_eq!(check(&built(b"one", b"/a"), &built(b"one", b"/b/c"), path), Ok(()));
        let told = check(&built(b"one", b"/a"), &built(b"two", b"/a"), path).unwrap_err();
        assert!(
            told.starts_with("game-1 is another build under the same version (lib/game-1/ebin/game.beam"),
            "{told}"
        );
        assert!(check(b"FOR1", b"FOR1x", path).is_err());
        assert_eq!(check(b"FOR1", b"FOR1", path), Ok(()));
        assert!(check(b"a", b"b", Path::new("lib/game-1/priv/static/page")).is_err());
        assert_eq!(check(b"a", b"b", Path::new("lib/game-1/src/game.erl")), Ok(()));
    }

    const SOURCE: &str = "-module(game).\n-export([go/1]).\n-include_lib(\"kernel/include/logger.hrl\").\n\
        go(N) -> ?LOG_INFO(\"on ~p\", [N]), lists:map(fun(X) -> X + NUMBER end, [N]).\n";

    /// A module that OTP's compiler makes of a source in a directory of its own.
    fn compiled(dir: &Path, number: &str) -> Option<Vec<u8>> {
        std::fs::create_dir(dir).expect("made");
        let source = dir.join("game.erl");
        std::fs::write(&source, SOURCE.replace("NUMBER", number)).expect("written");
        let made =
            std::process::Command::new("erlc").args(["+debug_info", "-o"]).arg(dir).arg(&source).status();
        made.is_ok_and(|made| made.success()).then(|| std::fs::read(dir.join("game.beam")).expect("read"))
    }

    #[test]
    fn modules_of_the_same_source_are_the_same_wherever_they_were_made() {
        let dir = tempfile::tempdir().expect("made");
        let made = |place: &str, number: &str| compiled(&dir.path().join(place), number);
        let (Some(one), Some(same), Some(other)) =
            (made("a", "1"), made("a-longer-place", "1"), made("b", "2"))
        else {
            assert!(std::env::var_os("CI").is_none(), "CI must have erlc and the headers of kernel");
            eprintln!("skipped: erlc is not installed");
            return;
        };
        assert_ne!(one, same, "the place is in it");
        let (one, same, other) = (code(&one), code(&same), code(&other));
        assert!(one.is_some() && one == same, "whoever makes it");
        assert!(one != other, "what it does is another thing");
    }
}
