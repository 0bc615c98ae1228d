//! The whole way from `lace deploy` to healthy nodes on machines that were made for them: EC2 is moto (PyPI), which makes
//! records and boots nothing, so each record is booted here. What moto was given as user data is run as cloud-init would, on a
//! machine of its own: a network namespace and a view of the files in which nothing of Lace is installed.

use crate::ccl::{file, repository};
use crate::daily::project;
use crate::ground::{Ground, OWN_SYS};
use crate::lace::{Lace, at_last, eventually, may_run};
use moto::{IMAGE, Moto, REGION};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

#[path = "../../crates/providers/tests/it/ec2/moto.rs"]
#[allow(dead_code, reason = "the tests of the provider use the rest of it")]
mod moto;

/// A machine is made, boots, fetches the program and joins; its node is made.
const READY_WITHIN: Duration = Duration::from_secs(120);

/// `$1` is the machine's own directory, `$2` says whether it lacks curl. The umask is that of images which are strict with it.
/// The machine stays on after what it boots with, and has no systemd: its units would be those of the machine around it.
const MACHINE: &str = "\
    own=$1; mount --bind $own/var-lib /var/lib && mount --bind $own/bin /usr/local/bin && \
    if [ -d /run/systemd ]; then mount -t tmpfs none /run/systemd; fi && \
    if [ \"$2\" = without-curl ]; then mount --bind /dev/null /usr/bin/curl; fi && \
    { cd /; umask 077; \"$own/user-data\" >\"$own/console\" 2>&1; echo $? >\"$own/booted\"; exec sleep 100000; }";

/// A machine that was booted for a record of moto's.
struct Booted {
    dir: PathBuf,
    power: Child,
}

/// An installation whose own machine is no host for the test's family, and an account at EC2.
struct Estate {
    lace: Lace,
    ground: Ground,
    moto: Moto,
    runtime: Runtime,
    machines: BTreeMap<String, Booted>,
    /// What is typed and handed out, without what debuggers read.
    _exe: tempfile::TempDir,
}

impl Drop for Estate {
    fn drop(&mut self) {
        for (id, machine) in &mut self.machines {
            if std::thread::panicking() {
                let console = std::fs::read_to_string(machine.dir.join("console"));
                eprintln!("== console of {id}\n{}", console.unwrap_or_default());
                let log = std::fs::read_to_string(machine.dir.join("var-lib/lace/run/agent.log"));
                eprintln!("== agent of {id}\n{}", log.unwrap_or_default());
            }
            let pid = machine.power.id().to_string();
            // Nothing to do after a test that went well.
            if machine.dir.join("var-lib/lace/host.json").exists() {
                let _ = Command::new("nsenter")
                    .args(["-t", &pid, "-m", "-n", "-u", "--"])
                    .arg(self.lace.exe())
                    .args(["down", "--state", "/var/lib/lace"])
                    .status();
            }
            let _ = machine.power.kill();
            let _ = machine.power.wait();
        }
        self.ground.end(&self.lace);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

impl Estate {
    fn new(ground: u8, quarter: u8) -> Self {
        let dir = tempfile::Builder::new().prefix("lace-pools-").tempdir().expect("a directory");
        let exe = dir.path().join("lace");
        let strip = Command::new("strip").arg("-o").arg(&exe).arg(env!("CARGO_BIN_EXE_lace")).status();
        assert!(strip.expect("strip runs").success());
        let runtime = Runtime::new().expect("a runtime");
        let moto = runtime.block_on(Moto::start());
        let ground = Ground::new(ground);
        let lace = Lace::new(242, quarter, &exe).linked_at(&ground.address());
        lace.start();
        Self { lace, ground, moto, runtime, machines: BTreeMap::new(), _exe: dir }
    }

    /// An account at moto, and a pool of small machines there.
    fn buy(&self, max_hosts: &str) {
        let who = &self.moto.who;
        let keys = format!("access-key-id={}\nsecret-access-key={}\n", who.id, who.secret);
        let add = ["provider", "add", "amazon", "--kind", "ec2", "--region", REGION, "--stdin"];
        self.lace.run_with(&[&add[..], &["--endpoint", &self.moto.at]].concat(), &keys).ok();
        let pool = ["pool", "add", "eu", "--provider", "amazon", "--image", IMAGE, "--profile", "t3.small"];
        let said = ["--attr", "cpu=2", "--attr", "memory=2GiB", "--price-per-hour", "0.0228"];
        self.lace.run(&[&pool[..], &said[..], &["--max-hosts", max_hosts]].concat()).ok();
    }

    fn things(&self) -> BTreeSet<String> {
        self.runtime.block_on(self.moto.things())
    }

    /// Records of machines that are there.
    fn records(&self) -> BTreeSet<String> {
        self.things().into_iter().filter(|id| id.starts_with("i-")).collect()
    }

    /// What a record boots with, asked of moto as its own metadata service would: signed by curl, not by us.
    fn user_data(&self, id: &str) -> Vec<u8> {
        let who = &self.moto.who;
        let ask =
            format!("Action=DescribeInstanceAttribute&Version=2016-11-15&InstanceId={id}&Attribute=userData");
        let output = Command::new("curl")
            .args(["-sS", "--fail", "--aws-sigv4", &format!("aws:amz:{REGION}:ec2"), "--user"])
            .args([&format!("{}:{}", who.id, who.secret), "-d", &ask, &self.moto.at])
            .output()
            .expect("curl runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let data = said.split_once("<value>").and_then(|(_, rest)| rest.split('<').next());
        let data = data.unwrap_or_else(|| panic!("{said} {}", String::from_utf8_lossy(&output.stderr)));
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, data.trim()).expect("base64")
    }

    /// Boots what is a record only so far; every second one has no curl.
    fn boot(&mut self) {
        for id in self.records().into_iter().filter(|id| !self.machines.contains_key(id)).collect::<Vec<_>>()
        {
            let dir = self.lace.files().join(&id);
            for part in ["var-lib", "bin"] {
                std::fs::create_dir_all(dir.join(part)).expect("made");
            }
            let script = dir.join("user-data");
            std::fs::write(&script, self.user_data(&id)).expect("written");
            std::fs::set_permissions(&script, PermissionsExt::from_mode(0o700)).expect("set");
            let (namespace, _) = self.ground.plug(&id, dir.join("nowhere"));
            let curl = if self.machines.len().is_multiple_of(2) { "with-curl" } else { "without-curl" };
            let power = Command::new("nsenter")
                .arg(format!("--net=/run/netns/{namespace}"))
                .args(["unshare", "-m", "--uts", "--propagation", "private", "sh", "-c", OWN_SYS, "sh"])
                .args(["sh", "-c", MACHINE, "sh", text(&dir), curl])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("nsenter runs");
            self.machines.insert(id, Booted { dir, power });
        }
        for (id, machine) in &self.machines {
            let booted = std::fs::read_to_string(machine.dir.join("booted")).unwrap_or_default();
            assert!(booted.is_empty() || booted == "0\n", "{id} booted with {booted}");
        }
    }

    /// Names of hosts that are connected.
    fn connected(&self) -> BTreeSet<String> {
        let hosts = self.lace.run(&["host", "list", "--format", "json"]).ok().json();
        let hosts = hosts.as_array().expect("a list").iter();
        let connected = hosts.filter(|host| host["liveness"]["connected"] == true);
        connected.map(|host| host["host"]["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// Nodes on each machine.
    fn nodes(&self) -> Vec<usize> {
        let dirs = self.machines.values().map(|machine| machine.dir.join("var-lib/lace/agent/machine/nodes"));
        dirs.map(|dir| std::fs::read_dir(dir).map_or(0, Iterator::count)).collect()
    }
}

#[test]
fn nodes_run_on_machines_of_ec2_which_boot_with_what_they_were_given_and_go_back() {
    if !may_run() {
        return;
    }
    let mut estate = Estate::new(249, 0);
    let before = estate.things();
    estate.buy("2");
    let family = "count = 2\nper_host = 1\npools = [\"eu\"]";
    let dir = project(&estate.lace, "shop", "echo hello from $(hostname)", family);
    let began = Instant::now();
    let told = dir.join("told");
    let line = format!(
        r#"("$0" deploy shop {0} >{1} 2>&1; echo "ended $?" >>{1}) >/dev/null 2>&1 &"#,
        dir.display(),
        told.display()
    );
    estate.lace.shell(&line).ok();
    eventually("two machines are made", || estate.records().len() == 2);
    let why = estate.lace.run(&["why", "shop/web"]).ok().out;
    assert!(why.contains("from pool eu for 0.0228 USD per hour"), "{why}");
    at_last(READY_WITHIN, "both nodes are ready", || {
        estate.boot();
        estate.lace.ready("shop") == 2
    });
    eprintln!("from deploy to two ready nodes on two new machines: {:?}", began.elapsed());
    assert_eq!(estate.nodes(), [1, 1]);
    eventually("the one who deployed is told", || {
        std::fs::read_to_string(&told).expect("there").contains("ended 0")
    });
    let names = ["eu-1".to_owned(), "eu-2".to_owned()];
    assert!(names.iter().all(|name| estate.connected().contains(name)));
    let said = estate.lace.run(&["exec", "shop", "--", "hostname"]).ok().out;
    assert!(said.contains("web-1") && said.contains("web-2"), "{said}");
    let tokens = estate.lace.run(&["token", "list"]).ok().out;
    assert!(!tokens.contains("joins"), "the tickets are used up: {tokens}");

    estate.lace.run(&["delete", "shop", "--yes"]).ok();
    for name in &names {
        estate.lace.run(&["host", "remove", name, "--yes"]).ok();
    }
    eventually("what was bought is given back", || estate.things() == before);
    assert_eq!(estate.connected().len(), 1, "the controller's machine");
    for (id, machine) in &estate.machines {
        let state = machine.dir.join("var-lib/lace");
        eventually(&format!("{id} has nothing of ours"), || !state.exists());
    }
    let pools = estate.lace.run(&["pool", "remove", "eu", "--yes"]).ok();
    assert!(pools.out.contains("pool eu is removed"), "{}", pools.out);
    estate.lace.down_and_nothing_left();
}

#[test]
fn ccl_files_with_keys_of_ec2_become_a_cluster_on_machines_of_ec2_and_all_of_it_goes_back() {
    if !may_run() {
        return;
    }
    let mut estate = Estate::new(157, 1);
    let before = estate.things();
    repository(&estate.lace);
    let who = &estate.moto.who;
    let (secret, moto) = (who.secret.clone(), &estate.moto.at);
    let text = format!(
        "{{git_url, \"m8ball\"}}.\n{{ccl_provider, ec2}}.\n{{ccl_clustersize, 2}}.\n{{ccl_failovernodename, m8ball}}.\n\
         {{ec2_access_key_id, \"{}\"}}.\n{{ec2_secret_access_key, \"{secret}\"}}.\n{{ec2_endpoint, \"{moto}\"}}.\n\
         {{ec2_availability_zone, \"{REGION}b\"}}.\n{{ec2_image_id, \"{IMAGE}\"}}.\n{{ec2_instance_type, \"t3.small\"}}.\n\
         {{ccl_buildsteps, [\"./build.sh compile\", \"./build.sh rel\"]}}.\n",
        who.id
    );
    let config = file(&estate.lace, "ec2.config", &text);
    let told = estate.lace.files().join("told").display().to_string();
    let line = format!(
        r#"("$0" ccl deploy --config {config} >{told} 2>&1; echo "ended $?" >>{told}) >/dev/null 2>&1 &"#
    );
    estate.lace.shell(&line).ok();
    let said = || std::fs::read_to_string(&told).unwrap_or_default();
    at_last(READY_WITHIN, "both nodes are ready, each on a machine of its own", || {
        estate.boot();
        estate.lace.ready("m8ball") == 2
    });
    eventually("the one who deployed is told", || said().contains("ended "));
    assert!(said().contains("ended 0") && !said().contains(&secret), "{}", said());
    assert_eq!(estate.nodes(), [1, 1]);
    let ran =
        estate.lace.run(&["ccl", "execute", "bin/m8ball rpc net_adm ping \"['m8ball@{{first}}']\""]).ok();
    assert_eq!(ran.out.matches("pong").count(), 2, "{}", ran.out);

    let list = |noun: &str| estate.lace.run(&[noun, "list", "--format", "json"]).ok();
    let providers = list("provider");
    assert!(!providers.out.contains(&secret), "{}", providers.out);
    let provider = &providers.json()[0];
    assert_eq!((&provider["name"], &provider["kind"]), (&"m8ball-ec2".into(), &"ec2".into()), "{provider}");
    let pool = &list("pool").json()[0];
    let zone = format!("{REGION}b");
    let known = [("name", "m8ball-ec2"), ("provider", "m8ball-ec2"), ("region", REGION), ("zone", &zone)];
    let more = [("image", IMAGE), ("profile", "t3.small")];
    known.iter().chain(&more).for_each(|(key, value)| assert_eq!(pool[key], *value, "{pool}"));
    assert_eq!(pool["hosts_max"], 2, "{pool}");
    // The same file again changes what is there, and buys nothing.
    estate.lace.run(&["ccl", "deploy", "--config", &config]).ok();
    assert_eq!((list("pool").json().as_array().map(Vec::len), estate.records().len()), (Some(1), 2));

    estate.lace.run(&["ccl", "destroy", "--yes"]).ok();
    eventually("what was bought is given back", || estate.things() == before);
    estate.lace.down_and_nothing_left();
}
