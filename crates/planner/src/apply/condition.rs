//! What a family says about its hosts is checked where it is said, not when a node waits for one.

use super::Work;
use crate::condition::{Condition, names};
use lace_model::family::Family;
use lace_model::manifest::nearest;
use lace_model::{Code, Problem};

/// Pools must be there; a condition must be understood, and ask for what is known of some host or pool.
pub(super) fn check(work: &mut Work, family: &Family) {
    let path = &family.path;
    let Some(choice) = &work.facts.choice else { return };
    for pool in family.pools.iter().filter(|pool| !choice.pools.contains(*pool)) {
        let problem = Problem::new(Code::NotFound, format!("{path}: there is no pool {pool}"));
        let hint = nearest(pool.as_str(), choice.pools.iter().map(|known| known.as_str()));
        let make = format!("make it with: lace pool add {pool} --provider NAME");
        work.problems.push(problem.hint(if is_near(&hint) { hint } else { make }));
    }
    let Some(text) = &family.condition else { return };
    let condition = match Condition::parse(text) {
        Ok(condition) => condition,
        Err(cause) => {
            let problem = Problem::new(Code::Usage, format!("{path}: where `{text}`: {cause}"));
            let hint = "write CEL, for example: region == \"eu\" && memory >= 4*GiB && \"ssd\" in tags";
            return work.problems.push(problem.hint(hint));
        }
    };
    for name in condition.unknown(&choice.attributes) {
        let text = format!("{path}: where `{text}`: no host and no pool has an attribute {name}");
        let hint = nearest(&name, names(&choice.attributes));
        let tell = "lace host show NAME lists what is known; lace pool add --attr gives more".to_owned();
        let problem = Problem::new(Code::Usage, text);
        work.problems.push(problem.hint(if is_near(&hint) { hint } else { tell }));
    }
}

fn is_near(hint: &str) -> bool {
    hint.starts_with("did you mean")
}
