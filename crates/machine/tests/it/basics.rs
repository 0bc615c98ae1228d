//! Start, look, execute, stop, remove.

use lace_machine::{Error, Phase};

use crate::world::{run, says, shell, until, world};

#[test]
fn a_node_starts_executes_and_stops() {
    let Some(world) = world() else { return };
    let node = world.start(&world.spec(0, "echo hello; exec sleep 1000"));
    let status = node.status().unwrap();
    assert_eq!(status.phase, Phase::Running);
    assert_eq!(says(&node, "hostname"), "n0");
    assert_eq!(says(&node, "echo $((40 + 2))"), "42");
    assert_eq!(run(&node, "exit 7").0, 7);
    node.stop(None, None).unwrap();
    assert_eq!(node.status().unwrap().phase, Phase::Stopped);
    node.start(None).unwrap();
    assert_eq!(node.status().unwrap().phase, Phase::Running);
    node.start(Some(&shell("exec sleep 2000"))).unwrap();
    assert_eq!(
        says(&node, "cat /proc/$(cat /proc/1/task/1/children | cut -d' ' -f1)/cmdline | tr '\\0' ' '"),
        "sleep 2000"
    );
    node.shutdown(None).unwrap();
    until("the node is gone", || (!world.machine().list()[0].alive).then_some(()));
    world.machine().remove("node-0").unwrap();
    assert!(world.machine().list().is_empty());
}

#[test]
fn a_node_without_a_process_waits_for_one() {
    let Some(world) = world() else { return };
    let mut spec = world.spec(0, "");
    spec.process = None;
    let node = world.start(&spec);
    assert_eq!(node.status().unwrap().phase, Phase::Stopped);
    assert_eq!(says(&node, "hostname"), "n0");
    assert!(node.start(None).is_err());
    node.start(Some(&shell("exec sleep 1000"))).unwrap();
    assert_eq!(node.status().unwrap().phase, Phase::Running);
    let mut bad = world.spec(1, "true");
    bad.address = world.machine().gateway();
    assert!(matches!(world.machine().start(&bad), Err(Error::Invalid { field: "address", .. })));
    bad.address = spec.address;
    let error = world.machine().start(&bad).unwrap_err().to_string();
    assert!(error.contains("is its address in use?): EEXIST"), "{error}");
    assert_eq!(says(&node, "hostname"), "n0");
    bad.id = "../up".into();
    assert!(matches!(world.machine().start(&bad), Err(Error::Invalid { field: "id", .. })));
}

#[test]
fn a_failing_exec_is_a_clear_error_and_leaves_nothing() {
    let Some(world) = world() else { return };
    let mut spec = world.spec(0, "");
    spec.process.as_mut().unwrap().argv = vec!["no-such-program".into()];
    let error = world.machine().start(&spec).unwrap_err();
    assert_eq!(error.to_string(), "starting node node-0 failed at: exec no-such-program: ENOENT");
    assert!(world.machine().list().is_empty());
    spec.layers = vec!["/no/such/layer".into()];
    let error = world.machine().start(&spec).unwrap_err();
    assert_eq!(error.to_string(), "starting node node-0 failed at: layer /no/such/layer: ENOENT");
    assert!(world.machine().list().is_empty());
    assert!(matches!(world.machine().connect("node-0"), Err(Error::Unknown(_))));
}
