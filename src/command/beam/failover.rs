//! `lace beam failover`: a distributed application moves on purpose.

use super::super::{Outcome, Session, watch};
use clap::Args;
use lace_model::{Code, Problem, TargetPath};
use lace_wire::api::VerbRequest;

/// `lace beam failover`.
#[derive(Args, Debug)]
#[command(after_help = "\
The node that runs the application stops it in order, then the other one starts it: there is a gap of
some hundred milliseconds, and never two. It stays there while that node's process lives, also where
the first node would take it over. Without --to the first backup that is ready gets it.

Example:
  lace beam failover shop/game
  lace beam failover shop/game --to shop/game/3")]
pub struct FailoverArgs {
    /// The family
    pub target: TargetPath,
    /// The node that shall run it (or its index)
    #[arg(long, value_name = "NODE")]
    pub to: Option<String>,
}

/// Runs `lace beam failover`.
pub async fn run(args: FailoverArgs, s: &mut Session) -> Outcome {
    let target = args.target;
    if target.index.is_some() {
        return Err(Problem::new(Code::Usage, format!("{target} is a node"))
            .hint("name the family, and the node with --to"));
    }
    let to = args.to.map(|to| index(&target, &to)).transpose()?;
    let accepted = s.client()?.verb(&VerbRequest::Failover { target, to }).await?;
    watch::accepted(s, accepted).await
}

/// `2`, or the path of a node of that family.
fn index(target: &TargetPath, to: &str) -> Result<u32, Problem> {
    let wrong = || {
        Problem::new(Code::Usage, format!("{to:?} is no node of {target}"))
            .hint(format!("write an index or a node: --to {target}/2"))
    };
    if let Ok(index) = to.parse() {
        return Ok(index);
    }
    let node: TargetPath = to.parse().map_err(|_| wrong())?;
    let same =
        |ours: Option<String>, theirs: Option<String>| ours.is_none() || theirs.is_none() || ours == theirs;
    let text = |part: &Option<lace_model::Name>| part.as_ref().map(ToString::to_string);
    let is_of_it = node.app == target.app
        && same(text(&target.service), text(&node.service))
        && same(text(&target.family), text(&node.family));
    node.index.filter(|_| is_of_it).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_is_said_by_its_index_or_its_path() {
        let target: TargetPath = "shop/game".parse().expect("a target");
        for to in ["2", "shop/game/2", "shop/game/game/2"] {
            assert_eq!(index(&target, to).map_err(|p| p.message), Ok(2), "{to}");
        }
        for to in ["shop/game", "shop/web/2", "other/game/2", "-1", "x y"] {
            assert!(index(&target, to).is_err(), "{to}");
        }
    }
}
