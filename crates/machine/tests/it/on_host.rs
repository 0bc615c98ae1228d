//! Isolation `host`: the host's network and files, and nothing left of it.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsFd;

use lace_machine::{
    Application, ExecSpec, FileSpec, FirewallState, Isolation, Machine, NodeHandle, NodeSpec, OpenPort,
    PortSource, Protocol,
};

use crate::world::{DEADLINE, World, run, says, shell, until, world};

fn spec(world: &World, n: u32, script: &str) -> NodeSpec {
    NodeSpec { isolation: Isolation::Host, ..world.spec(n, script) }
}

fn file(path: &str) -> FileSpec {
    let (path, content) = (path.into(), b"pa55word".to_vec());
    FileSpec { path, mode: 0o600, owner: None, content, tmpfs: false }
}

/// Processes of this machine whose command line has that word.
fn processes(word: &str) -> usize {
    let pids = fs::read_dir("/proc").unwrap().flatten();
    let lines = pids.filter_map(|pid| fs::read(pid.path().join("cmdline")).ok());
    lines.filter(|line| line.split(|b| *b == 0).any(|w| w == word.as_bytes())).count()
}

/// Is it an address of this machine?
fn is_here(address: Ipv4Addr) -> bool {
    lace_machine::interfaces().unwrap().iter().any(|a| a.address == address)
}

/// What a shell says on a terminal.
fn in_terminal(node: &NodeHandle, script: &str) -> String {
    let spec = ExecSpec { pty: Some((24, 80)), ..ExecSpec::new(["/bin/sh", "-c", script]) };
    let null = fs::File::open("/dev/null").unwrap();
    let mut shell = node.exec(&spec, [null.as_fd(); 3]).unwrap();
    let mut terminal = fs::File::from(shell.terminal.as_ref().unwrap().try_clone().unwrap());
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    // The end of the session is EIO on a terminal's master.
    while let Ok(n @ 1..) = terminal.read(&mut buffer) {
        text.extend_from_slice(&buffer[..n]);
    }
    assert_eq!(shell.wait(Some(DEADLINE)).unwrap().code, Some(5));
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn a_node_is_on_the_host_as_a_user_without_rights() {
    let Some(world) = world() else { return };
    let layer = world.config.state_dir.join("layer/app");
    fs::create_dir_all(&layer).unwrap();
    fs::write(layer.join("release"), "1.0").unwrap();
    let mut spec = spec(&world, 0, "echo up; exec sleep 1000");
    spec.layers.push(layer.parent().unwrap().into());
    spec.files = vec![file("/run/lace/context.json"), file("/app/etc/made.conf")];
    let node = world.start(&spec);
    let uid = says(&node, "id -u").parse::<u32>().unwrap();
    assert!(uid >= world.config.uid_base);
    let host = |path: &str| fs::read_link(path).unwrap().to_string_lossy().into_owned();
    let facts = [
        ("readlink /proc/self/ns/net", host("/proc/self/ns/net")),
        ("readlink /proc/self/ns/uts", host("/proc/self/ns/uts")),
        ("cat /etc/machine-id 2>/dev/null || :", fs::read_to_string("/etc/machine-id").unwrap_or_default()),
        ("stat -c %U%a /etc/passwd", "root644".to_owned()),
        ("cat /app/release; stat -c ' %u' /app/release", format!("1.0 {uid}")),
        ("echo 2.0 > /app/release && cat /app/release", "2.0".to_owned()),
        ("cat /run/lace/context.json /app/etc/made.conf", "pa55wordpa55word".to_owned()),
        ("stat -c %u-%a /run/lace/context.json", format!("{uid}-600")),
        ("stat -f -c %T /run/lace", "tmpfs".to_owned()),
        (
            "touch /tmp/mine /var/tmp/mine /dev/shm/mine && ls -A /tmp /dev/shm",
            "/dev/shm:\nmine\n\n/tmp:\nmine".to_owned(),
        ),
        ("grep CapEff /proc/self/status | cut -f2", "0000000000000000".to_owned()),
        ("grep NoNewPrivs /proc/self/status | cut -f2", "1".to_owned()),
        ("cd /proc; ls -d [0-9]* | wc -l | xargs test 8 -gt && echo few", "few".to_owned()),
        ("grep nameserver /etc/resolv.conf", format!("nameserver {}", world.machine().gateway())),
    ];
    for (script, expected) in facts {
        let (code, text) = run(&node, script);
        assert_eq!((text.trim(), code), (expected.trim(), 0), "{script}");
    }
    for refused in [
        "cat /etc/shadow",
        "touch /etc/mine",
        "touch /usr/mine",
        "cat /proc/1/environ",
        "chown 0 /app/release",
    ] {
        assert_ne!(run(&node, refused).0, 0, "{refused}");
    }
    assert!(in_terminal(&node, "echo again > $(tty); id -u; exit 5").contains(&format!("again\r\n{uid}")));
    // A command cannot be anybody else's.
    let root = ExecSpec { user: Some("root".into()), ..ExecSpec::new(["id", "-u"]) };
    assert_eq!(String::from_utf8(node.output(&root).unwrap().1).unwrap().trim(), uid.to_string());
    assert_eq!(fs::read_to_string(layer.join("release")).unwrap(), "1.0");
    for path in ["/app", "/tmp/mine", "/dev/shm/mine", "/run/lace/context.json", "/var/tmp/mine"] {
        assert!(!fs::exists(path).unwrap(), "{path} is on the host");
    }
    assert!(is_here(spec.address));
}

#[test]
fn nothing_of_it_is_left_whatever_it_forks() {
    let Some(world) = world() else { return };
    let word = format!("9{}", std::process::id());
    // Out of its session, its process group, and its parents' sight.
    let script = format!(
        "setsid -f sh -c 'setsid -f sleep {word}; exec sleep {word}'; (sleep {word} &) ; nohup sleep {word} & exec sleep {word}"
    );
    let node = world.start(&spec(&world, 0, &script));
    let all = || (processes(&word) == 5).then_some(());
    until("all run", all);
    node.restart(None).unwrap();
    until("those of the former life are gone", all);
    node.stop(None, None).unwrap();
    until("a stop leaves nothing", || (processes(&word) == 0).then_some(()));
    node.start(None).unwrap();
    until("all run", all);
    let pid = world.machine().list()[0].pid.unwrap();
    // SAFETY: the pid is that of our own node.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    until("what its PID 1 leaves behind ends with it", || (processes(&word) == 0).then_some(()));
    until("it is seen", || (!world.machine().list()[0].alive).then_some(()));
    world.start(&spec(&world, 0, &script));
    until("all run", all);
    world.machine().remove("node-0").unwrap();
    assert_eq!(processes(&word), 0);
    assert!(!is_here(world.address(0)), "its address is left");
    assert!(world.machine().list().is_empty());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&world.config.installation), "a mount is left");
}

#[test]
fn it_outlives_its_agent_and_its_pid1_replaces_itself() {
    let Some(mut world) = world() else { return };
    let node = world.start(&spec(&world, 0, "while :; do date +%s%N; sleep 0.05; done"));
    let before = node.status().unwrap();
    drop(world.machine.take());
    world.machine = Some(Machine::open(world.config.clone()).unwrap());
    assert!(world.machine().sweep(&["node-0".into()]).unwrap().is_empty());
    assert!(is_here(world.address(0)));
    let node = world.machine().connect("node-0").unwrap();
    node.reexec(world.config.executable.as_ref().unwrap()).unwrap();
    let after = node.status().unwrap();
    assert_eq!((after.pid, after.started_at_ms), (before.pid, before.started_at_ms));
    let uid = says(&node, "id -u");
    assert_ne!(uid, "0");
    node.restart(None).unwrap();
    assert_eq!(says(&node, "stat -c %u /proc/$(cut -d' ' -f1 /proc/1/task/1/children)"), uid);
    assert_eq!(world.machine().sweep(&[]).unwrap(), ["node-0"]);
    assert!(!is_here(world.address(0)));
}

#[test]
fn it_knows_names_of_nodes_again_after_the_host_has_replaced_its_resolver() {
    let Some(world) = world() else { return };
    let node = world.start(&spec(&world, 0, "exec sleep 1000"));
    let gateway = format!("nameserver {}", world.machine().gateway());
    let asks = || says(&node, "cat /etc/resolv.conf").contains(&gateway);
    assert!(asks());
    let pid = world.machine().list()[0].pid.unwrap().to_string();
    let real = fs::canonicalize("/etc/resolv.conf").unwrap();
    let mut uncover = std::process::Command::new("nsenter");
    assert!(uncover.args(["-t", &pid, "-m", "-p", "umount"]).arg(real).status().unwrap().success());
    assert!(!asks());
    node.restart(None).unwrap();
    assert!(asks());
}

#[test]
fn a_link_of_its_own_leads_no_file_of_ours_astray() {
    let Some(world) = world() else { return };
    let name = format!("lace-made-{}", std::process::id());
    let path = format!("/app/etc/{name}");
    let mut spec = spec(&world, 0, "exec sleep 1000");
    spec.files = vec![file(&path)];
    let node = world.start(&spec);
    says(&node, "rm -r /app/etc; ln -s /var/cache /app/etc");
    assert!(node.put(path.as_ref(), 0o600, b"x").is_err());
    node.put("/run/lace/context.json".as_ref(), 0o600, b"new").unwrap();
    assert_eq!(
        says(&node, "cat /run/lace/context.json; stat -c ' %u' /run/lace/context.json"),
        format!("new {}", says(&node, "id -u"))
    );
    // SAFETY: the pid is that of our own node.
    unsafe { libc::kill(world.machine().list()[0].pid.unwrap(), libc::SIGKILL) };
    until("it is seen", || (!world.machine().list()[0].alive).then_some(()));
    let error = world.machine().start(&spec).unwrap_err().to_string();
    assert!(error.contains(&format!("write {path}: EACCES")), "{error}");
    assert!(!fs::exists(format!("/var/cache/{name}")).unwrap());
}

#[test]
fn root_is_roots_only_where_it_is_said() {
    let Some(world) = world() else { return };
    let mut spec = spec(&world, 0, "exec sleep 1000");
    spec.process.as_mut().unwrap().user = Some("root".into());
    let node = world.start(&spec);
    assert_eq!(says(&node, "id -u; wc -l < /etc/shadow > /dev/null; echo $?"), "0\n0");
    assert_eq!(says(&node, "grep CapEff /proc/self/status | cut -f2"), "00000000a00425fb");
    assert_ne!(run(&node, "mount -t tmpfs none /mnt").0, 0);
}

#[test]
fn its_limits_bite() {
    let Some(world) = world() else { return };
    let mut spec = spec(&world, 0, "exec sleep 1000");
    spec.limits.memory_bytes = Some(64 << 20);
    spec.limits.pids = Some(20);
    let node = world.start(&spec);
    let (code, _) = run(&node, "exec python3 -c \"x = bytearray(200 << 20)\"");
    assert_eq!(code, -9);
    let (_, text) = run(&node, "for i in $(seq 40); do sleep 5 & done 2>&1; wait");
    assert!(text.contains("ork"), "{text}");
    assert!(world.machine().stats("node-0").memory_bytes.unwrap_or(0) > 0);
}

#[test]
fn what_lies_elsewhere_would_stay_on_the_host_and_is_refused() {
    let Some(world) = world() else { return };
    let mut bad = spec(&world, 0, "true");
    bad.files = vec![file("/etc/made.conf")];
    let error = world.machine().start(&bad).unwrap_err().to_string();
    assert_eq!(error, "files.path: /etc/made.conf is the host's: only /app and /run/lace are the node's");
    assert!(world.machine().list().is_empty());
}

#[test]
fn others_reach_it_as_any_node() {
    let Some(world) = world() else { return };
    let serve = |n| format!("exec python3 -m http.server 1800{n} --bind {}", world.address(n));
    let mut server = spec(&world, 0, "");
    server.process = Some(shell(&serve(0)));
    let on_host = world.start(&server);
    let [friend, stranger] = [1, 2].map(|n| world.start(&world.spec(n, &serve(n))));
    let mut state = FirewallState::default();
    let own = |members| Application { members, egress: Vec::new() };
    state.applications.insert("shop".into(), own(vec![world.address(0), world.address(1)]));
    state.applications.insert("other".into(), own(vec![world.address(2)]));
    state.on_host.push(world.address(0));
    world.machine().firewall(&state).unwrap();
    let reaches = |node, n: u32| {
        let to = world.address(n);
        let script = format!("import socket; socket.create_connection(('{to}', 1800{n}), 0.4)");
        run(node, &format!("python3 -c \"{script}\" 2>/dev/null")).0 == 0
    };
    until("the host reaches it", || TcpStream::connect((world.address(0), 18000)).ok());
    until("its application reaches it", || reaches(&friend, 0).then_some(()));
    until("it reaches its application", || reaches(&on_host, 1).then_some(()));
    assert!(!reaches(&stranger, 0), "another application reaches it");
    state.open.push(OpenPort {
        address: world.address(0),
        protocol: Protocol::Tcp,
        first: 18000,
        last: 18000,
        from: PortSource::Any,
    });
    world.machine().firewall(&state).unwrap();
    assert!(reaches(&stranger, 0), "an opened port");
}
