//! Nodes of packages that go for good: what would be lost with them is brought to safety first.

use crate::lace::{Lace, may_run};
use crate::packages::apply;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// `drain` writes what it finds to the node's volume, or never ends.
fn keeper(dir: &Path) {
    fs::create_dir_all(dir.join("scripts")).expect("made");
    let text = "[package]\nname = \"keeper\"\nversion = \"1\"\nstate = \"replaceable\"\n[role.node]\nmax = 9\n\
                [volume.data]\nsize = \"8MiB\"\nat = \"/data\"\n\
                [script]\nstart = \"scripts/start.sh\"\ndrain = { file = \"scripts/drain.sh\", timeout = \"3s\" }\n";
    let start = "#!/bin/sh\necho $$ > /tmp/pid\nexec sleep 100000\n";
    let drain = "#!/bin/sh\nset -eu\n[ ! -e /tmp/deaf ] || exec sleep 1000\nkill -0 \"$(cat /tmp/pid)\"\n\
                 work=$(cat /tmp/work)\necho \"$LACE_VERB of $work\" >> /data/saved\n";
    fs::write(dir.join("package.toml"), text).expect("written");
    for (name, text) in [("start", start), ("drain", drain)] {
        let path = dir.join(format!("scripts/{name}.sh"));
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    }
}

#[test]
fn what_a_node_has_is_saved_before_it_goes_and_no_script_holds_it_for_ever() {
    if !may_run() {
        return;
    }
    let lace = Lace::within("10.158.9.0/24", Path::new(env!("CARGO_BIN_EXE_lace")));
    lace.start();
    let dir = lace.files().join("keeper");
    keeper(&dir);
    lace.run(&["package", "upload", dir.to_str().expect("text")]).ok();
    apply(&lace, "[service.x]\npackage = \"keeper\"\n[service.x.family.node]\ncount = 2\n").ok();
    let second = |words: &str| lace.run(&["exec", "shop/x/node/2", "--", "sh", "-c", words]);
    let scale = |count: &str| lace.run(&["scale", "shop/x/node", count]).ok();
    second("echo one > /tmp/work").ok();
    scale("1");
    scale("2");
    assert_eq!(second("cat /data/saved").ok().out, "drain of one\n", "while its process ran");

    // A replaced node goes, too; one whose process is only started anew does not.
    second("echo two > /tmp/work").ok();
    lace.run(&["restart", "shop/x/node"]).ok();
    lace.run(&["replace", "shop/x/node/2", "--yes"]).ok();
    assert_eq!(second("cat /data/saved").ok().out, "drain of one\ndrain of two\n");

    // What fails or never ends is no reason to stay.
    scale("1");
    scale("2");
    assert_eq!(second("cat /data/saved").ok().out.lines().count(), 2, "there was nothing to save: it failed");
    second("touch /tmp/deaf").ok();
    let began = Instant::now();
    scale("1");
    let took = began.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(30)).contains(&took), "{took:?}");
}
