//! What a person has at hand: a shell on a terminal, words that complete themselves, what nodes use and may.

use crate::daily::project;
use crate::lace::{Lace, eventually, may_run};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// A command on a terminal of its own.
pub struct Terminal {
    child: Child,
    keys: File,
    said: Arc<Mutex<String>>,
}

impl Terminal {
    pub fn begin(lace: &Lace, words: &[&str], columns: u16, rows: u16) -> Self {
        let flags = rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY;
        let ours = rustix::pty::openpt(flags).expect("a terminal");
        rustix::pty::grantpt(&ours).expect("granted");
        rustix::pty::unlockpt(&ours).expect("unlocked");
        let name = rustix::pty::ptsname(&ours, Vec::new()).expect("its name");
        let theirs = || -> Stdio {
            let file = File::options().read(true).write(true).open(name.to_str().expect("text"));
            OwnedFd::from(file.expect("opened")).into()
        };
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&ours, size).expect("sized");
        let child = Command::new(env!("CARGO_BIN_EXE_lace"))
            .args(words)
            .env("LACE_CONFIG_DIR", lace.files().join("cli"))
            .env("TERM", "xterm")
            .stdin(theirs())
            .stdout(theirs())
            .stderr(theirs())
            .spawn()
            .expect("begun");
        let keys = File::from(ours);
        let said = Arc::new(Mutex::new(String::new()));
        let (mut screen, heard) = (keys.try_clone().expect("a second hand"), said.clone());
        // It ends with the terminal.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n) = screen.read(&mut buffer)
                && n > 0
            {
                heard.lock().expect("whole").push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
        });
        Self { child, keys, said }
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("pressed");
    }

    /// What the screen has said from the last question on.
    pub fn shows(&self, text: &str) {
        let said = || self.said.lock().expect("whole").clone();
        eventually(&format!("{text:?} on the screen"), || said().contains(text));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_person_has_a_terminal_in_a_node_and_words_that_complete() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(250, 3);
    let dir = project(&lace, "shop", "echo hello", "");
    let manifest = "[application]\nname = \"shop\"\n\n[service.web]\nrelease = { path = \".\" }\n\n\
                    [service.web.family.large]\nmemory = \"96MiB\"\ncpu = 0.2\n\n\
                    [service.web.family.small]\nmemory = \"24MiB\"\ncpu = 0.1\n";
    std::fs::write(dir.join("lace.toml"), manifest).expect("written");
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();

    let mut shell = Terminal::begin(&lace, &["shell", "shop/web/large/1"], 132, 41);
    shell.press("echo on $(hostname) of $(stty size) as $(tty)\n");
    shell.shows("on large-1 of 41 132 as /dev/pts/");
    // Ctrl-C reaches who runs there, and not the shell.
    shell.press("sh -c 'echo sl${none}eeps; exec sleep 1000'\n");
    shell.shows("sleeps");
    shell.press("\u{3}");
    shell.press("echo went $((40+2))\n");
    shell.shows("went 42");
    shell.press("exit 7\n");
    eventually("the shell has ended", || shell.child.try_wait().expect("asked").is_some());
    assert_eq!(shell.child.wait().expect("ended").code(), Some(7), "its status is the shell's");

    // Families of a service have limits of their own, and they bite.
    let usage = lace.run(&["top", "shop", "--format", "json"]).ok().json();
    let of = |family: &str| {
        let nodes = usage.as_array().expect("a list").iter();
        let mut found = nodes.filter(|one| one["path"].as_str().is_some_and(|path| path.contains(family)));
        found.next().unwrap_or_else(|| panic!("no {family}: {usage}"))["limits"]["memory"].clone()
    };
    assert_eq!((of("large"), of("small")), ("96MiB".into(), "24MiB".into()));
    let hog = "head -c 60000000 /dev/zero | tail -c 60000000 | wc -c";
    assert!(lace.run(&["exec", "shop/web/large/1", "--", "sh", "-c", hog]).ok().out.contains("60000000"));
    let refused = lace.run(&["exec", "shop/web/small/1", "--", "sh", "-c", hog]);
    assert!(!refused.out.contains("60000000"), "24 MiB held 60 MB: {}", refused.out);

    let complete = |line: &str| {
        let script = format!(
            "source <(\"$LACE\" completion bash); COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _lace lace \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let ran = Command::new("bash").args(["-c", &script]).env("LACE", lace.exe()).output().expect("bash");
        String::from_utf8_lossy(&ran.stdout).split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("lace rollout pa"), ["pause"]);
    assert!(complete("lace sta").contains(&"status".to_owned()));
    assert!(complete("lace status --f").contains(&"--format".to_owned()));
    drop(shell);
    lace.down_and_nothing_left();
}

#[test]
fn a_person_looks_into_a_runtime_and_is_told_before_it_is_full() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(232, 3);
    let dir = PathBuf::from(crate::cluster::ball(&lace));
    let manifest = std::fs::read_to_string(dir.join("lace.toml")).expect("read");
    // With a table for so few atoms the runtime begins at about three quarters of it.
    let few =
        manifest.replace("cpu = 0.25\n", "cpu = 0.25\nenv = { ERL_FLAGS = \"+t 20000 +P 2048 +Q 1024\" }\n");
    assert_ne!(few, manifest);
    std::fs::write(dir.join("lace.toml"), few).expect("written");
    lace.run(&["deploy", "ball", dir.to_str().expect("text"), "--var", "nodes=2"]).ok();

    let mut shell = Terminal::begin(&lace, &["beam", "shell", "ball/ball/1"], 132, 41);
    shell.shows("1>");
    shell.press("{node(), 40 + 2}.\n");
    shell.shows("{'ball@ball-1.ball.ball.lace.internal',42}");
    let shares = |what: &str| {
        let share = |text: &str| {
            let (before, _) = text.split_once(&format!(" % of its {what}"))?;
            before.rsplit(' ').next()?.parse::<u64>().ok()
        };
        let told = lace.run(&["events"]).ok().out;
        let of_node = told.lines().filter(|line| line.contains("node.alarm") && line.contains("ball/ball/1"));
        of_node.filter_map(share).collect::<Vec<_>>()
    };
    for (what, count, make, limits) in [
        ("atoms", "atom_count", "list_to_atom(\"ball_\" ++ integer_to_list(N))", [16_000, 18_500]),
        ("processes", "process_count", "spawn(timer, sleep, [infinity])", [1_640, 1_900]),
        ("ports", "port_count", "element(2, gen_udp:open(0))", [820, 950]),
    ] {
        let mut make = |until: u32, word: &str| {
            shell.press(&format!(
                "[{make} || N <- lists:seq(erlang:system_info({count}) + 1, {until})], {what}_{word}.\n"
            ));
            shell.shows(&format!("\n{what}_{word}"));
        };
        make(limits[0], "few");
        let between = |from, to| shares(what).iter().any(|share| (from..to).contains(share));
        eventually("it is told at three quarters", || between(75, 90));
        assert!(shares(what).iter().all(|share| *share < 90), "{what}: {:?}", shares(what));
        make(limits[1], "fewer");
        eventually("it is told at nine tenths", || between(90, 100));
    }

    // However many ask, it is looked through once in two seconds.
    let top = || lace.run(&["beam", "top", "ball/ball/2", "--format", "json"]).ok().out;
    eventually("two looks within two seconds are one", || top() == top());
    let dump = lace.run(&["beam", "dump", "ball/ball/2"]).ok().out;
    assert!(dump.starts_with("# ball@ball-2.ball.ball.lace.internal"), "{}", &dump[..dump.len().min(300)]);
    let cookie = lace.run(&["exec", "ball/ball/2", "--", "cat", "/run/lace/home/.erlang.cookie"]).ok().out;
    let cookie = cookie.rsplit([' ', '|']).next().expect("a cookie").trim().to_owned();
    assert!(cookie.len() >= 20, "{cookie:?}");
    let shown = dump.lines().filter(|line| line.contains(&cookie)).collect::<Vec<_>>();
    assert!(shown.is_empty(), "the cookie is in it: {shown:?}");
    assert!(dump.contains("ball_srv"), "its processes are in it: {} bytes", dump.len());
    assert_eq!(lace.ready("ball"), 2, "the nodes go on");
    lace.down_and_nothing_left();
}
