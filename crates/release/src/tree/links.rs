//! Symbolic links must stay inside the tree, whichever other links they run through.

use crate::error::{ReleaseError, Result};
use lace_model::release::TreeNode;
use std::collections::BTreeMap;

/// Links that one path may run through (as in Linux, path_resolution(7)).
const HOPS_MAX: u32 = 40;
/// Parts of paths that are walked for all links of a tree together: a bound on the time that a tangle may cost.
const STEPS_MAX: u64 = 5_000_000;
/// Longest target, in bytes.
const TARGET_BYTES_MAX: usize = 3072;

/// Checks every link.
pub(super) fn check(nodes: &BTreeMap<&str, &TreeNode>) -> Result<()> {
    let mut steps = 0;
    for (path, node) in nodes {
        if let TreeNode::Symlink { target } = node {
            check_target(path, target)?;
            follow(path, target, nodes, &mut steps)?;
        }
    }
    Ok(())
}

fn check_target(path: &str, target: &str) -> Result<()> {
    let why = match target {
        "" => "the link points nowhere",
        _ if target.starts_with('/') => "the link points to an absolute path",
        _ if target.contains('\0') => "the link's target has a NUL byte in it",
        _ if target.len() > TARGET_BYTES_MAX => "the link's target is longer than 3072 bytes",
        _ => return Ok(()),
    };
    Err(ReleaseError::refused(path, why))
}

/// Walks as the kernel would. A part that is not there counts as a directory: somebody may make it later.
fn follow(path: &str, target: &str, nodes: &BTreeMap<&str, &TreeNode>, steps: &mut u64) -> Result<()> {
    let mut at: Vec<&str> = path.split('/').collect();
    at.pop();
    let mut ahead: Vec<&str> = target.split('/').rev().collect();
    let mut hops = 0;
    while let Some(part) = ahead.pop() {
        *steps += 1 + at.len() as u64;
        if *steps > STEPS_MAX {
            return Err(ReleaseError::refused(path, "the links are too tangled to be followed"));
        }
        match part {
            "" | "." => continue,
            ".." if at.pop().is_none() => {
                return Err(ReleaseError::refused(path, format!("the link leaves the release: {target:?}")));
            }
            ".." => continue,
            name => at.push(name),
        }
        if let Some(TreeNode::Symlink { target }) = nodes.get(at.join("/").as_str()) {
            hops += 1;
            if hops > HOPS_MAX {
                return Err(ReleaseError::refused(path, "the link runs in a circle"));
            }
            at.pop();
            if target.starts_with('/') {
                return Err(ReleaseError::refused(path, "the link runs through one to an absolute path"));
            }
            ahead.extend(target.split('/').rev());
        }
    }
    Ok(())
}
