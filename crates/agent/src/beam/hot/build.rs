//! Two builds of an application under one version.
//!
//! Its directory is the same in both releases, so the runtime keeps the code that it has: an upgrade would change nothing of it
//! without a word. Compilers write into a module where and when it was made; what counts is the chunks that `beam_lib:md5/1`
//! of OTP's stdlib counts.

use std::collections::BTreeMap;
use std::path::Path;

/// What makes a module what it does.
const CODE: [&[u8; 4]; 8] = [b"Atom", b"AtU8", b"Code", b"StrT", b"ImpT", b"ExpT", b"FunT", b"LitT"];
/// Larger modules are compared byte by byte.
const MODULE_MAX: u64 = 64 << 20;

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
    let sizes = (std::fs::metadata(old)?.len(), std::fs::metadata(new)?.len());
    let is_module = new.extension().is_some_and(|e| e == "beam") && sizes.0.max(sizes.1) <= MODULE_MAX;
    if !is_module {
        return Ok(sizes.0 == sizes.1 && is_equal(old, new)?);
    }
    let (old, new) = (std::fs::read(old)?, std::fs::read(new)?);
    Ok(old == new || code(&old).is_some_and(|chunks| Some(chunks) == code(&new)))
}

fn is_equal(old: &Path, new: &Path) -> std::io::Result<bool> {
    use std::io::Read;
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
fn code(module: &[u8]) -> Option<BTreeMap<&[u8], &[u8]>> {
    let mut rest = module.strip_prefix(b"FOR1")?.get(4..)?.strip_prefix(b"BEAM")?;
    let mut found = BTreeMap::new();
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let (name, size) = head.split_at(4);
        let size = u32::from_be_bytes(size.try_into().ok()?) as usize;
        let content = body.get(..size)?;
        if CODE.iter().any(|chunk| chunk.as_slice() == name) {
            found.insert(name, content);
        }
        rest = body.get(size.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(found)
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
}
