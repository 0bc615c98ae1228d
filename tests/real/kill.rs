//! Controller, agent or both are killed at random moments; afterwards the world is as wanted.

use crate::daily::project;
use crate::lace::{Lace, eventually, may_run};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A small generator, so that a failing run can be repeated with its seed.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.throw(from.len() as u64) as usize]
    }
}

const VICTIMS: [&[&str]; 4] = [&["server"], &["agent"], &["server", "agent"], &["net"]];

/// What somebody is doing while roles are killed. Scaling costs no other node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Scale,
    Restart,
    /// A new revision.
    Roll,
    /// A revision that ends at once, and reverts.
    Break,
    /// The application goes, and comes back afterwards.
    Delete,
    /// The application is made: there was none.
    First,
}

const WORKS: [Work; 8] = [
    Work::Scale,
    Work::Scale,
    Work::Scale,
    Work::Restart,
    Work::Roll,
    Work::Break,
    Work::Delete,
    Work::First,
];

struct World {
    lace: Lace,
    manifest: String,
    /// The round whose revision was the last good one.
    good: u64,
}

impl World {
    fn new(net: u8) -> Self {
        let lace = Lace::up(net);
        let dir = project(&lace, "shop", "echo up; [ -z \"$BREAK\" ] || exit 9", "count = 2\nenv = {}");
        lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
        Self { lace, manifest: dir.join("lace.toml").to_str().expect("text").to_owned(), good: 0 }
    }

    fn scale(&self, wanted: u64) -> i32 {
        self.lace.run(&["scale", "shop/web", &wanted.to_string(), "--timeout", "30s"]).status
    }

    fn apply(&self) -> i32 {
        self.lace.run(&["apply", &self.manifest, "--yes", "--timeout", "30s"]).status
    }

    fn write(&self, env: &str) {
        let text = std::fs::read_to_string(&self.manifest).expect("a manifest");
        let (head, _) = text.split_once("env =").expect("an environment");
        std::fs::write(Path::new(&self.manifest), format!("{head}env = {env}\n")).expect("written");
    }

    fn delete(&self) -> i32 {
        self.lace.run(&["delete", "shop", "--yes", "--timeout", "30s"]).status
    }

    /// Nothing of the application is there: no node, nothing on disk, and nobody knows it.
    fn is_deleted(&self) -> bool {
        matches!(self.delete(), 0 | 7)
            && as_wanted(&self.lace, 0)
            && self.lace.run(&["status", "shop"]).status == 7
    }

    /// What the world is before the work begins.
    fn prepare(&self, work: Work, round: u64, what: &str) {
        let good = if self.good == 0 { "{}".to_owned() } else { format!("{{ ROUND = \"{}\" }}", self.good) };
        match work {
            Work::Roll => self.write(&format!("{{ ROUND = \"{round}\" }}")),
            Work::Break => self.write(&format!("{{ ROUND = \"{round}\", BREAK = \"yes\" }}")),
            Work::Delete => self.write(&good),
            Work::First => {
                self.write(&good);
                eventually(&format!("{what}: deleted before"), || self.is_deleted());
            }
            Work::Scale | Work::Restart => {}
        }
    }

    fn begin(&self, work: Work, wanted: u64) {
        match work {
            Work::Delete => drop(self.delete()),
            Work::Scale => drop(self.scale(wanted)),
            Work::Restart => drop(self.lace.run(&["restart", "shop", "--timeout", "30s"])),
            Work::Roll | Work::Break | Work::First => drop(self.apply()),
        }
    }

    /// What was cut off is typed again, as a person would, and ends as it should.
    fn see_through(&mut self, work: Work, round: u64, what: &str) {
        match work {
            Work::Scale | Work::Restart => {}
            Work::Roll => {
                eventually(&format!("{what}: applied"), || self.apply() == 0);
                self.good = round;
            }
            Work::Break => eventually(&format!("{what}: reverted"), || matches!(self.apply(), 0 | 3)),
            Work::Delete => {
                eventually(&format!("{what}: gone"), || self.is_deleted());
                eventually(&format!("{what}: applied anew"), || self.apply() == 0);
            }
            Work::First => eventually(&format!("{what}: applied first"), || self.apply() == 0),
        }
        let good = format!("{}\n", self.good);
        eventually(&format!("{what}: all healthy with the environment of round {good}"), || {
            let waited = self.lace.run(&["wait", "shop", "--for", "healthy", "--timeout", "30s"]);
            waited.status == 0 && self.rounds_inside().iter().all(|round| *round == good)
        });
    }

    /// What the nodes have in their environment.
    fn rounds_inside(&self) -> Vec<String> {
        let nodes = nodes(&self.lace).into_keys();
        let ask = |path: String| self.lace.run(&["exec", &path, "--", "sh", "-c", "echo ${ROUND:-0}"]).out;
        nodes.map(ask).map(|out| out.rsplit(' ').next().unwrap_or_default().to_owned()).collect()
    }
}

/// Id and start of each node by its path.
fn nodes(lace: &Lace) -> BTreeMap<String, String> {
    let ran = lace.run(&["status", "shop", "--format", "json"]);
    if ran.status == 7 {
        return BTreeMap::new();
    }
    let status = ran.ok().json();
    let nodes = status["apps"][0]["families"][0]["nodes"].as_array().cloned().unwrap_or_default();
    let of = |node: &serde_json::Value| {
        let status = &node["status"];
        let path = format!("shop/web/{}", status["path"].as_str().unwrap_or_default().rsplit('/').next()?);
        Some((path, format!("{} started at {}", status["id"], status["started_at"])))
    };
    nodes.iter().filter_map(of).collect()
}

fn rounds(count: u64, net: u8, seed: u64) {
    if !may_run() {
        return;
    }
    let seed = std::env::var("LACE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(seed);
    eprintln!("seed {seed}");
    let mut dice = Dice(seed);
    let mut world = World::new(net);
    for round in 1..=count {
        let wanted = 1 + dice.throw(5);
        // Half of them at once, half of them some way into what goes on.
        let delay =
            Duration::from_millis(if dice.throw(2) == 0 { dice.throw(150) } else { dice.throw(3_000) });
        let (victims, work) = (dice.choose(&VICTIMS), dice.choose(&WORKS));
        let what = format!("round {round} (seed {seed}), {work:?} while {victims:?} are killed");
        world.prepare(work, round, &what);
        let before = nodes(&world.lace);
        std::thread::scope(|scope| {
            scope.spawn(|| world.begin(work, wanted));
            std::thread::sleep(delay);
            victims.iter().for_each(|role| world.lace.kill(role));
        });
        world.see_through(work, round, &what);
        eventually(&format!("{what}: the scale to {wanted} is taken"), || world.scale(wanted) == 0);
        eventually(&format!("{what}: {wanted} ready"), || {
            world.lace.ready("shop") == wanted && as_wanted(&world.lace, wanted)
        });
        if work == Work::Scale {
            let after = nodes(&world.lace);
            let same = |(path, node): (&String, &String)| after.get(path).is_none_or(|now| now == node);
            assert!(before.iter().all(same), "{what}: a node was replaced: {before:#?} {after:#?}");
        }
    }
    world.lace.down_and_nothing_left();
}

/// As many nodes on the machine as wanted, no more: by their cgroups, by what they have on disk, by links, routes and
/// first processes.
fn as_wanted(lace: &Lace, wanted: u64) -> bool {
    let count = |root: &Path| {
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
        entries.filter(|entry| entry.path().is_dir()).count() as u64
    };
    lace.cgroups().iter().all(|root| count(root) == wanted)
        && count(&lace.node_dirs()) == wanted
        && lace.traces().iter().all(|(_, found)| *found as u64 == wanted)
}

// Two hundred rounds in all, side by side.
#[test]
fn rounds_of_kills_leave_the_world_as_wanted() {
    rounds(100, 216, 20_261_122);
}

#[test]
fn rounds_of_kills_with_another_seed() {
    rounds(100, 220, 7);
}

#[test]
#[ignore = "long: 1,000 rounds"]
fn long_rounds_of_kills_leave_the_world_as_wanted() {
    rounds(1_000, 217, 11);
}
