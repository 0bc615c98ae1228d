//! Layers, volumes, copies.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;

use lace_machine::VolumeSpec;

use crate::world::{run, says, world};

#[test]
fn a_file_is_replaced_while_the_node_runs() {
    let Some(world) = world() else { return };
    let node = world.start(&world.spec(0, "exec sleep 1000"));
    let big = "line\n".repeat(100_000);
    let path = std::path::Path::new("/run/note.json");
    node.put(path, 0o600, b"first").unwrap();
    says(&node, "exec 3< /run/note.json; ln -s /etc/hosts /run/link");
    node.put(path, 0o640, big.as_bytes()).unwrap();
    assert_eq!(says(&node, "stat -c '%a %U %s' /run/note.json"), "640 root 500000");
    node.put(std::path::Path::new("/run/link"), 0o600, b"no link").unwrap();
    assert_eq!(says(&node, "cat /run/link; grep -c localhost /etc/hosts"), "no link1");
    assert_eq!(says(&node, "ls -A /run | grep -c new || true"), "0");
    let refused = node.put(std::path::Path::new("/no/such/dir/file"), 0o600, b"x").unwrap_err().to_string();
    assert!(refused.contains("/no/such/dir/file"), "{refused}");
}

#[test]
fn a_volume_of_a_size_is_full_when_it_is_full_and_leaves_no_mount() {
    let Some(world) = world() else { return };
    let place = world.config.state_dir.join("volumes/2");
    fs::create_dir_all(&place).unwrap();
    let with = |n: u32, mebibytes: u64| {
        let mut spec = world.spec(n, "exec sleep 1000");
        let (source, target) = (place.clone(), "/data".into());
        let size_bytes = Some(mebibytes << 20);
        spec.volumes = vec![VolumeSpec { source, target, read_only: false, size_bytes }];
        spec
    };
    let mounts = || {
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        table.lines().filter(|line| line.contains(place.to_str().unwrap())).count()
    };
    let node = world.start(&with(0, 16));
    assert_eq!((mounts(), node.status().unwrap().notes), (0, vec![]));
    assert_eq!(says(&node, "ls -A /data; stat -c '%a %U' /data; echo kept > /data/kept"), "755 root");
    let (code, said) = run(&node, "dd if=/dev/zero of=/data/big bs=1M count=64 2>&1");
    assert!(code != 0 && said.contains("No space left"), "{code} {said}");
    assert!(lace_machine::volume::disk_bytes(&place) < 17 << 20);
    says(&node, "rm /data/big");
    // At once to another node: its file system may not be gone yet. It grows on the way.
    world.machine().remove("node-0").unwrap();
    let node = world.start(&with(1, 48));
    assert_eq!(
        says(
            &node,
            "cat /data/kept; dd if=/dev/zero of=/data/big bs=1M count=32 2>&1 | tail -n 1 | cut -c 1-8"
        ),
        "kept\n33554432"
    );
    world.machine().remove("node-1").unwrap();
    // What was made without a bound stays so, and says it.
    let old = place.with_file_name("3");
    fs::create_dir_all(&old).unwrap();
    fs::write(old.join("file"), "x").unwrap();
    let mut spec = with(2, 16);
    spec.volumes[0].source = old.clone();
    let node = world.start(&spec);
    assert_eq!(says(&node, "cat /data/file"), "x");
    let notes = node.status().unwrap().notes;
    assert!(
        notes.iter().any(|note| note.contains("/data is not enforced: it was made without")),
        "{notes:?}"
    );
    world.machine().remove("node-2").unwrap();
    for place in [&place, &old] {
        lace_machine::volume::remove(place).unwrap();
    }
    assert_eq!(fs::read_dir(place.parent().unwrap()).unwrap().count(), 0);
}

#[test]
fn volumes_outlive_nodes_and_their_id_ranges() {
    let Some(world) = world() else { return };
    let data = world.config.state_dir.join("data");
    fs::create_dir(&data).unwrap();
    let mut spec = world.spec(0, "exec sleep 1000");
    let volume = |target: &str, read_only| VolumeSpec {
        source: data.clone(),
        target: target.into(),
        read_only,
        size_bytes: None,
    };
    spec.volumes = vec![volume("/var/lib/data", false), volume("/srv/view", true)];
    let node = world.start(&spec);
    says(&node, "echo kept > /var/lib/data/f; install -o app -g app -m 600 /dev/null /var/lib/data/mine");
    assert_ne!(run(&node, "echo x > /srv/view/f").0, 0);
    says(&node, "echo lost > /srv/local");
    world.machine().remove("node-0").unwrap();
    // Seen from the host: the node's own ids, not those of its range.
    assert_eq!(fs::metadata(data.join("f")).unwrap().uid(), 0);
    assert_eq!(fs::metadata(data.join("mine")).unwrap().uid(), 1000);
    // Another node, with another range.
    world.start(&world.spec(1, "exec sleep 1000"));
    let mut second = world.spec(2, "exec sleep 1000");
    second.volumes = spec.volumes.clone();
    let node = world.start(&second);
    assert_eq!(
        says(&node, "cat /var/lib/data/f; stat -c %U /var/lib/data/f /var/lib/data/mine"),
        "kept\nroot\napp"
    );
    assert_ne!(run(&node, "cat /srv/local").0, 0);
}

#[test]
fn layers_are_shared_and_copied_on_write() {
    let Some(world) = world() else { return };
    let layer = world.config.state_dir.join("layer");
    fs::create_dir_all(layer.join("app")).unwrap();
    fs::write(layer.join("app/version"), "1\n").unwrap();
    let top = world.config.state_dir.join("top");
    fs::create_dir_all(top.join("app")).unwrap();
    fs::write(top.join("app/extra"), "top\n").unwrap();
    let mut spec = world.spec(0, "exec sleep 1000");
    spec.layers = vec![top, layer.clone()];
    let first = world.start(&spec);
    let mut other = world.spec(1, "exec sleep 1000");
    other.layers = vec![layer.clone()];
    let second = world.start(&other);
    assert_eq!(says(&first, "cat /app/extra; stat -c %U /app/version"), "top\nroot");
    says(&first, "echo 2 > /app/version; rm /app/extra");
    assert_eq!(says(&first, "cat /app/version; ls /app"), "2\nversion");
    assert_eq!(says(&second, "cat /app/version; ls /app"), "1\nversion");
    assert_eq!(fs::read_to_string(layer.join("app/version")).unwrap(), "1\n");
    // The files of a dead node are there again when it is started again.
    first.shutdown(None).unwrap();
    crate::world::until("it is dead", || world.machine().start(&spec).ok());
    let first = world.machine().connect("node-0").unwrap();
    assert_eq!(says(&first, "cat /app/version"), "2");
}

#[test]
fn layers_lie_over_the_hosts_usr_and_nobody_writes_there() {
    let Some(world) = world() else { return };
    let layer = world.config.state_dir.join("layer");
    for dir in ["usr/bin", "usr/share/own", "etc/own"] {
        fs::create_dir_all(layer.join(dir)).unwrap();
    }
    let program = layer.join("usr/bin/only-in-the-layer");
    fs::write(&program, "#!/bin/sh\necho it runs\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    fs::write(layer.join("etc/own/conf"), "said\n").unwrap();
    let mut spec = world.spec(0, "exec sleep 1000");
    spec.layers = vec![layer.clone()];
    let node = world.start(&spec);
    assert_eq!(
        says(&node, "only-in-the-layer; cat /etc/own/conf; stat -c %U /usr/bin/only-in-the-layer"),
        "it runs\nsaid\nroot"
    );
    assert_eq!(says(&node, "ls -d /usr/share/own /usr/bin/env"), "/usr/bin/env\n/usr/share/own");
    assert_ne!(run(&node, "touch /usr/bin/x || touch /usr/share/own/x").0, 0);
    assert_eq!(says(&node, "grep -c ' /usr .*nosuid' /proc/mounts"), "1");
    let other = world.start(&world.spec(1, "exec sleep 1000"));
    assert_ne!(run(&other, "only-in-the-layer").0, 0);
}

#[test]
fn trees_are_copied_in_and_out() {
    let Some(world) = world() else { return };
    let node = world.start(&world.spec(0, "exec sleep 1000"));
    says(&node, "mkdir -p /srv/tree/sub; echo one > /srv/tree/a; ln -s /etc/passwd /srv/tree/sub/link");
    let archive = world.config.state_dir.join("tree.tar");
    let file = File::create(&archive).unwrap();
    node.read_tree("/srv/tree", file.as_fd()).unwrap();
    let file = File::open(&archive).unwrap();
    node.write_tree("/opt/copy", file.as_fd(), true).unwrap();
    assert_eq!(says(&node, "cat /opt/copy/tree/a; readlink /opt/copy/tree/sub/link"), "one\n/etc/passwd");
    // A link to the host's root leads to the node's own.
    says(&node, "ln -s / /srv/rootlink");
    assert_ne!(run(&node, "ls /srv/rootlink/work").0, 0);
    let file = File::create(&archive).unwrap();
    let error = node.read_tree("/no/such", file.as_fd()).unwrap_err().to_string();
    assert!(error.contains("copying failed"), "{error}");
}
