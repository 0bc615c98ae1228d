//! PID 1s vote on who runs the one copy, with no agent there.

use std::net::Ipv4Addr;
use std::process::Command;

use lace_machine::{Application, FirewallState, Life, NodeHandle, VoteSeats, VoteSpec};

use crate::world::{World, until, world};

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
    let members: Vec<_> = (0..count).map(|n| world.address(n)).collect();
    let mut wall = FirewallState::default();
    wall.applications.insert("shop".into(), Application { members, egress: Vec::new() });
    world.machine().firewall(&wall).unwrap();
    let set = VoteSeats {
        generation: 1,
        members: (0..count).map(|n| (n + 1, world.address(n))).collect(),
        witness: None,
    };
    let start = |n: u32| {
        let mut spec = world.spec(n, "exec sleep 1000");
        spec.votes = Some(VoteSpec { seat: n + 1, key: vec![7; 32], set: set.clone(), copy: None });
        world.start(&spec)
    };
    (0..count).map(start).collect()
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
    assert_eq!(status.vote.unwrap().unheard.len(), 2);
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
