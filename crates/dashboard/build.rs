//! Has the crate compiled again when the browser's bundle comes or changes.

fn main() {
    println!("cargo::rerun-if-changed=web");
    println!("cargo::rerun-if-changed=../../README.md");
}
