//! Prints what the store does on this disk: `cargo run --release -p lace-store --example bench [DIR]`.
//!
//! The first line is the disk alone (append 4 KiB, fdatasync): what one commit cannot beat, and many at once
//! should.

#![allow(clippy::print_stdout, reason = "printing is what this program is for")]

use lace_store::conformance::{Note, batch};
use lace_store::{Batch, Expect, Limits, MasterKey, Options, Rev, Store, SystemClock};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SINGLE: usize = 2_000;
const WRITERS: usize = 64;
const EACH: usize = 200;
const OBJECTS: usize = 100_000;

fn main() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = std::env::args().nth(1).map_or(temp.path().to_owned(), PathBuf::from);
    std::fs::create_dir_all(&dir).expect("a directory");
    sync_alone(&dir);
    let store = Store::open(&dir.join("bench-state"), MasterKey::from_bytes([1; 32]), Arc::new(SystemClock));
    let store = store.expect("opened");
    single(&store);
    threads(&store);
    tasks(&store);
    objects(&store);
    blobs(&store);
    in_memory();
}

fn text(n: usize) -> String {
    format!("{n:08} {}", "x".repeat(500))
}

fn one(key: &str, n: usize) -> Batch {
    batch(|b| b.put(&Note::new(key, text(n)), Expect::Any))
}

fn spread(name: &str, mut times: Vec<Duration>, took: Duration) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    let rate = times.len() as f64 / took.as_secs_f64();
    println!(
        "{name:<42} {rate:>9.0}/s   p50 {:>9.1?}   p99 {:>9.1?}   max {:>9.1?}",
        at(50),
        at(99),
        at(100)
    );
}

fn time(count: usize, mut f: impl FnMut(usize)) -> (Vec<Duration>, Duration) {
    let begin = Instant::now();
    let times = (0..count).map(|n| {
        let begin = Instant::now();
        f(n);
        begin.elapsed()
    });
    let times = times.collect();
    (times, begin.elapsed())
}

fn sync_alone(dir: &Path) {
    let path = dir.join("bench-sync");
    let mut file = std::fs::File::create(&path).expect("a file");
    let (times, took) = time(SINGLE, |_| {
        file.write_all(&[1; 4096]).and_then(|()| file.sync_data()).expect("synced");
    });
    spread("disk alone: append 4 KiB, fdatasync", times, took);
    std::fs::remove_file(path).expect("removed");
}

fn single(store: &Store) {
    let (times, took) = time(SINGLE, |n| drop(store.commit(one("single", n)).expect("written")));
    spread("commit, one writer", times, took);
}

fn threads(store: &Store) {
    let begin = Instant::now();
    let times = std::thread::scope(|scope| {
        let work = |w: usize| {
            move || time(EACH, |n| drop(store.commit(one(&format!("w{w}"), n)).expect("written"))).0
        };
        let all: Vec<_> = (0..WRITERS).map(|w| scope.spawn(work(w))).collect();
        all.into_iter().flat_map(|t| t.join().expect("done")).collect()
    });
    spread("commit, 64 threads at once", times, begin.elapsed());
}

fn tasks(store: &Store) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let begin = Instant::now();
    let times = runtime.block_on(async {
        let mut all = tokio::task::JoinSet::new();
        for w in 0..WRITERS {
            let store = store.clone();
            all.spawn(async move {
                let mut times = Vec::new();
                for n in 0..EACH {
                    let begin = Instant::now();
                    store.commit_async(one(&format!("t{w}"), n)).await.expect("written");
                    times.push(begin.elapsed());
                }
                times
            });
        }
        all.join_all().await.concat()
    });
    spread("commit_async, 64 tasks at once", times, begin.elapsed());
}

fn objects(store: &Store) {
    let begin = Instant::now();
    for chunk in (0..OBJECTS).collect::<Vec<_>>().chunks(1000) {
        let fill = batch(|b| {
            chunk.iter().for_each(|n| b.put(&Note::new(format!("list/{n:06}"), text(*n)), Expect::Any));
        });
        store.commit(fill).expect("written");
    }
    let took = begin.elapsed();
    println!("put 100,000 objects in batches of 1,000: {took:.1?}");
    let (times, took) = time(5, |_| assert_eq!(store.list::<Note>("list/").expect("listed").len(), OBJECTS));
    spread("list 100,000 objects of 530 bytes", times, took);
    let (times, took) = time(1000, |n| {
        assert_eq!(store.list::<Note>(&format!("list/{:04}", n * 7 % 1000)).expect("listed").len(), 100);
    });
    spread("list 100 of them by prefix", times, took);
    let (times, took) = time(20_000, |n| {
        assert!(store.get::<Note>(&format!("list/{:06}", n * 7919 % OBJECTS)).expect("read").is_some());
    });
    spread("get one", times, took);
    let newest = store.watch().borrow().0;
    let (times, took) =
        time(20_000, |_| assert_eq!(store.changes(Rev(newest - 10), 100).expect("feed").len(), 10));
    spread("read 10 changes", times, took);
}

fn blobs(store: &Store) {
    let mut content = vec![0; 64 << 10];
    let (times, took) = time(500, |n| {
        content[..8].copy_from_slice(&(n as u64).to_be_bytes());
        store.blobs().put(&content).expect("kept");
    });
    spread("put a blob of 64 KiB", times, took);
}

fn in_memory() {
    let clock = Arc::new(SystemClock);
    let options = Options { limits: Limits::default(), gauge: None };
    let store = Store::open_in_memory_with(MasterKey::from_bytes([1; 32]), clock, options).expect("opened");
    let (times, took) = time(20_000, |n| drop(store.commit(one("single", n)).expect("written")));
    spread("in memory: commit", times, took);
}
