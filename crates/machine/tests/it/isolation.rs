//! What a node sees of itself and of the host.

use lace_machine::{FileSpec, Isolation};

use crate::world::{run, says, world};

#[test]
fn a_node_sees_only_itself() {
    let Some(world) = world() else { return };
    let mut spec = world.spec(0, "exec sleep 1000");
    spec.hosts.push("10.1.2.3 friend.lace.internal".into());
    spec.search = Some("shop.lace.internal".into());
    let node = world.start(&spec);
    let uid_base = world.machine().list()[0].uid_base.unwrap();
    let facts = [
        ("hostname", "n0".to_owned()),
        ("id -u", "0".to_owned()),
        ("tr -s ' ' < /proc/self/uid_map", format!(" 0 {uid_base} 65536")),
        ("ls -A /root /home", "/home:\n\n/root:".to_owned()),
        ("stat -c %a /tmp", "1777".to_owned()),
        ("stat -c %U /usr/bin/env", "root".to_owned()),
        ("cat /etc/hostname", "n0".to_owned()),
        ("getent hosts friend.lace.internal | tr -s ' '", "10.1.2.3 friend.lace.internal".to_owned()),
        ("grep -c . /proc/net/dev", "4".to_owned()),
        ("cat /proc/self/cgroup | grep -vc ':/$' ; true", "0".to_owned()),
        ("cd /proc; ls -d [0-9]* | wc -l | xargs test 8 -gt && echo few", "few".to_owned()),
        ("grep NoNewPrivs /proc/self/status | tr -d '\\t'", "NoNewPrivs:1".to_owned()),
        ("grep Seccomp: /proc/self/status | tr -d '\\t'", "Seccomp:2".to_owned()),
        ("grep CapEff /proc/self/status | cut -f2", "00000000a00425fb".to_owned()),
        ("echo x > /etc/mine && cat /etc/mine", "x".to_owned()),
        ("test ! -s /proc/kcore && echo hidden", "hidden".to_owned()),
    ];
    for (script, expected) in facts {
        let (code, text) = run(&node, script);
        assert_eq!((text.trim(), code), (expected.trim(), 0), "{script}");
    }
    assert!(says(&node, "cat /etc/resolv.conf").contains("search shop.lace.internal"));
    for secret in [
        "/etc/apt",
        "/etc/default",
        "/etc/docker",
        "/etc/environment",
        "/etc/gshadow",
        "/etc/maven/settings.xml",
        "/etc/npmrc",
        "/etc/pip.conf",
        "/etc/profile.d",
        "/etc/shadow",
        "/etc/ssh",
        "/etc/ssl/private",
        "/etc/sudoers",
        "/usr/local/etc/*",
        "/root/.ssh",
        "/work",
        "/boot",
    ] {
        assert_ne!(run(&node, &format!("test -e {secret}")).0, 0, "{secret} is visible");
    }
    assert_eq!(std::fs::metadata("/etc/mine").ok().map(|m| m.len()), None);
}

#[test]
fn secrets_stay_in_memory_and_belong_to_their_owner() {
    let Some(world) = world() else { return };
    let mut spec = world.spec(0, "exec sleep 1000");
    let file = |path: &str, tmpfs, owner: Option<&str>| FileSpec {
        path: path.into(),
        mode: 0o400,
        owner: owner.map(Into::into),
        content: b"pa55word".to_vec(),
        tmpfs,
    };
    spec.files.push(file("/run/secrets/db", true, Some("app")));
    spec.files.push(file("/srv/config", false, None));
    let node = world.start(&spec);
    assert_eq!(says(&node, "cat /run/secrets/db; stat -c ' %U %a' /run/secrets/db"), "pa55word app 400");
    assert_eq!(says(&node, "stat -f -c %T /run/secrets"), "tmpfs");
    assert_eq!(says(&node, "cat /srv/config"), "pa55word");
    // Nothing of the secret on the host's disk.
    let upper = world.config.state_dir.join("nodes/node-0/own/upper");
    assert!(upper.join("srv/config").exists());
    assert!(!upper.join("run/secrets").exists());
    let record = std::fs::read_to_string(world.config.state_dir.join("nodes/node-0/node.json")).unwrap();
    assert!(!record.contains("pa55word"));
}

#[test]
fn a_plain_node_has_no_user_namespace_and_keeps_the_filter() {
    let Some(world) = world() else { return };
    let mut spec = world.spec(0, "exec sleep 1000");
    spec.isolation = Isolation::Plain;
    let node = world.start(&spec);
    assert_eq!(says(&node, "tr -s ' ' < /proc/self/uid_map"), "0 0 4294967295");
    assert_eq!(says(&node, "hostname"), "n0");
    assert_ne!(run(&node, "mount -t tmpfs none /mnt").0, 0);
    assert_ne!(run(&node, "mknod /tmp/disk b 254 0 && head -c1 /tmp/disk").0, 0);
    assert_ne!(run(&node, "head -c1 /dev/vda").0, 0);
    assert_ne!(run(&node, "test -e /etc/shadow").0, 0);
    let trusted = "touch /srv/f; python3 -c \"import os; os.setxattr('/srv/f', 'trusted.a', b'1')\"";
    says(&node, trusted);
}
