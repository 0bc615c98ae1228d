//! Releases by git push: Debian's own git and ssh against the controller.

use crate::lace::{Lace, Ran, eventually, may_run};
use crate::packages::apply;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const GIT: &str = "/usr/bin/git";
const MANIFEST: &str = "[service.work]\npackage = \"generic\"\nsettings = { grace = \"1s\" }\n\
    release = { path = \"./first\", kind = \"generic\", version = \"0\" }\n\
    [service.work.family.node]\ncount = 1\n\
    [service.other]\ncommand = [\"sleep\", \"100000\"]\n";

/// Somebody with a key and a repository.
struct Pusher<'a> {
    lace: &'a Lace,
    key: PathBuf,
    repo: PathBuf,
}

fn ended(output: Output) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { status: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

impl<'a> Pusher<'a> {
    fn new(lace: &'a Lace, name: &str) -> Self {
        let (key, repo) =
            (lace.files().join(format!("{name}-key")), lace.files().join(format!("{name}-repo")));
        let words = ["-q", "-t", "ed25519", "-N", "", "-C", &format!("{name}@desk"), "-f"];
        assert!(Command::new("ssh-keygen").args(words).arg(&key).status().expect("ssh-keygen").success());
        let pusher = Self { lace, key, repo };
        fs::create_dir_all(&pusher.repo).expect("made");
        pusher.git(&["init", "-q", "-b", "main"]).ok();
        pusher
    }

    fn public(&self) -> String {
        format!("{}.pub", self.key.display())
    }

    /// The options of ssh: this key only, and nothing of whoever runs the test.
    fn ssh(&self) -> String {
        let known = self.lace.files().join("known_hosts");
        format!(
            "/usr/bin/ssh -F /dev/null -i {} -o IdentitiesOnly=yes -o IdentityAgent=none -o StrictHostKeyChecking=accept-new \
             -o UserKnownHostsFile={} -o GlobalKnownHostsFile=/dev/null",
            self.key.display(),
            known.display()
        )
    }

    fn git(&self, words: &[&str]) -> Ran {
        let mut command = Command::new(GIT);
        command.args(words).current_dir(&self.repo).env("GIT_SSH_COMMAND", self.ssh()).stdin(Stdio::null());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("LC_ALL", "C");
        for who in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{who}_NAME"), "Ada").env(format!("GIT_{who}_EMAIL"), "ada@desk");
        }
        ended(command.output().expect("git runs"))
    }

    /// A commit whose `init.sh` writes a word.
    fn commit(&self, word: &str, subject: &str) -> String {
        fs::write(self.repo.join("init.sh"), format!("echo {word} > /root/version\n")).expect("written");
        fs::write(self.repo.join("run.sh"), "exec tail -f /dev/null\n").expect("written");
        // Meant for archives of a site for files: a release is the whole commit.
        fs::write(self.repo.join(".gitattributes"), "init.sh export-ignore\n").expect("written");
        self.git(&["add", "-A"]).ok();
        self.git(&["commit", "-q", "-m", &format!("{subject}\n\nMore words.")]).ok();
        self.git(&["rev-parse", "HEAD"]).ok().out.trim().to_owned()
    }

    fn push(&self, service: &str, refs: &[&str]) -> Ran {
        let url = url(self.lace, service);
        self.git(&[&["push", url.as_str()], refs].concat())
    }

    fn ssh_says(&self, words: &[&str]) -> Ran {
        let ssh = self.ssh();
        let mut line = ssh.split_whitespace();
        let mut command = Command::new(line.next().expect("ssh"));
        command.args(line).args(["-p", &self.lace.git().to_string(), "git@127.0.0.1"]).args(words);
        ended(command.stdin(Stdio::null()).output().expect("ssh runs"))
    }
}

fn url(lace: &Lace, service: &str) -> String {
    format!("ssh://git@127.0.0.1:{}/{service}", lace.git())
}

fn up(quarter: u8) -> Lace {
    let lace = Lace::within(&format!("10.158.{quarter}.0/24"), Path::new(env!("CARGO_BIN_EXE_lace")));
    lace.start();
    let first = lace.files().join("first");
    fs::create_dir_all(&first).expect("made");
    fs::write(first.join("init.sh"), "echo first > /root/version\n").expect("written");
    apply(&lace, MANIFEST).ok();
    lace
}

fn runs(lace: &Lace, word: &str) -> bool {
    ["master/1", "node/1"].iter().all(|node| {
        let ran = lace.run(&["exec", &format!("shop/work/{node}"), "--", "cat", "/root/version"]);
        ran.out.trim() == word
    })
}

fn versions(lace: &Lace) -> Vec<(String, bool, String)> {
    let listed = lace.run(&["release", "list", "shop/work", "--format", "json"]).ok().json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let one = |one: &serde_json::Value| {
        (text(&one["version"]), one["active"] == true, text(&one["pushed"]["subject"]))
    };
    listed.as_array().expect("a list").iter().map(one).collect()
}

fn add(lace: &Lace, pusher: &Pusher, more: &[&str]) -> Ran {
    lace.run(&[&["key", "add", "shop/work", pusher.public().as_str()], more].concat())
}

#[test]
fn a_push_makes_a_version_that_somebody_puts_to_use() {
    if !may_run() {
        return;
    }
    let lace = up(0);
    let ada = Pusher::new(&lace, "ada");
    let shown = lace.run(&["service", "show", "shop/work"]).ok().out;
    assert!(shown.contains("lace key add shop/work"), "{shown}");
    let told = add(&lace, &ada, &[]).ok().out;
    let remote = format!("git remote add lace {}", url(&lace, "shop/work"));
    assert!(told.contains(&remote) && told.contains("key ada (SHA256:"), "{told}");
    assert!(lace.run(&["service", "show", "shop/work"]).ok().out.contains(&remote));
    let listed = lace.run(&["key", "list", "shop/work", "--format", "json"]).ok().json();
    assert_eq!((listed[0]["name"].as_str(), listed[0]["auto_enable"].as_bool()), (Some("ada"), Some(false)));

    // The line that was told is what somebody types.
    let commit = ada.commit("one", "Say one");
    let words: Vec<&str> = remote.split(' ').skip(1).collect();
    ada.git(&words).ok();
    let ran = ada.git(&["push", "lace", "main"]).ok();
    let version = format!("git-{}", &commit[..12]);
    let enable = format!("lace release activate shop/work work@{version}");
    for told in [format!("version work@{version}"), "Say one".into(), enable.clone()] {
        assert!(ran.err.contains(&told), "{told}: {}", ran.err);
    }
    assert_eq!(
        versions(&lace),
        [(version.clone(), false, "Say one".into()), ("0".into(), true, String::new())]
    );
    assert!(runs(&lace, "first"));
    // Nobody gets it unawares: what is applied names no version of it.
    lace.run(&["apply", lace.files().join("lace.toml").to_str().expect("text")]).ok();
    assert!(runs(&lace, "first"));
    let words: Vec<&str> = enable.split(' ').skip(1).collect();
    lace.run(&words).ok();
    assert!(runs(&lace, "one"));

    // The same again makes nothing; another branch of the same commit neither.
    let again = ada.push("shop/work", &["main"]).ok();
    assert!(again.err.contains("up-to-date"), "{}", again.err);
    let branch = ada.push("shop/work", &["main:copy"]).ok();
    assert!(branch.err.contains("runs it already"), "{}", branch.err);

    // At once, where the key says so; a history that was written anew is another commit.
    add(&lace, &ada, &["--auto-enable"]).ok();
    ada.commit("two", "Say two");
    let ran = ada.push("shop/work", &["main"]).ok();
    assert!(ran.err.contains("being enabled: lace op wait"), "{}", ran.err);
    eventually("it runs the second", || runs(&lace, "two"));
    ada.git(&["reset", "-q", "--hard", "HEAD~1"]).ok();
    let commit = ada.commit("three", "Say three");
    assert_ne!(ada.push("shop/work", &["main"]).status, 0, "history is kept unless it is forced");
    ada.push("shop/work", &["--force", "main"]).ok();
    eventually("it runs the third", || runs(&lace, "three"));

    // While scripts run nothing is cut off: the version is kept, and enabled later.
    lace.run(&["service", "action", "shop/work", "run"]).ok();
    ada.commit("four", "Say four");
    let ran = ada.push("shop/work", &["main"]).ok();
    assert!(ran.err.contains("not enabled: ") && ran.err.contains("run.sh still runs"), "{}", ran.err);
    assert!(runs(&lace, "three") && versions(&lace).len() == 5);

    // Everything has its line, and a version its way back out.
    let audit = lace.run(&["audit", "--format", "json"]).ok().out;
    for word in ["key add", "\"push\"", "key ada of shop/work", &format!("work@git-{}", &commit[..12])] {
        assert!(audit.contains(word), "{word}: {audit}");
    }
    lace.run(&["audit", "--verify"]).ok();
    let ran = lace.run(&["release", "delete", &format!("work@git-{}", &commit[..12])]).ends(8);
    assert!(ran.err.contains("in use by shop/work"), "{}", ran.err);
    lace.run(&["release", "delete", &format!("work@{version}")]);

    // The service goes, and with it who may push.
    lace.run(&["delete", "shop/work", "--yes"]).ok();
    let gone = ada.push("shop/work", &["main"]);
    assert!(gone.status != 0 && gone.err.contains("Permission denied"), "{}", gone.err);
}

#[test]
fn what_may_not_come_in_is_told_why() {
    if !may_run() {
        return;
    }
    let lace = up(1);
    let (ada, eve) = (Pusher::new(&lace, "ada"), Pusher::new(&lace, "eve"));
    add(&lace, &ada, &[]).ok();
    let refused = |ran: Ran, words: &[&str]| {
        assert_ne!(ran.status, 0, "{}", ran.err);
        words.iter().for_each(|word| assert!(ran.err.contains(word), "{word}: {}", ran.err));
    };
    // Keys that are none, twice the same name, of services that are not there.
    refused(lace.run(&["key", "add", "shop/work", ada.key.to_str().expect("text")]), &["private half"]);
    refused(add(&lace, &eve, &["--name", "ada"]), &["another key ada", "--name"]);
    refused(lace.run(&["key", "add", "shop/none", &ada.public()]), &["no service shop/none"]);
    refused(lace.run(&["key", "remove", "shop/work", "eve"]), &["no key eve"]);

    eve.commit("evil", "Take it");
    refused(
        eve.push("shop/work", &["main"]),
        &["no service knows a key of yours", "lace key add", "Permission denied"],
    );
    ada.commit("one", "Say one");
    for service in ["shop/other", "shop/none"] {
        refused(ada.push(service, &["main"]), &["your key is none of its keys", "lace key add"]);
    }
    refused(ada.push("../../etc", &["main"]), &["is no service"]);
    refused(ada.git(&["push", "ssh://root@127.0.0.1:1/x", "main"]), &["refused"]);
    ada.push("shop/work", &["main"]).ok();
    refused(ada.push("shop/work", &["--delete", "main"]), &["branches are not deleted here"]);
    ada.git(&["tag", "v1"]).ok();
    refused(ada.push("shop/work", &["v1"]), &["only branches"]);
    refused(ada.push("shop/work", &["main:a", "main:b"]), &["one branch at a time"]);
    let clone = lace.files().join("clone");
    refused(ada.git(&["clone", &url(&lace, "shop/work"), clone.to_str().expect("text")]), &["pushes only"]);
    refused(ada.ssh_says(&["id"]), &["no place for commands"]);
    refused(ada.ssh_says(&[]), &["no place for a shell"]);
    refused(ada.ssh_says(&["-s", "sftp"]), &[""]);
    refused(ada.ssh_says(&["-W", "127.0.0.1:22"]), &[""]);

    // Trees that git itself would not make, and links that lead out.
    let blob = ada.git(&["hash-object", "-w", "init.sh"]).ok().out.trim().to_owned();
    fs::write(lace.files().join("tree"), format!("100644 blob {blob}\t.git\n")).expect("written");
    let line = format!("{GIT} mktree < ../tree");
    let tree = Command::new("sh").args(["-c", &line]).current_dir(&ada.repo).output().expect("sh runs");
    let tree = ended(tree).ok().out.trim().to_owned();
    let bad = ada.git(&["commit-tree", &tree, "-m", "Bad"]).ok().out.trim().to_owned();
    refused(ada.push("shop/work", &[&format!("{bad}:refs/heads/bad")]), &["hasDotgit"]);
    std::os::unix::fs::symlink("/etc/passwd", ada.repo.join("out")).expect("linked");
    ada.commit("link", "Lead out");
    refused(ada.push("shop/work", &["main"]), &["out"]);
    fs::remove_file(ada.repo.join("out")).expect("gone");
    let mut noise = vec![0; 130 << 20];
    let mut random = fs::File::open("/dev/urandom").expect("open");
    std::io::Read::read_exact(&mut random, &mut noise).expect("read");
    fs::write(ada.repo.join("large"), noise).expect("written");
    ada.commit("large", "Bring everything");
    refused(ada.push("shop/work", &["main"]), &["maximum allowed size"]);
    ada.git(&["reset", "-q", "--hard", "HEAD~2"]).ok();

    // Nothing of all that became a version, and the door still works.
    assert_eq!(versions(&lace).len(), 2);
    ada.commit("two", "Say two");
    ada.push("shop/work", &["main"]).ok();
    lace.run(&["key", "remove", "shop/work", "ada", "--yes"]).ok();
    refused(ada.push("shop/work", &["main"]), &["Permission denied"]);
    let audit = lace.run(&["audit", "--format", "json"]).ok().out;
    for word in ["refused: branches are not deleted here", "refused: there is no service shop/other"] {
        assert!(audit.contains(word), "{word}: {audit}");
    }
    assert_eq!(
        fs::read_dir(lace.state().join("server/git")).expect("there").count(),
        1,
        "no push left anything"
    );
}

#[test]
fn pushes_at_once_and_a_controller_that_is_killed_lose_nothing() {
    if !may_run() {
        return;
    }
    let lace = up(2);
    let (ada, ben) = (Pusher::new(&lace, "ada"), Pusher::new(&lace, "ben"));
    add(&lace, &ada, &[]).ok();
    add(&lace, &ben, &[]).ok();
    ada.commit("ada", "Of Ada");
    ben.commit("ben", "Of Ben");
    // Two at once, to two branches: both come in.
    let [one, other] = std::thread::scope(|scope| {
        let one = scope.spawn(|| ada.push("shop/work", &["main:ada"]));
        let other = scope.spawn(|| ben.push("shop/work", &["main:ben"]));
        [one, other].map(|ran| ran.join().expect("ran"))
    });
    one.ok();
    other.ok();
    assert_eq!(versions(&lace).len(), 3);

    // Killed amid pushes, five times: whoever pushes again has it.
    let mut commits = Vec::new();
    for turn in 0..5 {
        commits.push(ada.commit(&format!("turn{turn}"), &format!("Turn {turn}")));
        let pushing = std::thread::scope(|scope| {
            let pushing = scope.spawn(|| ada.push("shop/work", &["main:ada"]));
            let git = lace.state().join("server/git");
            let begun = || fs::read_dir(&git).into_iter().flatten().flatten();
            let begun = || begun().any(|entry| entry.file_name().to_string_lossy().starts_with("push-"));
            eventually("it has begun or ended", || begun() || pushing.is_finished());
            lace.kill("server");
            pushing.join().expect("ran")
        });
        eventually("it is back, and takes it", || {
            pushing.status == 0 || {
                let ran = ada.push("shop/work", &["main:ada"]);
                ran.status == 0
            }
        });
    }
    eventually("the controller answers", || lace.run(&["status", "shop"]).status == 0);
    let versions = versions(&lace);
    for commit in commits {
        assert!(
            versions.iter().any(|(version, ..)| *version == format!("git-{}", &commit[..12])),
            "{versions:?}"
        );
    }
    eventually("no git is left that nobody answers", || of_pushes(&lace).is_empty());

    // One whose git stands still, and so would not see the end of its input: it ends with its controller all the same.
    let hangs = Hanging::begin(&ada, "shop/work");
    eventually("git waits", || of_pushes(&lace).len() >= 3);
    let is_git =
        |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("git"));
    let gits: Vec<i32> = of_pushes(&lace).into_iter().filter(is_git).collect();
    for git in &gits {
        let pid = rustix::process::Pid::from_raw(*git).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).expect("stopped");
    }
    assert!(!gits.is_empty() && !groups(&lace).is_empty(), "{gits:?} {:?}", groups(&lace));
    lace.kill("server");
    eventually("it is ended with its controller", || of_pushes(&lace).is_empty());
    drop(hangs);
    eventually("the controller answers", || lace.run(&["status", "shop"]).status == 0);
    eventually("its bounds are gone", || groups(&lace).is_empty());
    eventually("it takes pushes", || ada.push("shop/work", &["main:again"]).status == 0);
    lace.down_and_nothing_left();
}

/// Processes that see a repository or a spool of this installation: git's words do not name it, for it has a root of its own.
fn of_pushes(lace: &Lace) -> Vec<i32> {
    let state = lace.state();
    let end = state.parent().and_then(Path::file_name).expect("a name").to_str().expect("text").to_owned();
    let place = format!("{end}/state/server/git/");
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let is_there = |process: &fs::DirEntry| {
        fs::read_to_string(process.path().join("mountinfo")).is_ok_and(|mounts| mounts.contains(&place))
    };
    let there = processes.filter(is_there);
    there.filter_map(|process| process.file_name().to_str()?.parse().ok()).collect()
}

/// The cgroups of an installation's pushes.
fn groups(lace: &Lace) -> Vec<String> {
    groups_of(&lace_push::group_prefix(&lace.state().join("server/git")))
}

fn groups_of(prefix: &str) -> Vec<String> {
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"];
    let entries = roots.into_iter().flat_map(|root| fs::read_dir(root).into_iter().flatten().flatten());
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(&format!("lace-{prefix}"))).collect()
}

/// A push that says nothing.
struct Hanging(std::process::Child);

impl Hanging {
    fn begin(pusher: &Pusher, service: &str) -> Self {
        let ssh = pusher.ssh();
        let mut line = ssh.split_whitespace();
        let mut command = Command::new(line.next().expect("ssh"));
        command.args(line).args(["-p", &pusher.lace.git().to_string(), "git@127.0.0.1"]);
        command.arg(format!("git-receive-pack '{service}'")).stdin(Stdio::piped()).stdout(Stdio::null());
        Self(command.stderr(Stdio::null()).spawn().expect("ssh runs"))
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_has_no_branch_is_not_enabled_and_a_renamed_application_keeps_its_pushes() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.164.3.0/24", Path::new(env!("CARGO_BIN_EXE_lace")));
    lace.start();
    let first = lace.files().join("first");
    fs::create_dir_all(&first).expect("made");
    fs::write(first.join("init.sh"), "echo first > /root/version\n").expect("written");
    apply(&lace, MANIFEST).ok();
    let (ada, ben) = (Pusher::new(&lace, "ada"), Pusher::new(&lace, "ben"));
    add(&lace, &ada, &["--auto-enable"]).ok();
    add(&lace, &ben, &[]).ok();
    ada.commit("one", "Say one");
    ada.push("shop/work", &["main"]).ok();
    eventually("it runs the first", || runs(&lace, "one"));

    // Git cannot make this branch: one of its first part is there. The version is, and does not run.
    let commit = ada.commit("two", "Say two");
    let ran = ada.push("shop/work", &["main:main/more"]);
    assert!(ran.status != 0 && !ran.err.contains("being enabled"), "{}", ran.err);
    let version = format!("git-{}", &commit[..12]);
    assert!(versions(&lace).iter().any(|(known, active, _)| *known == version && !active));
    assert!(runs(&lace, "one"));

    // Somebody who holds all that one key may have keeps nobody else away.
    let hangs = [Hanging::begin(&ben, "shop/work"), Hanging::begin(&ben, "shop/work")];
    eventually("it has its place", || of_pushes(&lace).len() >= 3);
    drop(hangs);
    ada.push("shop/work", &["main"]).ok();
    eventually("it runs the second", || runs(&lace, "two"));

    // Renamed, keys and history go along; under the old name there is nothing.
    lace.run(&["app", "rename", "shop", "store", "--restart", "--yes"]).ok();
    let keys = lace.run(&["key", "list", "store/work", "--format", "json"]).ok().json();
    assert_eq!(keys.as_array().map(Vec::len), Some(2), "{keys}");
    let repositories = || {
        let entries = fs::read_dir(lace.state().join("server/git")).expect("there").flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".git")).count()
    };
    assert_eq!(repositories(), 1);
    let same = ada.push("store/work", &["main"]).ok();
    assert!(same.err.contains("up-to-date"), "its history is there: {}", same.err);
    ada.commit("three", "Say three");
    let ran = ada.push("store/work", &["main"]).ok();
    assert!(ran.err.contains("being enabled"), "{}", ran.err);
    eventually("it runs the third", || {
        lace.run(&["exec", "store/work/node/1", "--", "cat", "/root/version"]).out.trim() == "three"
    });
    let old = ada.push("shop/work", &["main"]);
    assert!(old.status != 0 && old.err.contains("your key is none of its keys"), "{}", old.err);
    // A controller that begins anew sweeps what has no name: not this.
    lace.kill("server");
    eventually("it takes pushes", || ada.push("store/work", &["main:copy"]).status == 0);
    assert_eq!(repositories(), 1);
}

#[test]
fn a_confined_tool_has_bounds_as_a_whole() {
    if !may_run() {
        return;
    }
    let name = format!("push-test-{}", std::process::id());
    let group = lace_machine::confined::Group::make(&name, 64 << 20, 16).expect("cgroups");
    let run = |more: &[&str], script: &str| {
        let mut words: Vec<String> = ["confined", "1048576", "1073741824", "5"].map(str::to_owned).into();
        group.dirs().iter().for_each(|dir| words.extend(["group".into(), dir.display().to_string()]));
        words.extend(more.iter().chain(&["run", "/bin/sh", "-c", script]).map(|word| (*word).to_owned()));
        ended(Command::new(env!("CARGO_BIN_EXE_lace")).args(words).env_clear().output().expect("runs"))
    };
    assert_eq!(
        run(&[], "ls -A /usr/etc /usr/local/etc 2>/dev/null; echo seen").ok().out.lines().last(),
        Some("seen")
    );
    assert!(!run(&[], "ls -A /usr/etc 2>/dev/null").out.contains("npm"));
    assert_ne!(run(&[], "unshare -U true").status, 0, "no namespaces of its own");
    let forked =
        run(&[], "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 9 & done; echo all");
    assert!(!forked.out.contains("all"), "{} {}", forked.out, forked.err);
    assert!(!group.was_short());
    let large = run(&[], "perl -e '$x = q(a) x 300000000; print length $x'");
    assert!(large.status == 137 && large.out.is_empty(), "{} {}", large.status, large.err);
    assert!(group.was_short(), "and it is known why");
    let began = std::time::Instant::now();
    run(&["within", "300"], "sleep 1000").ends(137);
    assert!(began.elapsed().as_secs() < 5);
    drop(group);
    eventually("its group is gone", || groups_of(&name).is_empty());
}

#[test]
fn a_confined_tool_sees_its_place_and_nothing_else() {
    if !may_run() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::chown(dir.path(), Some(65_534), Some(65_534)).expect("given");
    let place = dir.path().to_str().expect("text");
    let run = |script: &str| {
        let words =
            ["confined", "1048576", "1073741824", "5", "own", place, "/own", "run", "/bin/sh", "-c", script];
        ended(Command::new(env!("CARGO_BIN_EXE_lace")).args(words).env_clear().output().expect("runs"))
    };
    let who = run("id -u; id -g; ls /; ls -d /etc/shadow /proc/1 /root 2>/dev/null; echo $$").ok().out;
    let words: Vec<&str> = who.split_whitespace().collect();
    assert_eq!(words[..2], ["65534", "65534"], "{who}");
    for hidden in ["etc", "proc", "root", "home", "var"] {
        assert!(!words.contains(&hidden), "{hidden}: {who}");
    }
    assert_eq!(words.last(), Some(&"2"), "the second process of its own: {who}");
    for forbidden in
        ["touch /x", "touch /usr/x", "mkdir /own/d && mount -t tmpfs x /own/d", "cat < /dev/tcp/127.0.0.1/22"]
    {
        assert_ne!(run(forbidden).status, 0, "{forbidden}");
    }
    run("cp /bin/true /own/t && chmod 755 /own/t && /own/t").ends(126);
    assert_ne!(run("head -c 2000000 /dev/zero > /own/large").status, 0, "files have a size");
    assert!(fs::metadata(dir.path().join("large")).expect("there").len() <= 1 << 20);
    assert_eq!(run("while :; do :; done").status, 137, "and a process its time");
    run("sleep 1000 & exit 7").ends(7);
}
