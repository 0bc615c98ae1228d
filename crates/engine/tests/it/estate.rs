//! Several hosts: who hears of whom.

use crate::hosts::{Scene, name, path};
use lace_model::host::{DOOR, Host, Underlay};
use lace_model::object::revision_key;
use lace_model::revision::Revision;
use lace_model::{HostId, Object};
use lace_store::{Batch, Expect};

fn ids(scene: &Scene) -> Vec<HostId> {
    scene.hosts.keys().copied().collect()
}

fn networks_told(scene: &mut Scene) -> Vec<usize> {
    scene.engine.refresh(&scene.store).expect("fresh");
    let mut sizes: Vec<usize> = scene.engine.told().neighbours.iter().map(|hosts| hosts.len()).collect();
    sizes.sort_unstable();
    sizes
}

#[test]
fn hosts_of_a_network_hear_of_each_other_once() {
    let mut scene = Scene::new(3);
    let ids = ids(&scene);
    for (id, address) in ids.iter().zip([[192, 168, 1, 1], [192, 168, 1, 2], [192, 168, 2, 1]]) {
        let underlay = Underlay { address: address.into(), prefix: 24, behind: None, within: None };
        scene.change::<Host>(&id.to_string(), |host| host.underlay = Some(underlay.clone()));
    }
    assert_eq!(networks_told(&mut scene), [1, 2]);
    assert_eq!(networks_told(&mut scene), [0; 0], "nothing new");
    let mut batch = Batch::new(None);
    batch.delete::<Host>(&ids[0].to_string(), Expect::Any);
    scene.store.commit(batch).expect("removed");
    assert_eq!(networks_told(&mut scene), [1], "who stays hears that the other went");
}

#[test]
fn doors_and_nodes_that_let_an_application_in_know_it() {
    let mut scene = Scene::new(4);
    scene.serve("shop/web/web", 1, vec![]);
    scene.serve("other/api/api", 1, vec![]);
    let key = revision_key(&path("other/api/api").service_path(), 1);
    scene.change::<Revision>(&key, |r| r.spec.firewall = vec!["tcp:80 from shop".parse().expect("one")]);
    scene.settle();
    let on = |scene: &Scene, family: &str| scene.target(family).nodes[0].host;
    let (shop, other) = (on(&scene, "shop/web/web"), on(&scene, "other/api/api"));
    assert_ne!(shop, other);
    let knows = |scene: &Scene, id: HostId, app: &str| scene.hosts[&id].topics.contains_key(&name(app));
    assert!(knows(&scene, other, "shop"), "its members may come in");
    assert!(!knows(&scene, shop, "other"), "the other way nothing is open");
    let idle = ids(&scene).into_iter().find(|id| *id != shop && *id != other).expect("a third one");
    assert!(!knows(&scene, idle, "shop"));
    scene.change::<Host>(&idle.to_string(), |host| {
        host.attributes.insert(DOOR.to_owned(), "0.0.0.0:80".to_owned());
    });
    scene.settle();
    assert!(knows(&scene, idle, "shop") && knows(&scene, idle, "other"), "its door leads there");
    assert_eq!(Host::KIND, "host");
}
