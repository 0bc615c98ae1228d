//! An authority that speaks ACME, and a DNS that says where names lead: pebble and its companion, on loopback.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::json;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Files and ports of one authority; it is away until it is started.
pub struct Pebble {
    dir: PathBuf,
    acme: u16,
    manage: u16,
    dns: u16,
    dns_manage: u16,
    running: Vec<Child>,
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port()
}

impl Pebble {
    /// Its server's certificate comes from an authority of this test alone.
    pub fn new(dir: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two certificates of one name would seem to be one that signed itself.
        params.distinguished_name.push(rcgen::DnType::CommonName, "who vouches for the test's pebble");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("signed");
        let key = KeyPair::generate().expect("key");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let server = CertificateParams::new(names).expect("names").signed_by(&key, &issuer).expect("signed");
        let write = |name: &str, text: String| std::fs::write(dir.join(name), text).expect("written");
        write("pebble-ca.pem", issuer.pem());
        write("pebble.pem", server.pem());
        write("pebble.key", key.serialize_pem());
        let [acme, manage, dns, dns_manage] = [free_port(), free_port(), free_port(), free_port()];
        Self { dir: dir.to_owned(), acme, manage, dns, dns_manage, running: Vec::new() }
    }

    pub fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.acme)
    }

    /// The file with who vouches for its server.
    pub fn ca(&self) -> PathBuf {
        self.dir.join("pebble-ca.pem")
    }

    /// Starts it: its certificates are good for so long, and it looks at these ports of what a name leads to. Names lead
    /// nowhere at first.
    pub fn start(&mut self, lifetime_s: u64, (http, tls): (u16, u16)) {
        let config = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.acme),
            "managementListenAddress": format!("127.0.0.1:{}", self.manage),
            "certificate": self.dir.join("pebble.pem"),
            "privateKey": self.dir.join("pebble.key"),
            "httpPort": http,
            "tlsPort": tls,
            "ocspResponderURL": "",
            "certificateValidityPeriod": lifetime_s,
        }});
        let file = self.dir.join("pebble.json");
        std::fs::write(&file, config.to_string()).expect("written");
        let mut names = Command::new("pebble-challtestsrv");
        names.args(["-defaultIPv4", "127.255.255.254", "-defaultIPv6", "", "-http01", "", "-https01", ""]);
        names.args(["-tlsalpn01", "", "-dns01", &format!("127.0.0.1:{}", self.dns)]);
        names.args(["-management", &format!("127.0.0.1:{}", self.dns_manage)]);
        let mut pebble = Command::new("pebble");
        pebble.args(["-strict", "-dnsserver", &format!("127.0.0.1:{}", self.dns), "-config"]).arg(file);
        // What it found once, it looks for again; it does not idle to seem slow.
        pebble.env("PEBBLE_AUTHZREUSE", "0").env("PEBBLE_VA_NOSLEEP", "1");
        for command in [&mut names, &mut pebble] {
            let log =
                std::fs::File::create(self.dir.join(format!("{}.log", self.running.len()))).expect("a log");
            let errors = log.try_clone().expect("a log");
            let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
            self.running.push(child.expect("pebble is there: scripts/install.sh --for test"));
        }
    }

    fn curl(&self, words: &[&str]) -> Option<String> {
        let out = Command::new("curl").args(["--silent", "--fail", "--max-time", "10"]).args(words).output();
        let out = out.expect("curl");
        out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
    }

    /// Where all names lead from now on. False while it does not listen yet.
    pub fn lead_to(&self, ip: &str) -> bool {
        let url = format!("http://127.0.0.1:{}/set-default-ipv4", self.dns_manage);
        self.curl(&["--data", &json!({ "ip": ip }).to_string(), &url]).is_some()
    }

    /// The root of what it issues, once it listens.
    pub fn root(&self) -> Option<String> {
        let ca = self.ca();
        let url = format!("https://127.0.0.1:{}/roots/0", self.manage);
        self.curl(&["--cacert", ca.to_str().expect("text"), &url])
    }
}
