//! Wishes of persons: the copy goes where it is wished for, and a wish ends with the next one.

use crate::world::World;
use lace_vote::{Seat, Terms, VoteSet};

const TERMS: Terms = Terms { lease_ms: 20, promise_ms: 27, ask_ms: 2 };
/// A copy is where it shall be within so many units.
const UNITS_MAX: u64 = 500;

/// Everything is heard, until the copy is there.
fn until_at(world: &mut World, wanted: impl Fn(Seat) -> bool) {
    for _ in 0..UNITS_MAX {
        world.deliver_all(|_, _| true, false);
        world.now += 1;
        for seat in world.seats() {
            world.stop_in_order(seat);
            world.tick(seat);
        }
        assert!(world.copies() <= 1);
        if world.seats().any(|seat| wanted(seat) && world.node(seat).copy) {
            return;
        }
    }
    panic!("the copy is not where it shall be");
}

#[test]
fn who_is_first_has_it_again_though_another_one_was_wished_for_before() {
    let mut world = World::new(TERMS, &[Some(1), Some(0), Some(0)]);
    for seat in world.seats() {
        world.order(seat, &VoteSet::first(1..=3));
    }
    until_at(&mut world, |seat| seat == 1);
    world.node_mut(3).elector.wish(100);
    until_at(&mut world, |seat| seat == 3);
    world.node_mut(1).elector.wish(200);
    until_at(&mut world, |seat| seat == 1);
    // Its process dies, and comes again after another one has it.
    world.node_mut(1).preference = None;
    world.crash(1);
    until_at(&mut world, |seat| seat != 1);
    world.node_mut(1).preference = Some(1);
    world.stand(1);
    until_at(&mut world, |seat| seat == 1);
}
