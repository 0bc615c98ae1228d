//! The C library of this machine as the client.

use crate::world::*;
use std::net::SocketAddr;
use std::process::Command;

/// glibc resolves through us, in a mount namespace where /etc/resolv.conf names us. Needs root; passed over without.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn getent_resolves_through_us() {
    let can = Command::new("unshare").args(["--mount", "true"]).output();
    if !can.is_ok_and(|run| run.status.success()) {
        eprintln!("passed over: no mount namespace here");
        return;
    }
    let world = World::start(|c| {
        let ip = c.dns_listen[0].ip();
        c.dns_listen = vec![SocketAddr::new(ip, 53)];
    })
    .await;
    world.client().put(crowd("big", 100)).await.unwrap();
    let resolv = world.dir.path().join("resolv.conf");
    let text = format!("nameserver {}\nsearch web.big.lace.internal\n", world.address().ip());
    std::fs::write(&resolv, text).unwrap();
    let getent = |words: &'static str| {
        let script = format!("mount --bind {} /etc/resolv.conf && getent {words}", resolv.display());
        async move {
            let run = move || Command::new("unshare").args(["--mount", "sh", "-c", &script]).output();
            let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
            String::from_utf8(output.stdout).unwrap()
        }
    };
    let one = getent("hosts web-7.web.big.lace.internal").await;
    assert!(one.starts_with("10.192.0.7"), "{one:?}");
    let searched = getent("hosts web-8").await;
    assert!(searched.contains("web-8.web.big.lace.internal"), "{searched:?}");
    let all = getent("ahostsv4 web.web.big.lace.internal").await;
    let streams = all.lines().filter(|line| line.contains("STREAM")).count();
    assert_eq!(streams, 100, "over TCP, since they do not fit a datagram");
    let reverse = getent("hosts 10.192.0.9").await;
    assert!(reverse.contains("web-9.web.big.lace.internal"), "{reverse:?}");
    assert_eq!(getent("hosts nobody.big.lace.internal").await, "");
}
