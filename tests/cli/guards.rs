//! Protected contexts, and questions where nobody is there to answer.

use crate::fake::{Fake, Line};
use crate::samples::{accepted, operation, uuid};
use lace_model::operation::OperationState;

/// A controller, known as the protected context production.
fn protected() -> Fake {
    let fake = Fake::start();
    let words = ["context", "add", "production", &fake.url, "--protected"];
    assert_eq!(Line::new(fake.dir()).input("t").run(&words).exit, 0);
    fake.on("POST /v1/verbs", accepted());
    fake.on(&format!("GET /v1/operations/{}", uuid(1)), operation(OperationState::Done, None, "done"));
    fake
}

const DESTRUCTIVE: [&str; 14] = [
    "delete shop/game",
    "stop shop/game",
    "rollback shop/game",
    "replace shop/game/2",
    "app delete shop",
    "host drain alpha",
    "host remove alpha",
    "provider remove my-ec2",
    "pool remove eu-small",
    "release delete game@1",
    "secret remove shop KEY",
    "token remove 019aa9d6-2d4e-8000-8000-000000000001",
    "job cancel 019aa9d6-2d4e-8000-8000-000000000001",
    "server adopted",
];

#[test]
fn without_a_terminal_nothing_is_destroyed() {
    let fake = protected();
    for line in DESTRUCTIVE {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ran = Line::new(fake.dir()).input("production\n").run(&words);
        assert_eq!(ran.exit, 2, "{line}: {ran:?}");
        assert!(ran.err.contains("add --yes"), "{line}: {ran:?}");
    }
    assert_eq!(fake.lines(), Vec::<String>::new(), "nothing was asked of the controller");
}

#[test]
fn the_name_has_to_be_typed() {
    let delete = ["delete", "shop/game"];
    for (typed, exit) in [("production\n", 0), ("shop\n", 2), ("y\n", 2), ("", 2)] {
        let fake = protected();
        let ran = Line::new(fake.dir()).terminal().input(typed).run(&delete);
        assert_eq!(ran.exit, exit, "{typed:?}: {ran:?}");
        assert_eq!(fake.lines().len(), if exit == 0 { 2 } else { 0 });
    }
}

#[test]
fn yes_is_enough() {
    let fake = protected();
    assert_eq!(Line::new(fake.dir()).run(&["delete", "shop/game", "--yes"]).exit, 0);
}

#[test]
fn what_is_not_protected_or_not_destructive_is_not_asked_for() {
    let fake = protected();
    assert_eq!(Line::new(fake.dir()).run(&["scale", "shop/game", "5"]).exit, 0);
    assert_eq!(fake.lace(&["delete", "shop/game"]).exit, 0);
}

#[test]
fn quiet_says_nothing_beside_the_answer() {
    let fake = protected();
    let ran = fake.lace(&["-q", "context", "use", "production"]);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("", ""));
}
