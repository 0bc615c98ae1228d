//! Controllers that share one state, before a real authority (pebble).

#[path = "../../../../tests/real/pebble.rs"]
mod pebble;

use lace_authority::{Keeper, keep};
use lace_model::authority::Authority;
use lace_model::family::{Application, Service};
use lace_model::route::RouteSpec;
use lace_store::{Batch, Expect, MasterKey, Store, SystemClock};
use pebble::Pebble;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const NAMES: [&str; 3] = ["a.example.com", "b.example.com", "c.example.com"];
const WITHIN: Duration = Duration::from_secs(60);

/// The state of two controllers, with an application that wants certificates.
fn state(pebble: &Pebble) -> Store {
    let store =
        Store::open_in_memory(MasterKey::from_bytes([7; 32]), Arc::new(SystemClock)).expect("a store");
    let route = |name: &&str| RouteSpec { host: Some((*name).to_owned()), ..RouteSpec::new(80) };
    let mut service = Service {
        path: "shop/web".parse().expect("a path"),
        revision: 1,
        revision_last: 1,
        spec: Default::default(),
        deleting: false,
        pushes: None,
    };
    service.spec.routes = Some(NAMES.iter().map(route).collect());
    let authority = Authority {
        directory: pebble.directory(),
        contacts: Vec::new(),
        ca: Some(std::fs::read_to_string(pebble.ca()).expect("a certificate")),
        challenge: None,
        set_at: 0,
    };
    let mut batch = Batch::new(None);
    batch.put(&Application::new("shop".parse().expect("a name"), 0), Expect::Absent);
    batch.put(&service, Expect::Absent);
    batch.put(&authority, Expect::Absent);
    store.commit(batch).expect("committed");
    store
}

/// A door that reads what it shows from the state. It ends with the test's process.
fn door(store: &Store) -> SocketAddr {
    let (store, listener) = (store.clone(), TcpListener::bind("127.0.0.1:0").expect("a port"));
    let address = listener.local_addr().expect("bound");
    let serve = move || listener.incoming().flatten().for_each(|stream| drop(answer(&store, stream)));
    std::thread::spawn(serve);
    address
}

fn answer(store: &Store, mut stream: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let app = store.get::<Application>("shop").ok().flatten().expect("there").value;
    let mut challenges = app.obtaining.into_iter().filter_map(|entry| entry.challenge);
    let text = challenges.find(|c| first.contains(&c.token)).map(|c| c.authorization).unwrap_or_default();
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len())
}

fn told(store: &Store, kind: &str) -> Vec<String> {
    let events = store.events(0, 1_000).expect("read").into_iter();
    events.filter(|event| event.kind == kind).map(|event| event.subject).collect()
}

async fn eventually(what: &str, store: &Store, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + WITHIN;
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}: {:?}", store.events(0, 1_000));
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_controllers_one_orders_and_both_have_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut pebble = Pebble::new(dir.path());
    let store = state(&pebble);
    let door = door(&store);
    pebble.start(600, (door.port(), door.port()));
    eventually("it listens", &store, || pebble.root().is_some() && pebble.lead_to("127.0.0.1")).await;
    let controllers = [(); 2].map(|()| {
        let keeper = Keeper { store: store.clone(), clock: Arc::new(SystemClock), door: Some(door) };
        tokio::spawn(keep(keeper))
    });
    let app = || store.get::<Application>("shop").expect("read").expect("there").value;
    eventually("all are there", &store, || app().certificates.len() == NAMES.len()).await;
    eventually("nothing is open", &store, || app().obtaining.is_empty()).await;
    let mut obtained = told(&store, "certificate.obtained");
    obtained.sort();
    assert_eq!(obtained, NAMES.map(|name| format!("shop/certificate/{name}")), "each once");
    assert_eq!(told(&store, "certificate.renewed"), Vec::<String>::new());
    assert!(app().certificates.iter().all(|certificate| certificate.version == 1), "no value was made twice");
    controllers.iter().for_each(tokio::task::JoinHandle::abort);
}
