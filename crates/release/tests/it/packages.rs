//! The packages of the catalogue are good, and stand in the binary as they lie there.

use lace_model::release::{Tree, TreeNode};
use lace_release::package::{PACKAGE_LIMITS, Rendering, catalog, faults, look_at, renderings};
use lace_release::{Packed, needed, read_dir};
use std::path::PathBuf;

fn catalogue() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../catalog")
}

fn all() -> Vec<(String, Packed)> {
    let entries = std::fs::read_dir(catalogue()).expect("the catalogue").flatten();
    let mut all: Vec<_> = entries
        .map(|entry| {
            let packed = read_dir(&entry.path(), &PACKAGE_LIMITS).expect("readable");
            (entry.file_name().into_string().expect("a name"), packed)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// `LACE_BLESS=1` writes what the templates become.
#[test]
fn every_package_is_good_and_its_golden_files_are_true() {
    let bless = std::env::var_os("LACE_BLESS").is_some();
    for (name, packed) in all() {
        let looked = look_at(&packed.tree, &packed.chunks).expect(&name);
        assert_eq!((looked.mistakes.len(), looked.remarks.len()), (0, 0), "{name}: {looked:?}");
        assert_eq!(looked.package.name.as_str(), name);
        let (rendered, wrong) = renderings(&looked.package, &packed.tree, &packed.chunks).expect("rendered");
        assert_eq!(wrong, [""; 0], "{name}");
        assert!(!rendered.is_empty(), "{name} has samples");
        if bless {
            rendered.iter().for_each(|one| write(&name, one));
            continue;
        }
        let (lines, stale) = faults(&rendered, &packed.tree, &packed.chunks).expect("compared");
        assert_eq!(
            (lines, stale),
            (Vec::new(), Vec::new()),
            "{name}: lace package check catalog/{name} --bless"
        );
    }
}

fn write(name: &str, Rendering { path, text }: &Rendering) {
    let path = catalogue().join(name).join(path);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    std::fs::write(path, text).expect("written");
}

#[test]
fn the_binary_holds_the_catalogue_but_for_samples_and_golden_files() {
    let told = |tree: &Tree| -> Vec<(String, bool, u64)> {
        let free = |path: &str| path.starts_with("samples") || path.starts_with("golden");
        let entries = tree.entries.iter().filter(|entry| !free(&entry.path));
        let of = entries.map(|entry| match entry.node {
            TreeNode::File { size, executable, .. } => (entry.path.clone(), executable, size),
            _ => (entry.path.clone(), false, 0),
        });
        of.collect()
    };
    let built: Vec<_> = catalog::built_in();
    let lying = all();
    assert_eq!(built.len(), lying.len());
    for built in built {
        let package = look_at(&built.tree, &built).expect("readable").good().expect("good");
        let (_, packed) =
            lying.iter().find(|(name, _)| *name == package.name.as_str()).expect("it lies there");
        assert_eq!(
            told(&built.tree),
            told(&packed.tree),
            "{}: name all of its files in catalog.rs",
            package.name
        );
        lace_release::verify(&built.tree).expect("by the rules");
        assert!(needed(&built.tree).len() > 3);
    }
}
