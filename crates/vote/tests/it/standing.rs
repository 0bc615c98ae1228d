//! What a member says of how it stands.

use lace_vote::{Body, Elector, Message, Output, Seat, Terms, VoteSet};

/// Three members that hear one another at once, and a clock.
struct Three {
    members: Vec<Elector>,
    now: u64,
}

impl Three {
    fn new() -> Self {
        let member = |seat: Seat| {
            let mut elector =
                Elector::new(seat, 100 + u64::from(seat), Terms::USUAL, 0).with_nothing_before(0);
            elector.order(0, VoteSet::first([1, 2, 3]));
            elector
        };
        Self { members: [1, 2, 3].map(member).into(), now: 1 }
    }

    fn member(&mut self, seat: Seat) -> &mut Elector {
        &mut self.members[seat as usize - 1]
    }

    /// Carries out what was said; messages to `deaf` are lost.
    fn carry(&mut self, from: Seat, outputs: Vec<Output>, deaf: &[Seat]) {
        for output in outputs {
            let now = self.now;
            match output {
                Output::Send { to, message } if !deaf.contains(&to) => {
                    let answers = self.member(to).heard(now, message);
                    self.carry(to, answers, deaf);
                }
                Output::Holds => assert!(self.member(from).begin_use(now)),
                Output::Send { .. } | Output::Stop | Output::Yield => {}
            }
        }
    }

    fn pass(&mut self, ms: u64, deaf: &[Seat]) {
        let until = self.now + ms;
        while self.now < until {
            self.now += 50;
            for seat in [1, 2, 3] {
                let now = self.now;
                let outputs = self.member(seat).tick(now);
                self.carry(seat, outputs, deaf);
            }
        }
    }

    fn holder(&self) -> Option<Seat> {
        let holds = |elector: &&Elector| elector.standing(self.now).in_use;
        self.members.iter().find(holds).map(Elector::seat)
    }
}

#[test]
fn who_holds_at_once_says_of_nobody_that_it_is_silent() {
    let mut three = Three::new();
    let now = three.now;
    three.member(1).stand(now, 1);
    // A majority is there with the second one's answer; the third one is only slow.
    three.pass(100, &[3]);
    assert_eq!(three.holder(), Some(1));
    let standing = three.members[0].standing(three.now);
    assert!(standing.unheard.is_empty(), "{standing:?}");
    three.pass(Terms::USUAL.lease_ms, &[3]);
    assert_eq!(three.members[0].standing(three.now).unheard, [3]);
    three.pass(Terms::USUAL.ask_ms * 2, &[]);
    assert!(three.members[0].standing(three.now).unheard.is_empty());
}

#[test]
fn an_answer_of_another_life_counts_for_nothing() {
    let mut three = Three::new();
    let now = three.now;
    three.member(1).stand(now, 0);
    let body = Body::Answer { sent: now, to: 7, granted: true, generation: 1 };
    let outputs = three.member(1).heard(now, Message { from: 2, incarnation: 102, body });
    assert!(outputs.is_empty());
    assert_eq!(three.members[0].standing(now).holds_ms, 0);
}
