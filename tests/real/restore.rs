//! The controller's state from a backup: a new epoch in adopt mode, and nothing that runs is harmed.

use crate::daily::project;
use crate::lace::{Lace, eventually, may_run};

#[test]
fn a_restore_harms_nothing_that_runs() {
    if !may_run() {
        return;
    }
    let lace = Lace::up(219);
    let dir = project(&lace, "shop", "echo up", "count = 2");
    lace.run(&["deploy", "shop", dir.to_str().expect("text")]).ok();
    let backup = lace.files().join("monday.lace");
    let backup = backup.to_str().expect("text");
    lace.run(&["server", "backup", backup]).ok();
    lace.run(&["scale", "shop/web", "4"]).ok();
    let pids = |lace: &Lace| lace.cgroups().iter().map(|c| count(c)).max().unwrap_or_default();
    assert_eq!(pids(&lace), 4);
    let state = lace.state().display().to_string();
    lace.run(&["down", "--keep-nodes", "--state", &state]).ok();
    std::fs::remove_dir_all(lace.state().join("server")).expect("lost");
    lace.run(&["server", "restore", backup, "--state", &state]).ok();
    lace.start();
    eventually("what the backup knows is healthy", || lace.ready("shop") == 2);
    assert_eq!(pids(&lace), 4, "what the backup does not know goes on");
    let status = lace.status("shop");
    assert_eq!(status["adopt"], true);
    lace.run(&["server", "adopted", "--yes"]).ok();
    eventually("what nobody adopted is removed", || pids(&lace) == 2);
    assert_eq!(lace.ready("shop"), 2);
    lace.down_and_nothing_left();
}

fn count(root: &std::path::Path) -> usize {
    let nodes = std::fs::read_dir(root).into_iter().flatten().flatten();
    nodes.filter(|entry| entry.path().is_dir()).count()
}
