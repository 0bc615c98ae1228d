//! Two revisions at work together, and a client that counts which of them answered.

use crate::lace::{Lace, eventually, may_run};
use crate::load::{Connection, Load};
use crate::page::project_with;
use std::time::Duration;

const HOST: &str = "web.shop.localhost";

struct Shop {
    lace: Lace,
    count: u32,
    rollout: &'static str,
}

impl Shop {
    fn open(net: u8, count: u32, rollout: &'static str) -> Self {
        let shop = Self { lace: Lace::up_in(251, net), count, rollout };
        shop.deploy("1", &[]).ok();
        eventually("the page is there", || shop.versions(1) == [("1".to_owned(), 1)]);
        shop
    }

    fn deploy(&self, version: &str, more: &[&str]) -> crate::lace::Ran {
        let rollout = format!("rollout = {{ {} }}\n", self.rollout);
        let dir = project_with(self.lace.files(), version, self.count, &rollout);
        let words = [&["deploy", "shop", dir.to_str().expect("text")], more].concat();
        self.lace.run(&words)
    }

    /// Which versions answer so many requests, and how often.
    fn versions(&self, requests: u32) -> Vec<(String, u32)> {
        let mut seen = std::collections::BTreeMap::new();
        for _ in 0..requests {
            let asked = Connection::open(self.lace.door()).and_then(|mut c| c.get(HOST, "/", ""));
            let version = match asked {
                Ok((200, body, _)) => {
                    let text = String::from_utf8_lossy(&body).trim().to_owned();
                    text.rsplit(' ').next().unwrap_or_default().to_owned()
                }
                other => format!("{other:?}"),
            };
            *seen.entry(version).or_default() += 1;
        }
        seen.into_iter().collect()
    }

    fn only(&self, version: &str) -> bool {
        self.versions(40) == [(version.to_owned(), 40)]
    }

    fn nodes(&self) -> Vec<u64> {
        let status = self.lace.status("shop");
        let nodes = status["apps"][0]["families"][0]["nodes"].as_array().cloned().unwrap_or_default();
        nodes
            .iter()
            .filter_map(|node| node["status"]["path"].as_str()?.rsplit('/').next()?.parse().ok())
            .collect()
    }
}

#[test]
fn blue_green_brings_the_new_beside_the_old_and_switches_in_one_step() {
    if !may_run() {
        return;
    }
    let rollout = "strategy = \"blue-green\", healthy_for = \"500ms\", keep = \"60s\"";
    let shop = Shop::open(1, 2, rollout);
    let load = Load::begin(shop.lace.door(), HOST, 2, Duration::from_millis(20));
    // Nobody waits for the 60 s: the old nodes stay, and the command ends while it watches.
    shop.deploy("2", &["--timeout", "1s"]).ends(4);
    eventually("the new revision answers", || shop.only("2"));
    assert_eq!(shop.nodes(), [1, 2, 101, 102], "the old nodes are kept");
    let shown = shop.lace.run(&["rollout", "show", "shop/web"]).ok().out;
    assert!(shown.contains("100.0 % of the requests go to revision 2"), "{shown}");
    // Going back is as quick: nothing has to start for it.
    shop.lace.run(&["rollout", "abort", "shop/web"]).ok();
    eventually("the old revision answers again", || shop.only("1"));
    assert_eq!(shop.nodes(), [1, 2]);
    shop.deploy("3", &["--timeout", "1s"]).ends(4);
    eventually("the third revision answers", || shop.only("3"));
    shop.lace.run(&["rollout", "promote", "shop/web"]).ok();
    assert_eq!(shop.nodes(), [101, 102], "the old nodes have ended");
    let tally = load.end();
    assert_eq!(tally.failures(), Vec::<String>::new(), "{:?}", tally.answers());
    shop.lace.down_and_nothing_left();
}

#[test]
fn a_canary_gets_its_share_until_it_is_promoted() {
    if !may_run() {
        return;
    }
    let shop = Shop::open(2, 3, "strategy = \"canary\", steps = [\"10%\"], healthy_for = \"100ms\"");
    shop.deploy("2", &["--timeout", "1s"]).ends(4);
    // One node of three has the new revision, and a tenth of the requests: not a third.
    eventually("the canary sings", || shop.versions(30).len() == 2);
    let seen = shop.versions(600);
    let share = seen.iter().find(|(version, _)| version == "2").map_or(0, |(_, count)| *count);
    assert!((25..=110).contains(&share) && seen.len() == 2, "a tenth of 600: {seen:?}");
    let shown = shop.lace.run(&["rollout", "show", "shop/web"]).ok().out;
    assert!(shown.contains("10.0 % of the requests go to revision 2"), "{shown}");
    shop.lace.run(&["rollout", "promote", "shop/web"]).ok();
    assert!(shop.only("2"), "{:?}", shop.versions(40));
    // The next one sings wrong to a person's ear.
    let load = Load::begin(shop.lace.door(), HOST, 2, Duration::from_millis(20));
    shop.deploy("3", &["--timeout", "1s"]).ends(4);
    eventually("the canary sings", || shop.versions(30).len() == 2);
    shop.lace.run(&["rollout", "abort", "shop/web"]).ok();
    eventually("it is heard no more", || shop.only("2"));
    let tally = load.end();
    assert_eq!(tally.failures(), Vec::<String>::new(), "{:?}", tally.answers());
    shop.lace.down_and_nothing_left();
}
