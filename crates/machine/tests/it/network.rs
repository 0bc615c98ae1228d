//! Wires and the firewall.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};

use lace_machine::{
    Application, FirewallState, HostPort, Machine, NodeHandle, OpenPort, PortSource, Protocol,
};

use crate::world::{World, run, says, until, world};

const SERVE: &str = "exec python3 -m http.server 80 --directory /etc";

fn reaches(node: &NodeHandle, to: Ipv4Addr, port: u16) -> bool {
    let script =
        format!("python3 -c \"import socket; socket.create_connection(('{to}', {port}), 0.4)\" 2>/dev/null");
    run(node, &script).0 == 0
}

fn serving(world: &World, n: u32) -> NodeHandle {
    let node = world.start(&world.spec(n, SERVE));
    until("it listens", || reaches(&node, Ipv4Addr::LOCALHOST, 80).then_some(()));
    node
}

fn application(members: &[Ipv4Addr]) -> Application {
    Application { members: members.to_vec(), egress: Vec::new() }
}

#[test]
fn addresses_of_others_are_not_taken() {
    let Some(world) = world() else { return };
    let (label, blocks) = (world.config.installation.clone(), world.config.blocks.clone());
    Machine::ensure_free(&label, &blocks).expect("its own do not count");
    let refused = Machine::ensure_free("another", &blocks).expect_err("taken").to_string();
    let gateway = world.machine().gateway().to_string();
    assert!(refused.contains(&gateway) && refused.contains("ip link del lg"), "{refused}");
}

#[test]
fn applications_are_kept_apart() {
    let Some(world) = world() else { return };
    let nodes: Vec<_> = (0..3).map(|n| serving(&world, n)).collect();
    let [a, b, c] = [0, 1, 2].map(|n| world.address(n));
    // Nobody is a member of anything: nothing passes, except from the host.
    assert!(!reaches(&nodes[0], b, 80));
    std::net::TcpStream::connect((a, 80)).expect("the host reaches its nodes");
    let mut state = FirewallState::default();
    state.applications.insert("shop".into(), application(&[a, b]));
    state.applications.insert("blog".into(), application(&[c]));
    world.machine().firewall(&state).unwrap();
    assert!(reaches(&nodes[0], b, 80), "within an application");
    assert!(!reaches(&nodes[0], c, 80), "to another application");
    assert!(!reaches(&nodes[2], a, 80), "from another application");
    // A port opened to an application, then to a block, then to all.
    for from in [
        PortSource::Application("shop".into()),
        PortSource::Block(format!("{a}/32").parse().unwrap()),
        PortSource::Any,
    ] {
        let open = OpenPort { address: c, protocol: Protocol::Tcp, first: 79, last: 81, from };
        state.open = vec![open];
        world.machine().firewall(&state).unwrap();
        assert!(reaches(&nodes[0], c, 80), "{:?}", state.open);
        assert!(!reaches(&nodes[2], a, 80));
        state.open.clear();
        world.machine().firewall(&state).unwrap();
        assert!(!reaches(&nodes[0], c, 80));
    }
    // A member moves to the other application.
    state.applications = BTreeMap::from([("blog".into(), application(&[b, c]))]);
    world.machine().firewall(&state).unwrap();
    assert!(!reaches(&nodes[0], b, 80));
    assert!(reaches(&nodes[1], c, 80));
}

#[test]
fn the_machine_itself_is_closed_except_for_what_is_named() {
    let Some(world) = world() else { return };
    let node = world.start(&world.spec(0, "exec sleep 1000"));
    let gateway = world.machine().gateway();
    let host = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let dns = TcpListener::bind((gateway, 53)).unwrap();
    let port = host.local_addr().unwrap().port();
    assert!(reaches(&node, gateway, 53), "DNS on the gateway");
    assert!(!reaches(&node, gateway, port), "another port of the host");
    let mut state = FirewallState::default();
    state.host_ports.push(HostPort { protocol: Protocol::Tcp, port });
    world.machine().firewall(&state).unwrap();
    assert!(reaches(&node, gateway, port), "a named port");
    drop(dns);
}

#[test]
fn the_state_survives_a_new_agent_without_a_gap() {
    let Some(mut world) = world() else { return };
    let nodes: Vec<_> = (0..2).map(|n| serving(&world, n)).collect();
    let (a, b) = (world.address(0), world.address(1));
    let mut state = FirewallState::default();
    state.applications.insert("s-1.x".into(), application(&[a, b]));
    world.machine().firewall(&state).unwrap();
    assert!(reaches(&nodes[0], b, 80));
    drop(world.machine.take());
    world.machine = Some(lace_machine::Machine::open(world.config.clone()).unwrap());
    assert!(reaches(&nodes[0], b, 80), "before the new agent knows anything");
    world.machine().firewall(&state).unwrap();
    assert!(reaches(&nodes[0], b, 80));
    world.machine().firewall(&FirewallState::default()).unwrap();
    assert!(!reaches(&nodes[0], b, 80));
}

#[test]
fn only_egress_leaves_and_nobody_borrows_an_address() {
    let Some(world) = world() else { return };
    let node = world.start(&world.spec(0, "exec sleep 1000"));
    let absent = world.address(99);
    let (_, text) = run(
        &node,
        &format!(
            "python3 -c \"import socket; socket.create_connection(('{absent}', 80), 0.4)\" 2>&1 | tail -1"
        ),
    );
    assert!(
        text.contains("timed out") || text.contains("No route") || text.contains("unreachable"),
        "{text}"
    );
    let a = world.address(0);
    let mut state = FirewallState::default();
    state.applications.insert("shop".into(), Application { members: vec![a], egress: vec![a] });
    world.machine().firewall(&state).unwrap();
    let rules = std::process::Command::new("nft")
        .args(["list", "table", "inet", &format!("lace-{}", world.config.installation)])
        .output()
        .unwrap();
    let rules = String::from_utf8_lossy(&rules.stdout).into_owned();
    assert!(rules.contains("masquerade"), "{rules}");
    assert_eq!(rules.matches(&a.to_string()).count(), 3, "{rules}");
    assert_eq!(says(&node, "cat /proc/net/route | wc -l"), "2");
}

#[test]
fn overlapping_ports_are_no_obstacle() {
    let Some(world) = world() else { return };
    let node = world.start(&world.spec(0, "exec sleep 1000"));
    let open = |first, last, from| OpenPort {
        address: world.address(0),
        protocol: Protocol::Tcp,
        first,
        last,
        from,
    };
    let block = |text: &str| PortSource::Block(text.parse().unwrap());
    let doors = vec![
        open(80, 90, PortSource::Any),
        open(85, 95, PortSource::Any),
        open(80, 90, block("10.0.0.0/8")),
        open(70, 100, block("10.1.0.0/16")),
        open(1, 65_535, PortSource::Application("shop".into())),
        open(5, 6, PortSource::Application("shop".into())),
    ];
    let mut state = FirewallState { open: doors, ..FirewallState::default() };
    world.machine().firewall(&state).unwrap();
    state.open[1].last = 99;
    state.open.swap_remove(2);
    world.machine().firewall(&state).unwrap();
    // A refused state leaves the former one in force and is not remembered.
    world.machine().firewall(&FirewallState::default()).unwrap();
    world.machine().firewall(&state).unwrap();
    assert_eq!(says(&node, "hostname"), "n0");
}

#[test]
fn a_node_cannot_speak_with_the_address_of_another() {
    let Some(world) = world() else { return };
    let [a, b, c] = [0, 1, 2].map(|n| world.address(n));
    let listen = "exec python3 -uc \"
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 9000))
print('ready')
while True: print(s.recvfrom(100)[1][0])\"";
    let liar = world.start(&world.spec(0, "exec sleep 1000"));
    world.start(&world.spec(1, listen));
    world.start(&world.spec(2, "exec sleep 1000"));
    let mut state = FirewallState::default();
    state.applications.insert("shop".into(), application(&[a, b, c]));
    world.machine().firewall(&state).unwrap();
    let reader = lace_machine::LogReader::new(world.machine().log_dir("node-1"));
    let heard = || -> Vec<String> {
        let (lines, _) = reader.tail(10, None).unwrap();
        lines.into_iter().map(|l| l.text).collect()
    };
    until("it listens", || (heard() == ["ready"]).then_some(()));
    let send = |source: Ipv4Addr| {
        let script = format!(
            "python3 -c \"
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
udp = struct.pack('!HHHH', 9, 9000, 10, 0) + b'hi'
ip = struct.pack('!BBHHHBBH4s4s', 69, 0, 30, 0, 0, 64, 17, 0, socket.inet_aton('{source}'), socket.inet_aton('{b}'))
s.sendto(ip + udp, ('{b}', 0))\""
        );
        says(&liar, &script);
    };
    send(c);
    send(a);
    until("the honest packet", || (heard().len() >= 2).then_some(()));
    assert_eq!(heard(), ["ready".to_owned(), a.to_string()]);
}
