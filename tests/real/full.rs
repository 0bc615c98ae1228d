//! The end of the disk.

use crate::daily::project;
use crate::lace::{Lace, eventually, may_run};
use std::path::PathBuf;
use std::process::Command;

/// An installation whose state is on a file system of a few megabytes, which is unmounted when it has ended.
struct OnSmall {
    lace: Lace,
    small: Small,
}

impl OnSmall {
    fn up(net: u8, quarter: u8) -> Self {
        let lace = Lace::new(net, quarter, env!("CARGO_BIN_EXE_lace").as_ref());
        let small = Small::at(lace.state());
        lace.start();
        Self { lace, small }
    }
}

/// Unmounted at the end.
struct Small(PathBuf);

impl Small {
    fn at(dir: PathBuf) -> Self {
        std::fs::create_dir_all(&dir).expect("a directory");
        let words = ["-t", "tmpfs", "-o", "size=120m", "lace-test"];
        assert!(Command::new("mount").args(words).arg(&dir).status().expect("mount runs").success());
        Self(dir)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn at_the_end_of_the_disk_things_can_still_be_deleted() {
    if !may_run() {
        return;
    }
    let OnSmall { lace, small } = &OnSmall::up(247, 0);
    let dir = project(lace, "shop", "echo up", "env = {}");
    // What a node writes to a file system in memory counts as its memory.
    let manifest = dir.join("lace.toml");
    let text = std::fs::read_to_string(&manifest).expect("read").replace("32MiB", "400MiB");
    std::fs::write(&manifest, text).expect("written");
    let dir = dir.to_str().expect("text");
    lace.run(&["deploy", "shop", dir]).ok();
    let fill = "dd if=/dev/zero of=/srv/fill bs=64k 2>/dev/null; while echo x >> /srv/rest; do :; done 2>/dev/null; true";
    lace.run(&["exec", "shop/web/1", "--", "sh", "-c", fill]).ok();
    let free = rustix::fs::statvfs(&small.0).expect("measured").f_bavail;
    assert!(free < 16, "{free} blocks are left");
    let text =
        std::fs::read_to_string(&manifest).expect("read").replace("env = {}", "env = { NEW = \"yes\" }");
    std::fs::write(&manifest, text).expect("written");
    let refused = lace.run(&["deploy", "shop", dir]).ends(1);
    assert!(refused.err.contains("disk"), "new work is refused with the reason: {}", refused.err);
    lace.run(&["delete", "shop", "--yes", "--force"]).ok();
    eventually("it is gone", || lace.run(&["status", "shop"]).status == 7);
    eventually("there is room again", || lace.run(&["deploy", "shop", dir]).status == 0);
    assert!(small.0.join("server/lace.reserve").exists(), "the reserve is made again");
    lace.down_and_nothing_left();
}

#[test]
fn new_work_is_refused_at_nine_tenths_of_the_disk_and_deleting_goes_on() {
    if !may_run() {
        return;
    }
    let OnSmall { lace, small } = &OnSmall::up(213, 2);
    let dir = project(lace, "shop", "echo up", "env = {}");
    let manifest = dir.join("lace.toml");
    let dir = dir.to_str().expect("text");
    lace.run(&["deploy", "shop", dir]).ok();
    // Something else of the machine takes the room, up to 93 %.
    let stat = rustix::fs::statvfs(&small.0).expect("measured");
    let (used, all) = ((stat.f_blocks - stat.f_bfree) * stat.f_frsize, stat.f_blocks * stat.f_frsize);
    let filler = small.0.join("filler");
    std::fs::write(&filler, vec![1; (all * 93 / 100 - used) as usize]).expect("written");
    eventually("new work is refused with the reason", || {
        let refused = lace.run(&["scale", "shop/web", "3"]);
        refused.status == 1 && refused.err.contains("disk")
    });
    let text = std::fs::read_to_string(&manifest).expect("read");
    std::fs::write(&manifest, text.replace("env = {}", "env = { NEW = \"yes\" }")).expect("written");
    let deploy = lace.run(&["deploy", "shop", dir]).ends(1);
    assert!(deploy.err.contains("93 % full") && deploy.err.contains("hint"), "{}", deploy.err);
    assert_eq!(lace.ready("shop"), 1, "what runs goes on");
    lace.run(&["exec", "shop/web/1", "--", "true"]).ok();
    lace.run(&["delete", "shop", "--yes"]).ok();
    eventually("it is gone", || lace.run(&["status", "shop"]).status == 7);
    std::fs::remove_file(&filler).expect("removed");
    eventually("there is room again", || lace.run(&["deploy", "shop", dir]).status == 0);
    lace.down_and_nothing_left();
}
