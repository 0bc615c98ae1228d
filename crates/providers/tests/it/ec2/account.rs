//! The provider for EC2 keeps the promises of all, and EC2's own: limits, adopted VPCs, spot, disks, strays.

use super::moto::{IMAGE, Moto, REGION};
use super::proxy::{Order, Proxy};
use crate::conformance::{Stage, conforms, host_wanted, key, network_wanted};
use lace_providers::ec2::{Chain, Credentials, Ec2, Patience, Place, Which};
use lace_providers::provider::{Error, InstanceState, Provider};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

pub struct Simulated {
    pub moto: Moto,
    pub proxy: Proxy,
}

impl Simulated {
    pub async fn start() -> Self {
        let moto = Moto::start().await;
        let proxy = Proxy::before(&moto).await;
        Self { moto, proxy }
    }

    pub fn ec2(&self, installation: &str) -> Ec2 {
        self.moto.open(&self.proxy.at, installation, &self.moto.who)
    }
}

impl Stage for Simulated {
    fn open(&self, installation: &str) -> Box<dyn Provider> {
        Box::new(self.ec2(installation))
    }

    fn stranger(&self) -> Box<dyn Provider> {
        let wrong = Credentials::given(self.moto.who.id.clone(), "wrong", None);
        Box::new(self.moto.open(&self.proxy.at, "ours", &wrong))
    }

    async fn settle(&self) {
        let (ours, began) = (self.ec2("ours"), Instant::now());
        let moves = |state| matches!(state, InstanceState::Pending | InstanceState::Leaving);
        while ours.hosts().await.expect("listed").iter().any(|host| moves(host.state)) {
            assert!(began.elapsed() < Duration::from_secs(60), "machines neither came up nor went");
        }
    }

    fn words(&self) -> ([String; 2], String, String) {
        ([format!("{REGION}a"), format!("{REGION}b")], "t3.small".into(), IMAGE.into())
    }
}

#[tokio::test]
async fn ec2_keeps_the_promises_of_all_on_moto_behind_our_proxy() {
    let stage = Simulated::start().await;
    stage.proxy.pending_for(2);
    let before = stage.moto.things().await;
    conforms(&stage).await;
    assert_eq!(stage.moto.things().await, before, "nothing is left");
}

#[tokio::test]
async fn rights_limits_and_adopted_networks_are_kept() {
    let stage = Simulated::start().await;
    wrong_keys_and_rights_are_told_apart(&stage).await;
    limits_are_told_before_anything_is_made(&stage).await;
    somebody_elses_vpc_stays_as_it_is(&stage).await;
    rules_follow_what_is_wanted(&stage).await;
}

async fn wrong_keys_and_rights_are_told_apart(stage: &Simulated) {
    let unknown =
        stage.moto.open(&stage.proxy.at, "ours", &Credentials::given("AKIAUNKNOWN000000000", "s", None));
    for refused in
        [unknown.check().await.err(), unknown.hosts().await.err(), stage.stranger().hosts().await.err()]
    {
        assert!(matches!(refused, Some(Error::Refused { .. })), "{refused:?}");
    }
    // moto denies by the policy of the user: reserving an instance is not in it.
    let ours = stage.ec2("ours");
    let account = ours.check().await.expect("let in");
    assert_eq!((account.user.as_str(), account.source), ("user/lace", "given"));
}

async fn limits_are_told_before_anything_is_made(stage: &Simulated) {
    let place = Place { region: REGION.into(), endpoint: Some(stage.proxy.at.clone()) };
    let open = |limits: &[(&str, u64)]| {
        let limits: BTreeMap<String, u64> = limits.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        Ec2::new(&place, Chain::only(stage.moto.who.clone()), Patience::default(), "ours", limits)
            .expect("open")
    };
    let (zones, ..) = stage.words();
    stage.proxy.mend();
    // moto's account has a VPC of its own already.
    let refused =
        open(&[("vpcs", 1)]).ensure_network(&network_wanted("net", &zones)).await.expect_err("full");
    assert_eq!(refused.to_string(), "the limit of VPCs per region is reached: 1 of 1 are in use");
    assert!(refused.hint().is_some_and(|hint| hint.contains("Service Quotas")));
    let refused = open(&[("addresses", 0)]).create_address(&key("door")).await.expect_err("full");
    assert!(matches!(refused, Error::LimitReached { .. }), "{refused:?}");
    assert_eq!(stage.proxy.deeds(), [] as [&str; 0], "nothing was even tried");
    // And what only EC2 knows is told in the same way.
    stage.proxy.at_next("CreateVpc", Order::Refuse(400, "VpcLimitExceeded"));
    let refused = open(&[]).ensure_network(&network_wanted("net", &zones)).await.expect_err("full");
    assert!(
        matches!(&refused, Error::LimitReached { which, .. } if which == "VPCs per region"),
        "{refused:?}"
    );
    let ours = open(&[("hosts", 1)]);
    let network = ours.ensure_network(&network_wanted("net", &zones)).await.expect("made");
    ours.create_host(&host_wanted(stage, "one", &network)).await.expect("one");
    let refused = ours.create_host(&host_wanted(stage, "two", &network)).await.expect_err("one at most");
    assert!(matches!(refused, Error::LimitReached { .. }), "{refused:?}");
    stage.proxy.at_next("RunInstances", Order::Refuse(500, "InsufficientInstanceCapacity"));
    let none = open(&[]).create_host(&host_wanted(stage, "two", &network)).await.expect_err("no room");
    assert!(matches!(none, Error::NoCapacity { .. }) && none.may_pass(), "{none:?}");
    ours.delete_host(&key("one")).await.expect("deleted");
    ours.delete_network(&key("net")).await.expect("deleted");
}

async fn somebody_elses_vpc_stays_as_it_is(stage: &Simulated) {
    let (client, ours) = (stage.moto.client(), stage.ec2("ours"));
    let vpc = client.vpcs(Which::Filters(&[("isDefault", &["true"])])).await.expect("asked").remove(0);
    let before = stage.moto.things().await;
    let (zones, ..) = stage.words();
    let mut wanted = network_wanted("theirs", &zones);
    wanted.adopt = Some(vpc.id.clone());
    wanted.login = Some(LOGIN.into());
    let network = ours.ensure_network(&wanted).await.expect("adopted");
    assert_eq!((network.id.as_str(), network.adopted, network.subnets.len()), (vpc.id.as_str(), true, 2));
    assert_eq!(ours.ensure_network(&wanted).await.expect("found"), network);
    assert_eq!(stage.moto.things().await.difference(&before).count(), 2, "a group and a login");
    let mut host = host_wanted(stage, "guest", &network);
    (host.spot, host.disk_gib) = (true, Some(20));
    let guest = ours.create_host(&host).await.expect("made");
    assert_eq!(ours.create_host(&host).await.expect("found").id, guest.id);
    let machine = client.machines(Which::Ids(&[&guest.id])).await.expect("asked").remove(0);
    assert!(!machine.checked, "it carries packets of its nodes");
    assert_eq!(machine.tag("lace-key"), Some("guest"));
    assert_eq!(ours.volumes().await.expect("listed"), [], "the disk of a machine is no volume");
    let refused = ours.delete_network(&key("theirs")).await.expect_err("a machine is in it");
    assert!(matches!(refused, Error::InUse { .. }), "{refused:?}");
    ours.delete_host(&key("guest")).await.expect("deleted");
    ours.delete_network(&key("theirs")).await.expect("deleted");
    assert_eq!(stage.moto.things().await, before, "what was adopted stays, and nothing else");
    wanted.adopt = Some("vpc-0123456789abcdef0".into());
    let refused = ours.ensure_network(&wanted).await.expect_err("no such VPC");
    assert!(matches!(refused, Error::NotFound { .. }), "{refused:?}");
}

async fn rules_follow_what_is_wanted(stage: &Simulated) {
    let (client, ours) = (stage.moto.client(), stage.ec2("ours"));
    let (zones, ..) = stage.words();
    let mut wanted = network_wanted("net", &zones[..1]);
    let network = ours.ensure_network(&wanted).await.expect("made");
    let rules =
        async || client.groups(Which::Ids(&[&network.group])).await.expect("asked").remove(0).rules.len();
    assert_eq!(rules().await, 3, "two ports, and everything inside");
    wanted.ports.remove(0);
    wanted.ports[0].sources.push("198.51.100.0/24".into());
    ours.ensure_network(&wanted).await.expect("changed");
    assert_eq!(rules().await, 3, "one port from two ranges, and everything inside");
    ours.delete_network(&key("net")).await.expect("deleted");
}

/// A public key of nobody's.
const LOGIN: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGGErcHSnEIU26LheKqI4gcjkhC0kqEKcayxbxxburu/ nobody@example.com";
