//! A cluster that Lace did not start comes into view, is asked, and goes on without it.

use crate::lace::{Lace, eventually, may_run};
use crate::tls::Authority;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// All numbers that runtimes are asked for.
const NUMBERS: [&str; 29] = [
    "erlang_vm_memory_atom_bytes",
    "erlang_vm_memory_bytes",
    "erlang_vm_memory_ets_tables",
    "erlang_vm_memory_processes_bytes",
    "erlang_vm_memory_system_bytes",
    "erlang_vm_statistics_bytes_output_total",
    "erlang_vm_statistics_bytes_received_total",
    "erlang_vm_statistics_context_switches_total",
    "erlang_vm_statistics_dirty_cpu_run_queue_length",
    "erlang_vm_statistics_dirty_io_run_queue_length",
    "erlang_vm_statistics_garbage_collection_bytes_reclaimed_total",
    "erlang_vm_statistics_garbage_collection_number_of_gcs_total",
    "erlang_vm_statistics_garbage_collection_words_reclaimed_total",
    "erlang_vm_statistics_reductions_total",
    "erlang_vm_statistics_run_queues_length",
    "erlang_vm_statistics_runtime_seconds_total",
    "erlang_vm_statistics_wallclock_time_seconds_total",
    "erlang_vm_atom_count",
    "erlang_vm_atom_limit",
    "erlang_vm_ets_limit",
    "erlang_vm_ports",
    "erlang_vm_port_limit",
    "erlang_vm_processes",
    "erlang_vm_process_limit",
    "erlang_vm_schedulers",
    "erlang_vm_schedulers_online",
    "erlang_vm_dist_port_queue_size_bytes",
    "erlang_vm_dist_port_input_bytes",
    "erlang_vm_dist_port_output_bytes",
];

const COOKIE: &str = "not-for-anybodys-eyes";

/// A runtime on an address of the loopback; ended when dropped.
struct Runtime(Child);

impl Runtime {
    fn start(n: u8, port: u16, home: &Path, more: &[&str]) -> Self {
        let name = format!("old@127.31.7.{n}");
        let interface = format!("{{127,31,7,{n}}}");
        let child = Command::new("erl")
            .args([
                "-noinput",
                "-name",
                &name,
                "-setcookie",
                COOKIE,
                "-start_epmd",
                "false",
                "-erl_epmd_port",
            ])
            .arg(port.to_string())
            .args(["-kernel", "inet_dist_use_interface", &interface])
            .args(more)
            .env("HOME", home)
            .stdout(Stdio::null())
            .spawn()
            .expect("erl starts");
        Self(child)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_running_cluster_is_adopted_asked_and_forgotten() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(228, 0);
    let port = TcpListener::bind("127.31.7.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let mut first = Runtime::start(1, port, lace.files(), &[]);
    let second = Runtime::start(2, port, lace.files(), &[]);
    let port = port.to_string();
    let words = ["beam", "adopt", "old@127.31.7.1", "--port", &port, "--app", "legacy"];
    let wrong = lace.run_with(&words, "another-cookie\n").ends(1);
    assert!(wrong.err.contains("cookie"), "{}", wrong.err);
    eventually("it answers", || lace.run_with(&words, COOKIE).status == 0);
    // It sees nobody yet; when it does, adopting it again takes the others in.
    let far = "'old@127.31.7.2'";
    let rpc = |words: &[&str]| lace.run(&[&["beam", "rpc", "legacy/adopted/1"], words].concat());
    eventually("they are connected", || rpc(&["net_kernel", "connect_node", far]).out.contains("true"));
    let ran = lace.run_with(&words, COOKIE).ok();
    assert!(ran.out.contains("legacy/adopted/2 is old@127.31.7.2"), "{}", ran.out);
    let status = || lace.run(&["beam", "status", "legacy"]).out;
    eventually("both are in view", || {
        status().matches("started").count() == 2 && status().matches("1 of 1").count() == 2
    });
    assert!(rpc(&["lists", "seq", "1", "3"]).ok().out.contains("[1,2,3]"));
    assert!(lace.run(&["beam", "top", "legacy/adopted/2"]).ok().out.contains("init"));
    // A viewer sees, and calls nothing; nobody reads the cookie.
    let made = lace.run(&["token", "create", "eyes", "--role", "viewer", "--format", "json"]).ok().json();
    let token = made["token"].as_str().expect("a token").to_owned();
    eventually("their numbers are told", || {
        let bearer = format!("Authorization: Bearer {token}");
        let told =
            Command::new("curl").args(["-s", "-H", &bearer, &format!("{}/metrics", lace.url())]).output();
        let told = String::from_utf8_lossy(&told.expect("curl").stdout).into_owned();
        let line =
            |n: u8| format!("erlang_vm_statistics_reductions_total{{node=\"legacy/adopted/adopted/{n}\"");
        // Under the names of prometheus.erl; what it knows of the other one, too.
        let of_all = |name: &str| told.contains(&format!("{name}{{node=\"legacy/adopted/adopted/1\""));
        told.contains(&line(1)) && told.contains(&line(2)) && NUMBERS.iter().all(|name| of_all(name))
    });
    let env = [("LACE_URL".to_owned(), lace.url()), ("LACE_TOKEN".to_owned(), token)];
    let as_viewer = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        lace.run_in(lace.files(), &words, &env, "")
    };
    as_viewer(&["beam", "status", "legacy"]).ok();
    as_viewer(&["beam", "rpc", "legacy/adopted/1", "erlang", "node"]).ends(6);
    for words in [
        &["beam", "status", "legacy", "--format", "json"][..],
        &["secret", "list", "legacy", "--format", "json"],
        &["events", "--format", "json"],
        &["export", "legacy"],
    ] {
        let ran = lace.run(words);
        assert!(!ran.out.contains(COOKIE) && !ran.err.contains(COOKIE), "{words:?} shows the cookie");
    }
    // Looked at, and not steered: whoever started it ends it.
    let process = rpc(&["os", "getpid"]).ok().out;
    for words in [
        &["restart", "legacy/adopted/1"][..],
        &["scale", "legacy/adopted", "3"],
        &["exec", "legacy/adopted/1", "--", "true"],
    ] {
        let ran = lace.run(words);
        assert!(ran.status != 0, "{words:?} did something: {}{}", ran.out, ran.err);
    }
    for verb in ["restart", "stop"] {
        assert!(lace.run(&[verb, "legacy"]).out.contains("nothing changes"));
    }
    assert_eq!(rpc(&["os", "getpid"]).ok().out, process);
    // A controller that begins anew finds them again; one that died is told of.
    lace.kill("server");
    eventually("the next controller sees both", || status().matches("started").count() == 2);
    drop(second);
    eventually("the dead one is told of", || {
        let told = status();
        told.contains("legacy/adopted/adopted/2: ") || told.contains("legacy/adopted/2: ")
    });
    lace.run(&["beam", "forget", "legacy/adopted", "--yes"]).ok();
    lace.run(&["beam", "status", "legacy"]).ends(7);
    lace.run(&["delete", "legacy", "--yes"]).ok();
    lace.down_and_nothing_left();
    assert!(first.0.try_wait().expect("asked").is_none(), "the cluster goes on without Lace");
}

/// A machine of its own: a network namespace at the other end of a cable; gone when dropped.
struct Away {
    namespace: &'static str,
    address: &'static str,
}

impl Away {
    fn make(namespace: &'static str, [here, address]: [&'static str; 2]) -> Self {
        let _ = Command::new("ip").args(["netns", "del", namespace]).stderr(Stdio::null()).status();
        let ip = |words: &str| {
            let made = Command::new("ip").args(words.split(' ')).status().expect("ip runs");
            assert!(made.success(), "ip {words}");
        };
        ip(&format!("netns add {namespace}"));
        ip(&format!("link add {namespace} type veth peer name eth0 netns {namespace}"));
        ip(&format!("addr add {here}/30 dev {namespace}"));
        ip(&format!("link set {namespace} up"));
        ip(&format!("-n {namespace} addr add {address}/30 dev eth0"));
        ip(&format!("-n {namespace} link set eth0 up"));
        ip(&format!("-n {namespace} link set lo up"));
        Self { namespace, address }
    }

    fn start(&self, home: &Path, words: &[&str]) -> Runtime {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", self.namespace]).args(words).env("HOME", home).stdout(Stdio::null());
        Runtime(command.spawn().expect("ip runs"))
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", self.namespace]).status();
    }
}

#[test]
fn a_node_is_found_by_its_epmd_and_keeps_a_time_of_its_own() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(228, 2);
    let away = Away::make("lad228", ["10.161.0.1", "10.161.0.2"]);
    let epmd = away.start(lace.files(), &["epmd"]);
    let name = format!("old@{}", away.address);
    let words = ["erl", "-noinput", "-start_epmd", "false", "-name", &name, "-setcookie", COOKIE];
    let time = ["-kernel", "net_ticktime", "4"];
    let node = away.start(lace.files(), &[&words[..], &time].concat());
    let adopt = ["beam", "adopt", &name, "--app", "away"];
    eventually("it is found", || lace.run_with(&adopt, COOKIE).status == 0);
    let rpc = |words: &[&str]| lace.run(&[&["beam", "rpc", "away/adopted/1"], words].concat());
    eventually("it answers", || rpc(&["erlang", "node"]).out.contains(&name));
    // It takes whoever is silent for four seconds for dead: the line of Lace is not.
    let lines = || rpc(&["erlang", "nodes", "hidden"]).ok().out;
    let (before, since) = (rpc(&["erlang", "system_info", "dist_ctrl"]).ok().out, std::time::Instant::now());
    eventually("a silent while", || since.elapsed() > std::time::Duration::from_secs(12));
    assert_eq!(
        rpc(&["erlang", "system_info", "dist_ctrl"]).ok().out,
        before,
        "the same connections: {}",
        lines()
    );
    lace.run(&["delete", "away", "--yes"]).ok();
    lace.down_and_nothing_left();
    drop((node, epmd));
}

/// Options of a runtime that shows its certificate and wants one of the authority's.
fn over_tls(dir: &Path, authority: &Authority, host: &str) -> [String; 4] {
    let [chain, key] = authority.issue(host);
    // Each runtime has files of its own: the authority writes the next ones over these.
    let own = |from: &str, what: &str| {
        let to = dir.join(format!("{host}-{what}.pem"));
        std::fs::copy(from, &to).expect("copied");
        to.display().to_string()
    };
    let (chain, key, ca) = (own(&chain, "chain"), own(&key, "key"), dir.join("ca.pem"));
    let side = |more: &str| {
        format!(
            "[{{certfile,{chain:?}}},{{keyfile,{key:?}}},{{cacertfile,{ca:?}}},{{verify,verify_peer}}{more}]"
        )
    };
    let options = format!("[{{server,{}}},{{client,{}}}].", side(",{fail_if_no_peer_cert,true}"), side(""));
    let file = dir.join(format!("{host}.conf"));
    std::fs::write(&file, options).expect("written");
    ["-proto_dist", "inet_tls", "-ssl_dist_optfile", &file.display().to_string()].map(str::to_owned)
}

#[test]
fn a_cluster_that_speaks_tls_is_adopted_with_what_it_trusts() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(228, 1);
    let authority = Authority::new(lace.files());
    let port = TcpListener::bind("127.31.8.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let options = over_tls(lace.files(), &authority, "127.31.7.3");
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let _node = Runtime::start(3, port, lace.files(), &options);
    let [chain, key] = authority.issue("controller.example.com");
    let ours = [chain, key].map(|file| std::fs::read_to_string(file).expect("read")).concat();
    std::fs::write(lace.files().join("ours.pem"), &ours).expect("written");
    let stranger = lace.files().join("stranger");
    std::fs::create_dir(&stranger).expect("made");
    Authority::new(&stranger);
    let port = port.to_string();
    let adopt = |more: &[&str]| {
        let words = ["beam", "adopt", "old@127.31.7.3", "--port", &port, "--app", "sealed"];
        lace.run_with(&[&words[..], more].concat(), COOKIE)
    };
    let file = |name: &str| lace.files().join(name).display().to_string();
    let (ca, ours, others) = (file("ca.pem"), file("ours.pem"), file("stranger/ca.pem"));
    let whole = ["--tls", &ca, "--certificate", &ours];
    eventually("it answers", || adopt(&whole).status == 0);
    eventually("it is in view", || lace.run(&["beam", "status", "sealed"]).out.contains("started"));
    assert!(
        lace.run(&["beam", "rpc", "sealed/adopted/1", "lists", "seq", "1", "3"]).ok().out.contains("[1,2,3]")
    );
    let plain = adopt(&[]).ends(1).err;
    assert!(plain.contains("--tls"), "{plain}");
    let unshown = adopt(&["--tls", &ca]).ends(1).err;
    assert!(unshown.contains("TLS"), "{unshown}");
    let untrusted = adopt(&["--tls", &others, "--certificate", &ours]).ends(1).err;
    assert!(untrusted.contains("certificate"), "{untrusted}");
    let none = adopt(&["--tls", "nowhere.pem", "--certificate", &ours]).ends(7).err;
    assert!(none.contains("nowhere.pem"), "{none}");
    // A controller that begins anew has what was sealed.
    lace.kill("server");
    eventually("the next controller sees it", || {
        let ran = lace.run(&["beam", "rpc", "sealed/adopted/1", "erlang", "node"]);
        ran.out.contains("old@127.31.7.3")
    });
    for words in [&["secret", "list", "sealed", "--format", "json"][..], &["events", "--format", "json"]] {
        assert!(!lace.run(words).out.contains("PRIVATE KEY"), "{words:?} shows the key");
    }
    lace.run(&["delete", "sealed", "--yes"]).ok();
    lace.down_and_nothing_left();
}
