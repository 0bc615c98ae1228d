//! Kill it in the middle of commits: everything answered is there, and nothing is there by half.

use super::{clock, key, open};
use lace_model::event::NewEvent;
use lace_store::conformance::{Note, batch};
use lace_store::{Expect, Rev, Store};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

const DIR: &str = "LACE_STORE_CRASH_DIR";
const THREADS: u64 = 4;
/// Rows that each batch writes with one and the same text.
const ROWS: u64 = 3;

/// Writes batch `n` of a thread: three rows, an event, an audit row.
fn write(store: &Store, thread: u64, n: u64) {
    let written = store.commit(batch(|b| {
        for row in 0..ROWS {
            // Long enough that a batch spans pages.
            let text = format!("{n} {}", "x".repeat(1500));
            b.put(&Note::new(format!("{thread}/{row}"), text), Expect::Any);
        }
        b.event(NewEvent::new("written", thread, n.to_string()));
        b.audit("write", &thread.to_string(), &n.to_string());
    }));
    written.expect("written");
}

/// The victim: run by the test below in a process of its own.
#[test]
fn crash_victim() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let store = open(Path::new(&dir));
    let begin: u64 = store.watch().borrow().0 + 1;
    let out = Mutex::new(std::io::stdout());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, out) = (&store, &out);
            scope.spawn(move || {
                for n in begin.. {
                    write(store, thread, n);
                    let mut out = out.lock().expect("the pipe");
                    writeln!(out, "answered {thread} {n}").and_then(|()| out.flush()).expect("said");
                }
            });
        }
    });
}

/// Runs a victim and kills it after so many answers; what each thread was answered last.
fn kill_after(dir: &Path, answers: usize) -> BTreeMap<u64, u64> {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "crash::crash_victim", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut last = BTreeMap::new();
    let mut note = |line: String| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // The test runner writes lines of its own, and the last line may be cut.
        let [.., "answered", thread, n] = words[..] else { return false };
        let (Ok(thread), Ok(n)) = (thread.parse(), n.parse::<u64>()) else { return false };
        last.entry(thread).and_modify(|l: &mut u64| *l = n.max(*l)).or_insert(n);
        true
    };
    let mut seen = 0;
    while seen < answers {
        let line = lines.next().expect("the victim lives").expect("a line");
        seen += usize::from(note(line));
    }
    child.kill().expect("killed");
    child.wait().expect("gone");
    // What was said before the kill counts as answered; a line that the kill cut short does not.
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    for line in rest.iter().take(rest.len().saturating_sub(1)) {
        note(line.clone());
    }
    last
}

/// Every batch is whole, the counters fit, the chain holds.
fn inspect(store: &Store) -> BTreeMap<u64, u64> {
    let mut found = BTreeMap::new();
    for row in store.list::<Note>("").expect("listed") {
        let thread: u64 = row.value.key.split('/').next().expect("a thread").parse().expect("a number");
        let n: u64 = row.value.text.split(' ').next().expect("a number").parse().expect("a number");
        let other = *found.entry(thread).or_insert(n);
        assert_eq!(other, n, "half a batch of thread {thread}");
    }
    for (thread, n) in &found {
        let rows = store.list::<Note>(&format!("{thread}/")).expect("listed");
        assert_eq!(rows.len() as u64, ROWS, "thread {thread}");
        let event = store.events_tail_under(&thread.to_string(), 1).expect("events").remove(0);
        assert_eq!(event.message, n.to_string(), "event and rows belong together");
    }
    let report = store.audit_verify().expect("verified");
    assert!(report.is_whole(), "{report:?}");
    let rev = *store.watch().borrow();
    let tail = store.changes(Rev(rev.0.saturating_sub(50)), 100).expect("feed");
    assert!(tail.windows(2).all(|w| w[0].rev.0 + 1 == w[1].rev.0));
    assert!(tail.last().is_none_or(|c| c.rev == rev), "the feed ends at the newest revision");
    found
}

#[test]
fn killed_in_the_middle_of_commits() {
    let dir = tempfile::tempdir().expect("a directory");
    for answers in [1, 7, 50, 200, 333] {
        let answered = kill_after(dir.path(), answers);
        let found = inspect(&open(dir.path()));
        for (thread, n) in answered {
            assert!(found[&thread] >= n, "thread {thread} was answered {n}, found {}", found[&thread]);
        }
    }
}

/// A log that a power cut left short: whatever its end, the state is one that was committed.
#[test]
fn any_beginning_of_the_log_is_a_whole_state() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = dir.path().join("source");
    let log = source.join("lace.db-wal");
    kill_after(&source, 60);
    let log_len = std::fs::metadata(&log).expect("a log").len();
    let mut last = 0;
    for cut in (0..40).map(|n| log_len * n / 40 + n * 13).chain([log_len]) {
        let copy = dir.path().join(format!("cut{cut}"));
        std::fs::create_dir(&copy).expect("made");
        std::fs::copy(source.join("lace.db"), copy.join("lace.db")).expect("copied");
        let bytes = std::fs::read(&log).expect("read");
        std::fs::write(copy.join("lace.db-wal"), &bytes[..(cut.min(log_len)) as usize]).expect("cut");
        let store = Store::open(&copy, key(), clock()).expect("opened");
        inspect(&store);
        let rev = store.watch().borrow().0;
        assert!(rev >= last, "more of the log is never less of the state");
        last = rev;
    }
    assert!(last > 0);
}

/// Dropping the last handle waits for what was accepted.
#[test]
fn dropped_without_being_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = store.clone();
            scope.spawn(move || (1..=20).for_each(|n| write(&store, thread, n)));
        }
        drop(store);
    });
    let found = inspect(&open(dir.path()));
    assert!(found.len() as u64 == THREADS && found.values().all(|n| *n == 20), "{found:?}");
}
