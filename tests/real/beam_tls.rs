//! Erlang distribution over TLS: a cluster of certificates, strangers at its doors, new certificates while it runs, and the
//! way to it.

use crate::cluster::{ball, runners};
use crate::elixir::pond;
use crate::lace::{Lace, eventually, may_run};
use crate::tools::Terminal;
use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Where a node's distribution listens.
const PORT: u16 = 9100;
/// For what a stranger is told.
const PATIENCE: Duration = Duration::from_secs(10);
/// As short as certificates may be.
const LIFETIME: Duration = Duration::from_secs(60);

/// The first message of a handshake (version 6) of a hidden node, behind a length of so many bytes.
fn hello(length_bytes: usize) -> Vec<u8> {
    let name = b"stranger@10.0.0.1";
    let flags: u64 = 0xd_07df_7fbd;
    let head = [&b"N"[..], &flags.to_be_bytes(), &5u32.to_be_bytes(), &(name.len() as u16).to_be_bytes()];
    let message = [head.concat(), name.to_vec()].concat();
    [&(message.len() as u32).to_be_bytes()[4 - length_bytes..], &message].concat()
}

fn tcp(address: Ipv4Addr) -> TcpStream {
    let stream = TcpStream::connect(SocketAddr::from((address, PORT))).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

/// What a node that is spoken to without TLS says; nothing but an alert of TLS may come.
fn said_in_plain(address: Ipv4Addr) -> Vec<u8> {
    let mut stream = tcp(address);
    stream.write_all(&hello(2)).expect("written");
    let mut said = Vec::new();
    // It closes; or the connection is reset.
    let _ = stream.read_to_end(&mut said);
    said
}

/// Trusts everybody and remembers who it was.
#[derive(Debug, Default)]
struct Witness(Mutex<Vec<u8>>);

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.0.lock().expect("not poisoned") = shown.to_vec();
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// Connects with a certificate of somebody else's, or with none: the certificate that the node showed, and what it
/// answered to a handshake of distribution.
fn knock(address: Ipv4Addr, with_certificate: bool) -> (Vec<u8>, Result<[u8; 4], std::io::Error>) {
    let witness = Arc::new(Witness::default());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(witness.clone());
    let config = if with_certificate {
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new(vec!["ball-2.ball.ball.lace.internal".into()]).expect("a name");
        let own = params.self_signed(&key).expect("signed");
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        config.with_client_auth_cert(vec![own.der().clone()], key).expect("a certificate")
    } else {
        config.with_no_client_auth()
    };
    let name = ServerName::IpAddress(address.into());
    let client = ClientConnection::new(Arc::new(config), name).expect("a client");
    let mut stream = StreamOwned::new(client, tcp(address));
    let mut answer = [0; 4];
    let answered = stream.write_all(&hello(4)).and_then(|()| stream.read_exact(&mut answer));
    let shown = witness.0.lock().expect("not poisoned").clone();
    (shown, answered.map(|()| answer))
}

/// The nodes' addresses, by index.
fn addresses(lace: &Lace) -> Vec<Ipv4Addr> {
    let status = lace.status("ball");
    let nodes = status["apps"][0]["families"][0]["nodes"].as_array().expect("nodes").clone();
    let address = |node: &serde_json::Value| node["status"]["address"].as_str()?.parse().ok();
    nodes.iter().map(|node| address(node).unwrap_or_else(|| panic!("no address: {node}"))).collect()
}

/// The example, changed so in its manifest.
fn project(lace: &Lace, changes: &[(&str, &str)]) -> String {
    let dir = ball(lace);
    change(&dir, "lace.toml", changes);
    dir
}

fn change(dir: &str, file: &str, changes: &[(&str, &str)]) {
    let path = std::path::Path::new(dir).join(file);
    let mut text = std::fs::read_to_string(&path).expect("readable");
    for (from, to) in changes {
        assert!(text.contains(from), "{from} is not there");
        text = text.replacen(from, to, 1);
    }
    std::fs::write(path, text).expect("written");
}

fn rpc(lace: &Lace, node: u32, words: &[&str]) -> String {
    let node = format!("ball/ball/{node}");
    lace.run(&[&["beam", "rpc", &node], words].concat()).ok().out
}

/// How the node's runtime is connected to the others: one process for each connection under TLS, a port without. Those of
/// Lace come and go.
fn connections(lace: &Lace, node: u32) -> String {
    let all = rpc(lace, node, &["erlang", "system_info", "dist_ctrl"]);
    let mut members: Vec<_> = all.split("{'").filter(|part| part.starts_with("ball@")).collect();
    members.sort_unstable();
    members.concat().replace([',', ']', '\n'], " ")
}

fn within(lace: &Lace, node: u32, line: &str) -> String {
    lace.run(&["exec", &format!("ball/ball/{node}"), "--", "sh", "-c", line]).ok().out
}

#[test]
fn a_cluster_of_certificates_keeps_strangers_out_and_renews_while_it_runs() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(252, 0);
    let dir =
        project(&lace, &[("tls = \"{{vars.tls}}\" }", "tls = \"{{vars.tls}}\", tls_lifetime = \"1m\" }")]);
    lace.run(&["deploy", "ball", &dir, "--var", "tls=true"]).ok();
    let began = Instant::now();
    assert_eq!(lace.ready("ball"), 3);
    let at = addresses(&lace);
    let before: Vec<_> = at.iter().map(|address| knock(*address, false).0).collect();
    assert!(before.iter().all(|shown| !shown.is_empty()), "a certificate is shown");
    let (links, process) = (connections(&lace, 1), within(&lace, 1, "pidof beam.smp"));
    assert!(links.contains('<') && !links.contains("Port"), "processes of TLS: {links}");

    tools_work(&lace);
    nothing_leaks(&lace);
    strangers_are_refused(&at);

    // Certificates change: once, and again; the first ones are over by then.
    let changed = |former: &[Vec<u8>]| {
        at.iter().zip(former).all(|(address, former)| knock(*address, false).0 != *former)
    };
    eventually("each node shows another certificate", || changed(&before));
    let second: Vec<_> = at.iter().map(|address| knock(*address, false).0).collect();
    eventually("and a third one", || changed(&second));
    eventually("the first ones are over", || began.elapsed() > LIFETIME);
    assert_eq!(connections(&lace, 1), links, "no connection was lost");
    assert_eq!(within(&lace, 1, "pidof beam.smp"), process, "no runtime was restarted");
    // Whoever connects anew does it with what is good now.
    let peer = format!("'ball@{}'", within(&lace, 2, "hostname -f").trim());
    assert!(rpc(&lace, 1, &["erlang", "disconnect_node", &peer]).contains("true"));
    assert!(rpc(&lace, 1, &["net_kernel", "connect_node", &peer]).contains("true"));
    assert_ne!(connections(&lace, 1), links);

    // The copy moves when its node dies, and back.
    within(&lace, 1, "kill -9 $(pidof beam.smp)");
    eventually("another node runs it", || runners(&lace).iter().any(|r| !r.starts_with("ball@ball-1.")));
    eventually("node 1 took it over again", || {
        let all = runners(&lace);
        lace.ready("ball") == 3 && all.len() == 3 && all.iter().all(|r| r.starts_with("ball@ball-1."))
    });
    lace.down_and_nothing_left();
}

/// The agent's line, and the release's own tools.
fn tools_work(lace: &Lace) {
    let nodes = rpc(lace, 1, &["erlang", "nodes"]);
    assert!(nodes.contains("ball@ball-2.") && nodes.contains("ball@ball-3."), "{nodes}");
    assert!(lace.run(&["beam", "top", "ball/ball/2"]).ok().out.contains("init"));
    let all = runners(lace);
    assert_eq!(all.len(), 3, "bin/ball rpc speaks TLS: {all:?}");
    assert!(all.iter().all(|r| r.starts_with("ball@ball-1.")), "{all:?}");
    assert_eq!(within(lace, 3, "bin/ball ping").trim(), "pong");
    let mut shell = Terminal::begin(lace, &["beam", "shell", "ball/ball/2"], 132, 41);
    shell.shows("1>");
    shell.press("{node(), 40 + 2}.\n");
    shell.shows("{'ball@ball-2.ball.ball.lace.internal',42}");
    let token = std::fs::read_to_string(lace.state().join("admin.token")).expect("token");
    eventually("its numbers are told", || {
        let header = format!("authorization: Bearer {}", token.trim());
        let url = format!("{}/metrics", lace.url());
        let out = Command::new("curl").args(["--silent", "--header", &header, &url]).output().expect("curl");
        let text = String::from_utf8_lossy(&out.stdout);
        // Of the connections, too: behind a process of OTP there is a port.
        let peer = |line: &str| {
            line.starts_with("erlang_vm_dist_port_queue_size_bytes{node=\"ball/ball/ball/2\"")
                && line.contains("ball@ball-3.")
        };
        text.contains("erlang_vm_statistics_reductions_total{node=\"ball/ball/ball/2\"")
            && text.lines().any(peer)
    });
}

fn nothing_leaks(lace: &Lace) {
    let modes = within(lace, 1, "stat -c %a:%u /run/lace/tls/*");
    assert_eq!(modes.split_whitespace().collect::<Vec<_>>(), ["600:0"; 3]);
    // The key of the authority would make members of everybody who reads it.
    let authority =
        within(lace, 1, "cat /run/lace/tls/ca.pem; ls /run/lace/secrets; cat /run/lace/secrets/* | wc -c");
    assert!(!authority.contains("PRIVATE") && !authority.contains("LACE_CA"), "{authority}");
    let words = within(lace, 1, "cat /proc/*/cmdline /proc/*/environ | tr '\\0' '\\n'");
    assert!(!words.contains("PRIVATE KEY"), "a key is on a command line or in an environment");
    let shown = lace.run(&["secret", "list", "ball", "--format", "json"]).ok().out;
    assert!(!shown.contains("BEGIN"), "{shown}");
}

fn strangers_are_refused(at: &[Ipv4Addr]) {
    for address in at {
        let said = said_in_plain(*address);
        assert!(!said.windows(3).any(|w| w == b"sok"), "a node answers without TLS: {said:?}");
        for with_certificate in [false, true] {
            let (shown, answered) = knock(*address, with_certificate);
            assert!(!shown.is_empty());
            assert!(answered.is_err(), "a stranger is heard: {answered:?}");
        }
    }
}

#[test]
fn a_cluster_changes_over_all_at_once_or_not_at_all() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(253, 0);
    let dir = project(&lace, &[]);
    lace.run(&["deploy", "ball", &dir]).ok();
    let links = connections(&lace, 1);
    assert!(links.contains("Port"), "ports of TCP: {links}");
    let ran = lace.run(&["deploy", "ball", &dir, "--var", "tls=true", "--var", "version=2.0.0"]).ends(8);
    assert!(
        ran.err.contains("speak plain TCP to one another now, and TLS then")
            && ran.err.contains("all-at-once"),
        "{}",
        ran.err
    );
    // A release that cannot do it is not placed.
    let manifest = std::path::Path::new(&dir).join("lace.toml");
    let text = std::fs::read_to_string(&manifest).expect("readable");
    let all = text.replace("strategy = \"rolling\"", "strategy = \"all-at-once\"");
    std::fs::write(&manifest, all.replace(", \"{{vars.tls}}\"]", ", \"false\"]")).expect("written");
    let ran = lace.run(&["deploy", "ball", &dir, "--var", "tls=true"]).ends(1);
    assert!(ran.err.contains("does not carry crypto, public_key, ssl"), "{}", ran.err);
    assert_eq!(connections(&lace, 1), links, "nothing was touched");

    std::fs::write(&manifest, all).expect("written");
    lace.run(&["deploy", "ball", &dir, "--var", "tls=true", "--var", "version=2.0.0"]).ok();
    assert_eq!(lace.ready("ball"), 3);
    assert!(!connections(&lace, 1).contains("Port"));
    assert_eq!(runners(&lace).len(), 3);
    lace.down_and_nothing_left();
}

#[test]
fn an_elixir_release_and_its_tools_speak_it_too() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(252, 1);
    let dir = pond(&lace);
    // A user's own flags stay, with ours behind them.
    let beam = "beam = { applications = [\"pond\"], tls = true }\nenv = { ERL_ZFLAGS = \"-pond frogs\" }";
    change(&dir, "lace.toml", &[("beam = { applications = [\"pond\"] }", beam)]);
    // Its ways and certificates of elsewhere, as the guides say them, give way in its tools, too.
    let ways =
        "-start_epmd false -erl_epmd_port 6789\n-proto_dist inet_tls\n-ssl_dist_optfile /nowhere/tls.conf\n";
    let rel = std::path::Path::new(&dir).join("rel");
    std::fs::create_dir(&rel).expect("made");
    std::fs::write(rel.join("vm.args.eex"), ways).expect("written");
    std::fs::write(rel.join("remote.vm.args.eex"), format!("{ways}-dist_listen false\n")).expect("written");
    let ran = lace.run(&["deploy", "pond", &dir]).ends(1);
    assert!(ran.err.contains("pond@1.0.0 does not carry crypto, public_key, ssl"), "{}", ran.err);
    change(&dir, "mix.exs", &[("[:logger]", "[:logger, :ssl]"), ("\"1.0.0\"", "\"1.1.0\"")]);
    // What was built in the same second counts as built for mix.
    std::fs::remove_dir_all(rel.with_file_name("_build")).expect("removed");
    lace.run(&["deploy", "pond", &dir]).ok();
    for n in 1..=3 {
        let asked = "IO.inspect({Pond.frogs(), :init.get_argument(:pond), :erlang.system_info(:dist_ctrl)})";
        let ran = lace.run(&["exec", &format!("pond/pond/{n}"), "--", "bin/pond", "rpc", asked]).ok();
        assert!((1..=3).all(|n| ran.out.contains(&format!("pond@pond-{n}."))), "{}", ran.out);
        assert!(ran.out.contains("frogs") && ran.out.contains("#PID<"), "{}", ran.out);
        assert!(!ran.out.contains("#Port<"), "{}", ran.out);
    }
    let nodes = lace.run(&["beam", "rpc", "pond/pond/1", "erlang", "nodes"]).ok().out;
    assert!(nodes.contains("pond@pond-2.") && nodes.contains("pond@pond-3."), "{nodes}");
    // A job is no member, but it may ask one.
    let ran = lace.run(&["run", "pond/pond", "--", "bin/pond", "rpc", "IO.puts(node())"]);
    assert!(ran.status == 0 && ran.out.contains("pond@pond-1."), "{}{}", ran.out, ran.err);
    lace.down_and_nothing_left();
}
