//! Other firewalls on the host, and other networks around it. Each test has a network namespace of its own for its
//! "host": a thread that never comes back to the others.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use lace_machine::{Application, FirewallState, LogReader, NodeHandle};

use crate::world::{World, run, says, until, world};

const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
const SERVE: &str = "exec python3 -m http.server 80 --directory /etc";

/// Runs a test on a host whose network is its own.
fn on_own_network(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(move || {
        // SAFETY: only this thread changes its network, and it ends with the test.
        let left = unsafe { libc::geteuid() == 0 && libc::unshare(libc::CLONE_NEWNET) == 0 };
        if left {
            said("ip link set lo up");
            std::fs::write(FORWARD, "0").unwrap();
            test();
        } else {
            assert!(std::env::var_os("CI").is_none(), "CI must run these tests as root");
        }
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs a line of shell on the host.
fn said(line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn reaches(node: &NodeHandle, to: Ipv4Addr, port: u16) -> bool {
    let script =
        format!("python3 -c \"import socket; socket.create_connection(('{to}', {port}), 0.4)\" 2>/dev/null");
    run(node, &script).0 == 0
}

fn together(world: &World, count: u32) {
    let mut state = FirewallState::default();
    let members: Vec<_> = (0..count).map(|n| world.address(n)).collect();
    state.applications.insert("shop".into(), Application { members, egress: Vec::new() });
    world.machine().firewall(&state).unwrap();
}

const DROPPING: &str = "nft 'table ip filter {
  chain FORWARD { type filter hook forward priority filter; policy drop; ct state established accept; }
  chain INPUT { type filter hook input priority filter; policy drop; iif lo accept; ct state established accept; }
}'";

#[test]
fn nodes_talk_although_another_firewall_drops() {
    on_own_network(|| {
        said(DROPPING);
        let Some(world) = world() else { return };
        let nodes = [0, 1].map(|n| world.start(&world.spec(n, SERVE)));
        until("it listens", || reaches(&nodes[1], Ipv4Addr::LOCALHOST, 80).then_some(()));
        let gateway = world.machine().gateway();
        let _dns = std::net::TcpListener::bind((gateway, 53)).unwrap();
        assert!(!reaches(&nodes[0], world.address(1), 80), "our own firewall still judges");
        together(&world, 2);
        assert!(reaches(&nodes[0], world.address(1), 80), "through the other firewall");
        assert!(reaches(&nodes[0], gateway, 53), "DNS through the other firewall");
        // It reloads and forgets our rules; the next look finds that.
        said("nft flush chain ip filter FORWARD");
        assert!(!reaches(&nodes[0], world.address(1), 80));
        assert_eq!(world.machine().keep_open().unwrap(), ["ip filter FORWARD", "ip filter INPUT"]);
        assert!(reaches(&nodes[0], world.address(1), 80), "after the reload");
        world.machine().keep_open().unwrap();
        assert_eq!(said("nft list ruleset").matches("comment \"lace-").count(), 3);
        drop(nodes);
        drop(world);
        assert!(!said("nft list ruleset").contains("lace-"), "something is left in the other's chains");
    });
}

#[test]
fn the_host_is_a_router_for_nodes_only_and_none_afterwards() {
    on_own_network(|| {
        let Some(one) = world() else { return };
        let closed = |world: &World| {
            said(&format!("nft list chain inet lace-{} foreign", world.config.installation)).contains("drop")
        };
        let forwards = || std::fs::read_to_string(FORWARD).unwrap().trim() == "1";
        assert!(closed(&one) && forwards());
        let two = world().expect("root");
        assert!(closed(&two));
        drop(one);
        assert!(forwards(), "the other installation needs it");
        // Somebody else judges what is forwarded from now on.
        said("nft 'table ip filter { chain FORWARD { type filter hook forward priority filter; }; }'");
        two.machine().keep_open().unwrap();
        assert!(!closed(&two));
        drop(two);
        assert!(!forwards(), "it was off before");
    });
}

#[test]
fn two_installations_on_a_host_leave_each_others_nodes_alone() {
    on_own_network(|| {
        let Some(one) = world() else { return };
        let two = world().expect("root");
        for world in [&one, &two] {
            let nodes = [0, 1].map(|n| world.start(&world.spec(n, SERVE)));
            until("it listens", || reaches(&nodes[1], Ipv4Addr::LOCALHOST, 80).then_some(()));
            together(world, 2);
            assert!(reaches(&nodes[0], world.address(1), 80), "the other installation drops it");
            let other = if std::ptr::eq(world, &one) { &two } else { &one };
            assert!(!reaches(&nodes[0], other.address(0), 80));
        }
    });
}

/// A network beyond the host, with a route to the space.
struct Outside(Child);

impl Outside {
    fn new(world: &World) -> Outside {
        let outside = Outside(
            Command::new("unshare").args(["-n", "sleep", "1000"]).stdin(Stdio::null()).spawn().unwrap(),
        );
        let pid = outside.0.id();
        let own = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let there = format!("/proc/{pid}/ns/net");
        until("it left", || std::fs::read_link(&there).is_ok_and(|n| n != own).then_some(()));
        said(&format!("ip link add out0 type veth peer name out1 netns {pid}"));
        said("ip addr add 198.51.100.1/24 dev out0; ip link set out0 up");
        for name in ["all", "out0"] {
            std::fs::write(format!("/proc/sys/net/ipv4/conf/{name}/rp_filter"), "0").unwrap();
        }
        let space = world.config.space;
        outside.says(&format!(
            "ip addr add 198.51.100.2/24 dev out1; ip link set out1 up; ip route add {space} via 198.51.100.1"
        ));
        outside
    }

    fn says(&self, line: &str) -> String {
        said(&format!("nsenter -t {} -n sh -ec \"{}\"", self.0.id(), line.replace('"', "\\\"")))
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nobody_outside_speaks_as_a_node() {
    on_own_network(|| {
        let Some(world) = world() else { return };
        let listen = "exec python3 -uc \"
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 9000))
print('ready')
while True: print(s.recvfrom(100)[1][0])\"";
        let honest = world.start(&world.spec(0, "exec sleep 1000"));
        world.start(&world.spec(1, listen));
        together(&world, 3);
        let outside = Outside::new(&world);
        let reader = LogReader::new(world.machine().log_dir("node-1"));
        let heard = || -> Vec<String> {
            let (lines, _) = reader.tail(10, None).unwrap();
            lines.into_iter().map(|l| l.text).collect()
        };
        until("it listens", || (heard() == ["ready"]).then_some(()));
        let [a, b, c] = [0, 1, 2].map(|n| world.address(n));
        let send = |source: Ipv4Addr| {
            format!(
                "python3 -c \"
import socket, struct
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
udp = struct.pack('!HHHH', 9, 9000, 10, 0) + b'hi'
ip = struct.pack('!BBHHHBBH4s4s', 69, 0, 30, 0, 0, 64, 17, 0, socket.inet_aton('{source}'), socket.inet_aton('{b}'))
s.sendto(ip + udp, ('{b}', 0))\""
            )
        };
        outside.says(&send(c));
        outside.says(&send(a));
        says(&honest, &send(a));
        until("the honest packet", || (heard().len() >= 2).then_some(()));
        assert_eq!(heard(), ["ready".to_owned(), a.to_string()]);
    });
}
