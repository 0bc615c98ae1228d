//! `lace wait`: until a target is as it should be.

use super::output::Progress;
use super::{Exit, Outcome, Session};
use clap::Args;
use lace_model::{Code, Problem, TargetPath};
use lace_wire::api::{FamilyStatus, Health, Status};
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How often the state is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// `lace wait`.
#[derive(Args, Debug)]
#[command(after_help = "\
CONDITION is healthy, stopped, gone, or nodes, ready or revision with =, >=, <=, > or < and a number.

Example:
  lace wait shop/game --for 'nodes>=3' --timeout 60s")]
pub struct WaitArgs {
    /// APP, APP/SERVICE or APP/SERVICE/FAMILY
    pub target: TargetPath,
    /// What to wait for
    #[arg(long = "for", value_name = "CONDITION", default_value = "healthy")]
    pub condition: Condition,
}

/// What to wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Everything as wanted.
    Healthy,
    /// Everything stopped by wish.
    Stopped,
    /// Nothing there.
    Gone,
    /// A number.
    Number(Measure, Relation, u64),
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Ready nodes, in all.
    Ready,
    /// The lowest revision.
    Revision,
}

/// How it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `=`
    Equal,
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `<`
    Less,
}

const RELATIONS: [(&str, Relation); 5] = [
    (">=", Relation::AtLeast),
    ("<=", Relation::AtMost),
    ("=", Relation::Equal),
    (">", Relation::More),
    ("<", Relation::Less),
];

impl FromStr for Condition {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is not a condition: healthy, stopped, gone, nodes>=3, revision=2");
        match text {
            "healthy" => return Ok(Self::Healthy),
            "stopped" => return Ok(Self::Stopped),
            "gone" => return Ok(Self::Gone),
            _ => {}
        }
        let (measure, relation, number) = RELATIONS
            .iter()
            .find_map(|(sign, relation)| {
                let (measure, number) = text.split_once(sign)?;
                Some((measure.trim(), *relation, number.trim_start_matches('=').trim()))
            })
            .ok_or_else(bad)?;
        let measure = match measure {
            "nodes" | "ready" => Measure::Ready,
            "revision" => Measure::Revision,
            _ => return Err(bad()),
        };
        Ok(Self::Number(measure, relation, number.parse().map_err(|_| bad())?))
    }
}

impl Condition {
    /// Is it so?
    pub fn holds(&self, families: &[&FamilyStatus]) -> bool {
        let all = |health| !families.is_empty() && families.iter().all(|f| f.health == health);
        match self {
            Self::Healthy => all(Health::Healthy),
            Self::Stopped => all(Health::Stopped),
            Self::Gone => families.is_empty(),
            Self::Number(measure, relation, wanted) => {
                let number = match measure {
                    Measure::Ready => Some(families.iter().map(|f| u64::from(f.ready)).sum()),
                    Measure::Revision => families.iter().map(|f| f.revision).min(),
                };
                number.is_some_and(|number| compare(*relation, number, *wanted))
            }
        }
    }
}

fn compare(relation: Relation, number: u64, wanted: u64) -> bool {
    match relation {
        Relation::Equal => number == wanted,
        Relation::AtLeast => number >= wanted,
        Relation::AtMost => number <= wanted,
        Relation::More => number > wanted,
        Relation::Less => number < wanted,
    }
}

/// Runs `lace wait`.
pub async fn run(args: WaitArgs, s: &mut Session) -> Outcome {
    let client = s.watching_client()?;
    let deadline = Instant::now() + s.timeout();
    let mut progress = Progress::new(s.out.live());
    loop {
        let status = match client.status(Some(&args.target)).await {
            Err(problem) if problem.code == Code::NotFound => None,
            status => Some(status?),
        };
        let families = families(status.as_ref());
        if args.condition.holds(&families) {
            return Ok(Exit::DONE);
        }
        let lines: Vec<String> = families.iter().map(|f| line(f)).collect();
        if Instant::now() >= deadline {
            let message = format!("{} is not so when the time is over", args.target);
            return Err(Problem::new(Code::StillWatching, message)
                .details(lines)
                .hint(format!("lace why {}", args.target)));
        }
        if let Some(line) = progress.at(&lines.join("; ")) {
            s.out.note(line);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn families(status: Option<&Status>) -> Vec<&FamilyStatus> {
    status.into_iter().flat_map(|s| &s.apps).flat_map(|a| &a.families).collect()
}

fn line(family: &FamilyStatus) -> String {
    let health = super::status::health(family.health).paint(false);
    format!("{}: {health}, {}/{} ready {}", family.path, family.ready, family.wanted, family.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read() {
        let at_least = |n| Condition::Number(Measure::Ready, Relation::AtLeast, n);
        assert_eq!("nodes>=3".parse(), Ok(at_least(3)));
        assert_eq!("nodes >= 3".parse(), Ok(at_least(3)));
        let revision = Condition::Number(Measure::Revision, Relation::Equal, 2);
        assert_eq!("revision==2".parse(), Ok(revision));
        for bad in ["", "nodes", "nodes>=x", "hosts>1"] {
            assert!(bad.parse::<Condition>().is_err(), "{bad}");
        }
    }
}
