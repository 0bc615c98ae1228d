//! PID 1s vote on who runs the one copy, with no agent there.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lace_machine::{Application, CopySpec, Event, FirewallState, Life, NodeHandle, VoteSeats, VoteSpec};
use lace_vote::{Elector, Output, Terms, VoteSet};

use crate::world::{World, says, until, world};

/// Drops packets between addresses, beside the machine's own firewall; gone with it.
struct Cut(String);

impl Cut {
    fn new(world: &World, pairs: &[(Ipv4Addr, Ipv4Addr)]) -> Self {
        let cut = Cut(format!("lace_cut_{}", world.config.installation.replace('-', "_")));
        let rule = |(from, to): &(Ipv4Addr, Ipv4Addr)| format!("ip saddr {from} ip daddr {to} drop\n");
        let rules: String = pairs.iter().map(rule).collect();
        let hook = "type filter hook forward priority -400";
        let table = format!("table ip {} {{\nchain c {{\n{hook}\n{rules}}}\n}}\n", cut.0);
        assert!(Command::new("nft").arg(&table).status().unwrap().success());
        cut
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        let _ = Command::new("nft").args(["delete", "table", "ip", &self.0]).status();
    }
}

fn life(node: &NodeHandle) -> Option<Life> {
    node.status().unwrap().life()
}

fn stand(node: &NodeHandle, preference: u64) {
    let life = until("its process runs", || life(node));
    node.stand(life, preference).unwrap();
}

fn holders(nodes: &[NodeHandle]) -> Vec<usize> {
    let holds = |n: &usize| nodes[*n].status().unwrap().vote.unwrap().holds;
    let holders: Vec<_> = (0..nodes.len()).filter(holds).collect();
    assert!(holders.len() <= 1, "two hold: {holders:?}");
    holders
}

fn voters(world: &World, count: u32) -> Vec<NodeHandle> {
    begin(world, count, None, "exec sleep 1000", |_| None)
}

fn begin(
    world: &World,
    count: u32,
    witness: Option<u32>,
    script: &str,
    copy: impl Fn(u32) -> Option<CopySpec>,
) -> Vec<NodeHandle> {
    let members: Vec<_> = (0..count).map(|n| world.address(n)).collect();
    let mut wall = FirewallState::default();
    wall.applications.insert("shop".into(), Application { members, egress: Vec::new() });
    world.machine().firewall(&wall).unwrap();
    let members = (0..count).map(|n| (n + 1, world.address(n))).collect();
    let set = VoteSeats { generation: 1, members, witness };
    let start = |n: u32| {
        let mut spec = world.spec(n, script);
        spec.votes = Some(VoteSpec {
            seat: n + 1,
            key: vec![7; 32],
            set: set.clone(),
            is_first: n == 0,
            copy: copy(n),
        });
        world.start(&spec)
    };
    (0..count).map(start).collect()
}

/// A process that is ready a moment after it started, later while there is `/run/wait`; its copy is a file that goes with it.
/// Both files name the process: what a former life of it has left counts for nothing.
const COPIED: &str = "rm -f /run/copy /run/up; sleep 0.2; while test -e /run/wait; do sleep 0.05; done; \
                      echo $$ > /run/up; exec sleep 1000";

fn by_hand(preference: u64) -> CopySpec {
    let words = |script: &str| ["sh", "-c", script].map(str::to_owned).to_vec();
    CopySpec {
        ready: words("test -e /proc/$(cat /run/up)"),
        start: words("cp /run/up /run/copy"),
        stop: words("rm /run/copy"),
        preference,
    }
}

/// In whose process the copy runs now. Nodes are looked at one after the other: two at once are two in a second look, too.
fn copies(nodes: &[NodeHandle]) -> Vec<usize> {
    let script = "test -e /run/copy && test -e /proc/$(cat /run/copy)";
    let look = lace_machine::ExecSpec::new(["sh", "-c", script]);
    let has = |n: &usize| nodes[*n].output(&look).unwrap().0.code == Some(0);
    let copies: Vec<_> = (0..nodes.len()).filter(has).collect();
    if copies.len() < 2 {
        return copies;
    }
    let copies: Vec<_> = copies.into_iter().filter(has).collect();
    assert!(copies.len() <= 1, "two copies: {copies:?}");
    copies
}

fn in_use(node: &NodeHandle) -> bool {
    node.status().unwrap().vote.unwrap().in_use
}

#[test]
fn pid1_brings_the_copy_up_and_down_itself() {
    let Some(world) = world() else { return };
    let nodes = begin(&world, 3, None, COPIED, |n| Some(by_hand(u64::from(n == 0))));
    until("who is preferred runs the copy", || (copies(&nodes) == [0]).then_some(()));
    // It takes its commands along when it replaces itself.
    nodes[0].reexec(world.config.executable.as_ref().unwrap()).unwrap();
    says(&nodes[0], "touch /run/wait");
    nodes[0].signal(libc::SIGKILL).unwrap();
    let second = until("another one runs it", || copies(&nodes).into_iter().find(|n| *n != 0));
    assert!(in_use(&nodes[second]) && !in_use(&nodes[0]));
    says(&nodes[0], "rm /run/wait");
    until("the first one takes it again", || (copies(&nodes) == [0]).then_some(()));
    // Who is wanted more gets it, and keeps it while its process lives.
    let process = until("its process runs", || life(&nodes[2]));
    nodes[2].stand(process, 7).unwrap();
    until("the third one has it", || (copies(&nodes) == [2]).then_some(()));
    let until_then = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until_then {
        assert_eq!(copies(&nodes), [2]);
    }
}

#[test]
fn a_holder_that_cannot_start_its_copy_gives_way() {
    let Some(world) = world() else { return };
    let bad = CopySpec { start: vec!["false".into()], ..by_hand(1) };
    let nodes = begin(&world, 3, None, COPIED, |n| Some(if n == 0 { bad.clone() } else { by_hand(0) }));
    until("another one runs it at last", || copies(&nodes).into_iter().find(|n| *n != 0));
    let exit = until("the first one was ended", || nodes[0].status().unwrap().last_exit);
    assert!(exit.reason.contains("cannot start it"), "{}", exit.reason);
}

#[test]
fn a_holder_that_cannot_stop_its_copy_in_order_is_ended() {
    let Some(world) = world() else { return };
    let bad = CopySpec { stop: vec!["false".into()], ..by_hand(1) };
    let nodes = begin(&world, 3, None, COPIED, |n| Some(if n == 0 { bad.clone() } else { by_hand(0) }));
    until("who is preferred runs the copy", || (copies(&nodes) == [0]).then_some(()));
    let process = until("its process runs", || life(&nodes[2]));
    nodes[2].stand(process, 7).unwrap();
    until("the third one has it all the same", || (copies(&nodes) == [2]).then_some(()));
    let exit = until("the first one was ended", || nodes[0].status().unwrap().last_exit);
    assert!(exit.reason.contains("cannot stop it in order"), "{}", exit.reason);
}

/// Between a node and the witness, as an agent is.
struct Relay {
    end: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Relay {
    fn begin(node: &NodeHandle, witness: Arc<Mutex<Elector>>, began: Instant) -> Self {
        let (end, node) = (Arc::new(AtomicBool::new(false)), node.clone());
        let ended = end.clone();
        let mut events = node.subscribe().unwrap();
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let event = events.next_within(Some(Duration::from_millis(50)));
                let Ok(Some(Event::Witness { message })) = event else { continue };
                let now = began.elapsed().as_millis() as u64;
                for output in witness.lock().unwrap().heard(now, message) {
                    if let Output::Send { message, .. } = output {
                        node.witness(message).unwrap();
                    }
                }
            }
        });
        Self { end, thread: Some(thread) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(std::thread::JoinHandle::join));
    }
}

#[test]
fn two_nodes_and_a_witness_survive_a_cut() {
    const SEAT: u32 = 1 << 30;
    let Some(world) = world() else { return };
    let began = Instant::now();
    let set = VoteSet { generation: 1, ..VoteSet::first([1, 2]).with_witness(SEAT) };
    let mut witness = Elector::new(SEAT, 9, Terms::USUAL, 0);
    witness.order(0, set);
    let witness = Arc::new(Mutex::new(witness));
    let nodes = begin(&world, 2, Some(SEAT), COPIED, |n| Some(by_hand(u64::from(n == 0))));
    let mut relays: Vec<_> =
        nodes.iter().map(|node| Some(Relay::begin(node, witness.clone(), began))).collect();
    until("the first one runs it", || (copies(&nodes) == [0]).then_some(()));

    let pairs = [(world.address(0), world.address(1)), (world.address(1), world.address(0))];
    let cut = Cut::new(&world, &pairs);
    // Longer than a promise: the witness stays with the holder that it hears.
    let until_then = Instant::now() + Duration::from_secs(7);
    while Instant::now() < until_then {
        assert_eq!(copies(&nodes), [0], "the witness and it are a majority");
    }
    // With nobody to carry its words it is alone, and the other one and the witness are not.
    relays[0] = None;
    until("the other one runs it", || (copies(&nodes) == [1]).then_some(()));
    assert!(nodes[0].status().unwrap().last_exit.unwrap().reason.contains("lost the majority"));
    drop(cut);
    relays[0] = Some(Relay::begin(&nodes[0], witness, began));
    until("whole again, the first one takes it", || (copies(&nodes) == [0]).then_some(()));
    // While the nodes hear each other nobody has to carry anything.
    relays.clear();
    let until_then = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until_then {
        assert_eq!(copies(&nodes), [0], "both nodes are a majority");
    }
}

#[test]
fn a_majority_holds_and_who_is_cut_off_is_stopped_before_another_begins() {
    let Some(world) = world() else { return };
    let nodes = voters(&world, 3);
    nodes.iter().for_each(|node| stand(node, 0));
    let first = until("one holds", || holders(&nodes).first().copied());
    let process = life(&nodes[first]).unwrap();
    nodes[first].begin_use(process).unwrap();
    let other = (first + 1) % 3;
    let refused = nodes[other].begin_use(life(&nodes[other]).unwrap()).unwrap_err();
    assert!(refused.to_string().contains("does not hold"), "{refused}");
    // A PID 1 that replaces itself forgets nothing.
    nodes[first].reexec(world.config.executable.as_ref().unwrap()).unwrap();
    assert_eq!(holders(&nodes), [first]);

    let (cut_off, rest): (Vec<_>, Vec<_>) = (0..3u32).partition(|n| *n as usize == first);
    let pairs: Vec<_> = rest
        .iter()
        .flat_map(|n| [(*n, cut_off[0]), (cut_off[0], *n)])
        .map(|(from, to)| (world.address(from), world.address(to)))
        .collect();
    let cut = Cut::new(&world, &pairs);
    let second = until("another one holds", || {
        let runs = life(&nodes[first]) == Some(process);
        let second = holders(&nodes).into_iter().find(|n| *n != first);
        assert!(second.is_none() || !runs, "the successor holds and the copy runs");
        second
    });
    let status = nodes[first].status().unwrap();
    assert!(status.last_exit.unwrap().reason.contains("lost the majority"), "it says why it was ended");
    let missed = nodes[second].status().unwrap().vote.unwrap().unheard;
    assert_eq!(missed, [first as u32 + 1], "the holder misses who is cut off");
    // The loser stands by, and whole again it lets the successor go on.
    until("its process is back", || life(&nodes[first]));
    drop(cut);
    stand(&nodes[first], 0);
    until("they hear each other", || {
        nodes[first].status().unwrap().vote.unwrap().unheard.is_empty().then_some(())
    });
    assert_eq!(holders(&nodes), [second]);

    // A process that dies gives its votes back at once.
    nodes[second].begin_use(life(&nodes[second]).unwrap()).unwrap();
    nodes[second].signal(libc::SIGKILL).unwrap();
    let third = until("somebody holds", || holders(&nodes).into_iter().find(|n| *n != second));
    assert_ne!(third, second);
    // Making room for who is preferred: at once while no copy runs.
    stand(&nodes[second], 5);
    until("who is preferred holds", || (holders(&nodes) == [second]).then_some(()));
}
