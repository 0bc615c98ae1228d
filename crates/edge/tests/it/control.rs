//! What the agent says, and what outlives a restart.

use crate::world::*;
use hickory_proto::rr::RecordType;
use lace_edge::{ClientError, NetError, Put, serve_until};
use lace_model::Generation;
use std::os::unix::fs::PermissionsExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

#[tokio::test]
async fn an_older_generation_is_refused_and_the_same_is_welcome() {
    let world = World::start(|_| {}).await;
    let mut client = world.client();
    let held = Generation { epoch: 1, number: 7 };
    assert_eq!(client.put(topic("shop", 7, &["a/a/1 up 10.192.0.7"])).await.unwrap(), Put::Taken);
    let older = topic("shop", 6, &["a/a/1 up 10.192.0.6"]);
    assert_eq!(client.put(older.clone()).await.unwrap(), Put::Older { held });
    assert_eq!(client.put(topic("shop", 7, &["a/a/1 up 10.192.0.7"])).await.unwrap(), Put::Taken);
    let answer = world.ask("a-1.a.shop.lace.internal", RecordType::A).await;
    assert_eq!(addresses(&answer)[0].to_string(), "10.192.0.7");
    assert_eq!(client.held().await.unwrap(), [("shop".parse().unwrap(), held)]);

    let mut restored = older;
    restored.generation = Generation { epoch: 2, number: 1 };
    assert_eq!(client.put(restored).await.unwrap(), Put::Taken, "a newer epoch wins");
    client.gone("shop".parse().unwrap()).await.unwrap();
    client.gone("shop".parse().unwrap()).await.unwrap();
    assert!(client.held().await.unwrap().is_empty());
    assert!(!world.topic_file("shop").exists());
    let answer = world.ask("shop.lace.internal", RecordType::A).await;
    assert_eq!(show(&answer), "nxdomain ours [] 1 0");
}

#[tokio::test]
async fn a_member_of_another_application_is_refused() {
    let world = World::start(|_| {}).await;
    let mut mixed = topic("shop", 1, &[]);
    mixed.members.push(member("bank", "a/a/1 up 10.192.0.1"));
    let error = world.client().put(mixed).await.unwrap_err();
    assert!(matches!(&error, ClientError::Refused(c) if c.contains("bank/a/a/1")), "{error}");
}

#[tokio::test]
async fn names_outlive_a_restart_alone() {
    let mut world = World::start(|_| {}).await;
    let mut client = world.client();
    client.put(topic("shop", 3, &["a/a/1 up 10.192.0.1"])).await.unwrap();
    client.put(topic("bank", 4, &["b/b/1 up 10.192.0.2"])).await.unwrap();
    world.stop().await;
    std::fs::write(world.topic_file("torn"), b"{\"schema\":1,\"topic\":{").unwrap();
    std::fs::copy(world.topic_file("shop"), world.topic_file("other")).unwrap();
    std::fs::write(world.config.state_dir.join("topics/shop.new"), b"half").unwrap();
    world.resume().await;
    let answer = world.ask("a-1.a.shop.lace.internal", RecordType::A).await;
    assert_eq!(show(&answer), "ok ours [1 A 10.192.0.1] 0 0");
    let held = client.held().await.unwrap();
    let names: Vec<&str> = held.iter().map(|(app, _)| app.as_str()).collect();
    assert_eq!(names, ["bank", "shop"], "torn and misplaced files are passed over");
    let older = client.put(topic("shop", 2, &[])).await.unwrap();
    assert!(matches!(older, Put::Older { .. }), "generations outlive it too: {older:?}");
}

#[tokio::test]
async fn a_client_finds_its_way_back_after_a_restart() {
    let mut world = World::start(|_| {}).await;
    let mut client = world.client();
    client.held().await.unwrap();
    world.stop().await;
    let later = tokio::spawn(async move { client.put(topic("shop", 1, &[])).await });
    world.resume().await;
    assert_eq!(later.await.unwrap().unwrap(), Put::Taken);
}

#[tokio::test]
async fn nobody_there_is_said_with_the_socket() {
    let mut client =
        lace_edge::NetClient::new("/nowhere/at/all").patience(std::time::Duration::from_millis(50));
    let error = client.held().await.unwrap_err().to_string();
    assert!(error.contains("/nowhere/at/all"), "{error}");
}

#[tokio::test]
async fn one_process_serves_a_directory() {
    let world = World::start(|_| {}).await;
    let second = serve_until(world.config.clone(), std::future::pending()).await;
    assert!(matches!(second, Err(NetError::Running(_))), "{second:?}");
    assert_eq!(std::fs::metadata(&world.config.control).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(&world.config.state_dir).unwrap().permissions().mode() & 0o777, 0o700);
    world.client().held().await.unwrap();
}

#[tokio::test]
async fn bad_frames_cost_the_caller_only() {
    let world = World::start(|_| {}).await;
    let mut stream = UnixStream::connect(&world.config.control).await.unwrap();
    for body in [&b"{\"what\":1}"[..], b"", b"\xff\xfe", b"[[[["] {
        stream.write_u32(body.len().try_into().unwrap()).await.unwrap();
        stream.write_all(body).await.unwrap();
        let mut answer = vec![0; stream.read_u32().await.unwrap() as usize];
        stream.read_exact(&mut answer).await.unwrap();
        assert!(String::from_utf8(answer).unwrap().contains("not a request"));
    }
    stream.write_u32((4 << 20) + 1).await.unwrap();
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0, "a frame too long ends the talk");
    world.client().held().await.unwrap();
}

#[tokio::test]
async fn ten_thousand_members_fit_a_frame() {
    let world = World::start(|_| {}).await;
    assert_eq!(world.client().put(crowd("big", 10_000)).await.unwrap(), Put::Taken);
    let answer = world.ask("web-9999.web.big.lace.internal", RecordType::A).await;
    assert_eq!(answer.answers.len(), 1);
}
