//! CCL's file with its source elsewhere: a branch over HTTP, a repository over SSH.

use crate::ccl::{file, repository};
use crate::lace::{Lace, eventually, may_run};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Serves the repositories below a directory by git's own program for that (`git http-backend`, a CGI), as long as the test
/// lasts. The answer is its port.
fn http(root: &Path) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let root = root.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = serve(stream, &root);
        }
    });
    port
}

fn serve(stream: TcpStream, root: &Path) -> std::io::Result<()> {
    let mut read = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    read.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut command = Command::new("git");
    command
        .args(["-c", "safe.directory=*", "http-backend"])
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query);
    let mut length = 0;
    loop {
        let mut line = String::new();
        read.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => {
                length = value.parse().unwrap_or(0);
                command.env("CONTENT_LENGTH", value);
            }
            "content-type" => drop(command.env("CONTENT_TYPE", value)),
            "content-encoding" => drop(command.env("HTTP_CONTENT_ENCODING", value)),
            "git-protocol" => drop(command.env("GIT_PROTOCOL", value)),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    read.read_exact(&mut body)?;
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    child.stdin.take().expect("piped").write_all(&body)?;
    let said = child.wait_with_output()?.stdout;
    let status =
        said.strip_prefix(b"Status: ").map(|rest| rest.split(|b| *b == b'\r').next().unwrap_or_default());
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {}\r\nConnection: close\r\n",
        String::from_utf8_lossy(status.unwrap_or(b"200 OK"))
    )?;
    stream.write_all(&said)
}

/// An sshd on the loopback that lets one key in; ended when dropped.
struct Sshd(Child, u16);

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Sshd {
    /// With a password file of its own, where nobody is locked out.
    fn start(dir: &Path) -> Self {
        for name in ["host", "key"] {
            let mut made = Command::new("ssh-keygen");
            made.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join(name));
            assert!(made.status().expect("ssh-keygen").success());
        }
        std::fs::write(dir.join("shadow"), "root:*:20000::::::\n").expect("written");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let config = format!(
            "UsePAM no\nStrictModes no\nPermitRootLogin yes\nPidFile none\nListenAddress 127.0.0.1:{port}\n\
             HostKey {0}/host\nAuthorizedKeysFile {0}/key.pub\n",
            dir.display()
        );
        std::fs::write(dir.join("sshd_config"), config).expect("written");
        let script = "mount --bind $1/shadow /etc/shadow && mkdir -p /run/sshd && exec /usr/sbin/sshd -D -e -f $1/sshd_config";
        let child = Command::new("unshare")
            .args(["-m", "--propagation", "private", "sh", "-c", script, "sh"])
            .arg(dir)
            .stderr(std::fs::File::create(dir.join("sshd.log")).expect("a log"))
            .spawn()
            .expect("unshare runs");
        eventually("sshd listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self(child, port)
    }
}

#[test]
fn a_source_comes_over_http_by_its_branch_and_over_ssh() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(217, 0);
    let source = repository(&lace);
    let git = |words: &[&str]| {
        let who = ["-c", "user.name=ccl", "-c", "user.email=ccl@example.com"];
        let ran = Command::new("git").args(who).args(words).current_dir(&source).output().expect("git");
        assert!(ran.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    };
    git(&["checkout", "--quiet", "-b", "next"]);
    std::fs::write(source.join("NEXT"), "what comes\n").expect("written");
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "What comes"]);
    let next = git(&["rev-parse", "HEAD"]);
    git(&["checkout", "--quiet", "main"]);
    let main = git(&["rev-parse", "HEAD"]);
    let sshd_dir = lace.files().join("sshd");
    std::fs::create_dir(&sshd_dir).expect("made");
    let sshd = Sshd::start(&sshd_dir);
    let with = |url: &str, more: &str| {
        format!(
            "{{ccl_provider, local}}.\n{{git_url, \"{url}\"}}.\n{{ccl_clustersize, 3}}.\n{{ccl_failovernodename, m8ball}}.\n\
             {{ccl_failovernodes, ['m8ball@second']}}.\n{{ccl_buildsteps, [\"ls; ./build.sh compile\", \"./build.sh rel\"]}}.\n{more}"
        )
    };
    let deploy = |name: &str, text: &str| {
        let file = file(&lace, name, text);
        let key = sshd_dir.join("key");
        let ssh = format!(
            "ssh -i {} -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={}/known -o IdentitiesOnly=yes",
            key.display(),
            sshd_dir.display()
        );
        let words = ["ccl", "deploy", "--config", &file].map(str::to_owned);
        lace.run_in(lace.files(), &words, &[("GIT_SSH_COMMAND".to_owned(), ssh)], "").ok()
    };
    let url = format!("http://127.0.0.1:{}/m8ball", http(lace.files()));
    let ran = deploy("http.config", &with(&url, "{git_branch, \"next\"}.\n"));
    assert!(
        ran.err.contains(&format!("source: {url} at {}", &next[..7])) && ran.err.contains("NEXT"),
        "{}",
        ran.err
    );
    // A list of names counts as so many: one beside the first.
    let who = lace
        .run(&["beam", "rpc", "m8ball/m8ball/1", "application", "get_env", "kernel", "distributed"])
        .ok()
        .out;
    assert!(who.contains("m8ball-2.") && !who.contains("m8ball-3."), "{who}");

    let url = format!("ssh://root@127.0.0.1:{}{}", sshd.1, source.display());
    let ran = deploy("ssh.config", &with(&url, ""));
    assert!(ran.err.contains(&main[..7]) && !ran.err.contains("NEXT"), "{}", ran.err);
    assert_eq!(lace.ready("m8ball"), 3);
    drop(sshd);
    lace.down_and_nothing_left();
}
