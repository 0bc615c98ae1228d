//! What every provider promises. A stage says how to have one; `conforms` tries all of it.

use lace_providers::provider::{
    Error, HostWanted, Instance, InstanceState, Key, Network, NetworkWanted, Port, Provider,
    USER_DATA_BYTES_MAX, VolumeWanted,
};
use std::collections::BTreeSet;

/// How a kind of provider is had in a test. It is empty at first.
pub trait Stage {
    /// A provider of this installation with good credentials.
    fn open(&self, installation: &str) -> Box<dyn Provider>;
    /// One with credentials that do not serve.
    fn stranger(&self) -> Box<dyn Provider>;
    /// Lets what was begun come to its end: machines boot, or go.
    async fn settle(&self);
    /// Two zones, a kind of machine, an image.
    fn words(&self) -> ([String; 2], String, String);
}

pub fn key(text: &str) -> Key {
    Key::new(text).expect(text)
}

pub fn network_wanted(name: &str, zones: &[String]) -> NetworkWanted {
    NetworkWanted {
        key: key(name),
        range: "10.80.0.0/16".to_owned(),
        zones: zones.to_vec(),
        adopt: None,
        ports: vec![Port::tcp(443, &["0.0.0.0/0"]), Port::tcp(22, &["192.0.2.0/24"])],
        login: None,
    }
}

pub fn host_wanted(stage: &impl Stage, name: &str, network: &Network) -> HostWanted {
    let (_, kind, image) = stage.words();
    HostWanted {
        key: key(name),
        name: format!("lace {name}"),
        network: network.clone(),
        zone: None,
        kind,
        image,
        user_data: "#!/bin/sh\n:\n".to_owned(),
        spot: false,
        disk_gib: None,
        tags: Default::default(),
    }
}

/// All promises, one after another; nothing is left.
pub async fn conforms(stage: &impl Stage) {
    lets_in_whom_it_knows(stage).await;
    describes(stage).await;
    let ours = stage.open("ours");
    let network = one_network_for_a_key(stage, &*ours).await;
    one_machine_for_a_key(stage, &*ours, &network).await;
    refuses_what_cannot_be(stage, &*ours, &network).await;
    strangers_see_nothing(stage).await;
    addresses_lead(stage, &*ours).await;
    volumes_are_attached(stage, &*ours).await;
    keeps_what_is_in_use(stage, &*ours, &network).await;
    everything_goes(stage, &*ours).await;
}

async fn lets_in_whom_it_knows(stage: &impl Stage) {
    let account = stage.open("ours").check().await.expect("let in");
    assert!(!account.id.is_empty() && !account.user.is_empty() && !account.source.is_empty());
    let refused = stage.stranger().check().await.expect_err("refused");
    assert!(matches!(refused, Error::Refused { .. }), "{refused:?}");
    assert!(refused.hint().is_some_and(|hint| !hint.is_empty()) && !refused.may_pass());
    let refused = stage.stranger().hosts().await.expect_err("refused");
    assert!(matches!(refused, Error::Refused { .. }), "{refused:?}");
}

async fn describes(stage: &impl Stage) {
    let ours = stage.open("ours");
    let (zones, kind, _) = stage.words();
    assert!(!ours.regions().await.expect("regions").is_empty());
    let known: BTreeSet<String> = ours.zones().await.expect("zones").into_iter().collect();
    assert!(zones.iter().all(|zone| known.contains(zone)), "{known:?}");
    let kinds = ours.kinds(std::slice::from_ref(&kind)).await.expect("kinds");
    assert!(kinds.len() == 1 && kinds[0].name == kind && kinds[0].cpus > 0 && kinds[0].memory_mib > 0);
    let unknown = ours.kinds(&["no.such".to_owned()]).await.expect_err("no such kind");
    assert!(matches!(&unknown, Error::Invalid { what } if what.contains("no.such")), "{unknown:?}");
    let limits = ours.limits().await.expect("limits");
    assert!(!limits.is_empty() && limits.iter().all(|l| !l.which.is_empty() && !l.raise.is_empty()));
}

async fn one_network_for_a_key(stage: &impl Stage, ours: &dyn Provider) -> Network {
    let (zones, ..) = stage.words();
    let one = ours.ensure_network(&network_wanted("net", &zones[..1])).await.expect("made");
    assert_eq!((one.subnets.len(), one.adopted), (1, false));
    let again = ours.ensure_network(&network_wanted("net", &zones[..1])).await.expect("found");
    assert_eq!(again, one, "a repeat finds the first result");
    let both = ours.ensure_network(&network_wanted("net", &zones)).await.expect("widened");
    assert_eq!((both.subnets.len(), &both.id, &both.group), (2, &one.id, &one.group));
    assert_eq!(both.subnets[0], one.subnets[0]);
    let nowhere = network_wanted("net", &["no-such-zone".to_owned()]);
    let refused = ours.ensure_network(&nowhere).await.expect_err("no such zone");
    assert!(matches!(refused, Error::Invalid { .. }), "{refused:?}");
    both
}

async fn one_machine_for_a_key(stage: &impl Stage, ours: &dyn Provider, network: &Network) {
    let wanted = host_wanted(stage, "one", network);
    let one = ours.create_host(&wanted).await.expect("made");
    let again = ours.create_host(&wanted).await.expect("found");
    assert_eq!((&again.id, &again.key), (&one.id, &key("one")));
    let names = ["two", "three", "four"].map(|name| host_wanted(stage, name, network));
    let made =
        tokio::join!(ours.create_host(&names[0]), ours.create_host(&names[1]), ours.create_host(&names[2]));
    let ids = [made.0, made.1, made.2].map(|made| made.expect("made").id);
    assert_eq!(BTreeSet::from_iter(ids).len(), 3);
    stage.settle().await;
    let hosts = ours.hosts().await.expect("listed");
    assert_eq!(hosts.len(), 4, "{hosts:?}");
    assert!(
        hosts.iter().all(|host| host.state == InstanceState::Running && host.private.is_some()),
        "{hosts:?}"
    );
    let mut other_zone = host_wanted(stage, "five", network);
    other_zone.zone = Some(network.subnets[1].zone.clone());
    let five = ours.create_host(&other_zone).await.expect("made in the other zone");
    assert_eq!(five.zone, network.subnets[1].zone);
}

async fn refuses_what_cannot_be(stage: &impl Stage, ours: &dyn Provider, network: &Network) {
    let before = ours.hosts().await.expect("listed").len();
    let wanted = |change: fn(&mut HostWanted)| {
        let mut wanted = host_wanted(stage, "wrong", network);
        change(&mut wanted);
        wanted
    };
    let wrong = [
        wanted(|w| w.user_data = "x".repeat(USER_DATA_BYTES_MAX + 1)),
        wanted(|w| w.image = "ami-99999999".to_owned()),
        wanted(|w| w.kind = "no.such".to_owned()),
        wanted(|w| w.zone = Some("no-such-zone".to_owned())),
    ];
    for wanted in wrong {
        let refused = ours.create_host(&wanted).await.expect_err("cannot be");
        assert!(matches!(refused, Error::Invalid { .. }), "{refused:?}");
    }
    assert_eq!(ours.hosts().await.expect("listed").len(), before);
}

async fn strangers_see_nothing(stage: &impl Stage) {
    let theirs = stage.open("theirs");
    assert!(theirs.hosts().await.expect("listed").is_empty());
    let (ours, seen) = (stage.open("ours"), theirs.strangers().await.expect("listed"));
    let ids = |all: Vec<lace_providers::provider::Instance>| -> BTreeSet<String> {
        all.into_iter().map(|host| host.id).collect()
    };
    assert!(seen.iter().all(|stranger| stranger.installation == "ours"), "{seen:?}");
    let seen: BTreeSet<String> = seen.into_iter().map(|stranger| stranger.id).collect();
    assert_eq!(seen, ids(ours.hosts().await.expect("listed")), "but that they are there");
    assert_eq!(ours.strangers().await, Ok(Vec::new()), "nobody is a stranger to itself");
    theirs.delete_host(&key("one")).await.expect("not theirs, so nothing to do");
    theirs.delete_network(&key("net")).await.expect("not theirs, so nothing to do");
    let hosts = stage.open("ours").hosts().await.expect("listed");
    assert!(hosts.iter().any(|host| host.key == key("one") && host.state == InstanceState::Running));
}

async fn addresses_lead(stage: &impl Stage, ours: &dyn Provider) {
    let one = ours.create_address(&key("door")).await.expect("made");
    assert_eq!(ours.create_address(&key("door")).await.expect("found"), one);
    ours.lead_address(&key("door"), &key("one")).await.expect("led");
    assert_eq!(host(ours, "one").await.public, Some(one.ip));
    ours.lead_address(&key("door"), &key("two")).await.expect("led on");
    assert_eq!(host(ours, "two").await.public, Some(one.ip));
    assert_ne!(host(ours, "one").await.public, Some(one.ip));
    for (address, to) in [("no-door", "one"), ("door", "nobody")] {
        let refused = ours.lead_address(&key(address), &key(to)).await.expect_err("not there");
        assert!(matches!(refused, Error::NotFound { .. }), "{refused:?}");
    }
    assert!(stage.open("theirs").addresses().await.expect("listed").is_empty());
    ours.delete_address(&key("door")).await.expect("given back, though it leads somewhere");
    ours.delete_address(&key("door")).await.expect("is gone already");
    assert!(ours.addresses().await.expect("listed").is_empty());
}

async fn volumes_are_attached(stage: &impl Stage, ours: &dyn Provider) {
    let zone = host(ours, "one").await.zone;
    let wanted = VolumeWanted { key: key("data"), zone, size_gib: 8, kind: None };
    let one = ours.create_volume(&wanted).await.expect("made");
    assert_eq!(ours.create_volume(&wanted).await.expect("found").id, one.id);
    ours.attach_volume(&key("data"), &key("one")).await.expect("attached");
    ours.attach_volume(&key("data"), &key("one")).await.expect("is attached already");
    let refused = ours.attach_volume(&key("data"), &key("two")).await.expect_err("another one has it");
    assert!(matches!(refused, Error::InUse { .. }), "{refused:?}");
    let refused = ours.attach_volume(&key("data"), &key("nobody")).await.expect_err("not there");
    assert!(matches!(refused, Error::NotFound { .. }), "{refused:?}");
    let volumes = ours.volumes().await.expect("listed");
    assert_eq!(
        volumes.iter().map(|v| v.attached.clone()).collect::<Vec<_>>(),
        [Some(host(ours, "one").await.id)]
    );
    assert!(stage.open("theirs").volumes().await.expect("listed").is_empty());
    ours.delete_volume(&key("data")).await.expect("taken off and deleted");
    ours.delete_volume(&key("data")).await.expect("is gone already");
    assert!(ours.volumes().await.expect("listed").is_empty());
}

async fn keeps_what_is_in_use(stage: &impl Stage, ours: &dyn Provider, network: &Network) {
    let refused = ours.delete_network(&key("net")).await.expect_err("machines are in it");
    assert!(matches!(refused, Error::InUse { .. }), "{refused:?}");
    let (zones, ..) = stage.words();
    let still = ours.ensure_network(&network_wanted("net", &zones)).await.expect("there");
    assert_eq!(still, *network, "nothing of it was deleted");
}

async fn everything_goes(stage: &impl Stage, ours: &dyn Provider) {
    for instance in ours.hosts().await.expect("listed") {
        ours.delete_host(&instance.key).await.expect("deleted");
        ours.delete_host(&instance.key).await.expect("is going already");
    }
    ours.delete_host(&key("nobody")).await.expect("was never there");
    stage.settle().await;
    assert_eq!(ours.hosts().await.expect("listed"), []);
    let (zones, ..) = stage.words();
    let network = ours.ensure_network(&network_wanted("net", &zones)).await.expect("there");
    let refused =
        ours.create_host(&host_wanted(stage, "one", &network)).await.expect_err("one key, one machine");
    assert!(matches!(refused, Error::Invalid { .. }), "{refused:?}");
    ours.delete_network(&key("net")).await.expect("deleted");
    ours.delete_network(&key("net")).await.expect("is gone already");
}

async fn host(ours: &dyn Provider, name: &str) -> Instance {
    let hosts = ours.hosts().await.expect("listed");
    hosts.into_iter().find(|host| host.key == key(name)).expect(name)
}
