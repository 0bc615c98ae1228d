//! What hosts are told.

use crate::make::{family, path};
use crate::world::{Conduct, World};
use lace_model::document::{Entry, EntryBody, EntryId};
use lace_model::target::Want;
use lace_model::{Generation, HostId};
use lace_planner::{World as Seen, entries, explain, topic};
use std::collections::BTreeMap;

fn documents(world: &World, before: &BTreeMap<EntryId, Entry>) -> Vec<(HostId, Entry)> {
    entries(world.target.as_ref().unwrap(), &world.revisions, before)
}

fn by_id(entries: &[(HostId, Entry)]) -> BTreeMap<EntryId, Entry> {
    entries.iter().map(|(_, e)| (e.id, e.clone())).collect()
}

#[test]
fn an_entry_keeps_its_generation_while_its_body_stays() {
    let mut world = World::new(2, 1, 1);
    world.tick();
    let first = by_id(&documents(&world, &BTreeMap::new()));
    world.settle();
    assert!(world.target.as_ref().unwrap().generation > first.values().next().unwrap().generation);
    assert_eq!(by_id(&documents(&world, &first)), first, "phases of a rollout are not the agents' business");
    world.family.count = 3;
    world.tick();
    let more = by_id(&documents(&world, &first));
    assert_eq!(more.len(), 3);
    assert!(first.iter().all(|(id, entry)| more[id] == *entry), "peers are the topic's business");
}

#[test]
fn old_and_new_node_share_a_document_while_they_change_places() {
    let mut world = World::new(1, 1, 1);
    world.settle();
    world.roll_out(Conduct::Good);
    while world.target.as_ref().unwrap().nodes.len() < 2 {
        world.tick();
    }
    let wants: Vec<Want> = documents(&world, &BTreeMap::new())
        .iter()
        .map(|(_, e)| if let EntryBody::Node(n) = &e.body { n.want } else { unreachable!() })
        .collect();
    assert_eq!(wants, [Want::Gone, Want::Run]);
    let revisions = BTreeMap::from([(path().service_path(), world.revisions.clone())]);
    let said = topic(&path().app, &world.target, &world.observed, &revisions, Generation::default());
    assert_eq!(said.members.len(), 1, "one address is one member");
}

#[test]
fn a_topic_names_who_is_up_and_who_takes_leave() {
    let mut world = World::new(2, 1, 1);
    world.settle();
    world.family.count = 1;
    while world.running().len() > 1 {
        world.tick();
    }
    let revisions = BTreeMap::from([(path().service_path(), world.revisions.clone())]);
    let said = topic(&path().app, &world.target, &world.observed, &revisions, Generation::default());
    let states: Vec<(u32, bool, bool)> = said.members.iter().map(|m| (m.path.index, m.up, m.ready)).collect();
    assert_eq!(states.len(), 2);
    assert!(states.contains(&(1, true, true)) && states.contains(&(2, false, false)));
}

#[test]
fn why_says_what_is_known() {
    let mut world = World::new(2, 1, 1);
    world.settle();
    world.roll_out(Conduct::CrashesAtBoot);
    world.settle();
    let families = BTreeMap::from([(path(), world.family.clone())]);
    let targets = world.target.iter().map(|t| (path(), t.clone())).collect();
    let seen = Seen {
        families: &families,
        targets: &targets,
        observed: &world.observed,
        hosts: &world.hosts,
        now: world.now,
    };
    let lines = explain(&"shop".parse().unwrap(), &seen);
    assert!(lines[0].contains("2 of 2 ready; revision 2 failed and was reverted"), "{lines:#?}");
    assert!(lines.contains(&"  | it broke".to_owned()), "{lines:#?}");
    let lines = explain(&"shop/game/game/9".parse().unwrap(), &seen);
    assert_eq!(lines, [format!("shop/game/9: the family shall have {} nodes", family(2).count)]);
    assert_eq!(explain(&"other".parse().unwrap(), &seen), ["there is no other"]);
}
