//! Ways out of a node that must be closed. Each runs as the node's root.

use crate::world::{run, says, world};

/// Calls the kernel directly and prints the name of the errno, `OK` when it worked.
const PRELUDE: &str = r#"
import ctypes, errno, os, sys, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    r = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    print('OK' if r >= 0 else errno.errorcode[ctypes.get_errno()])
def attempt(f):
    try: f(); print('OK')
    except OSError as e: print(errno.errorcode[e.errno])
"#;

/// (what, python, accepted refusals)
const ATTEMPTS: &[(&str, &str, &str)] = &[
    ("mount tmpfs", "call(165, b'none', b'/mnt', b'tmpfs', 0, 0)", "EPERM"),
    ("umount a mask", "call(166, b'/proc/kcore', 2)", "EPERM"),
    ("fsopen", "call(430, b'tmpfs', 0)", "EPERM"),
    ("open_tree", "call(428, -100, b'/usr', 1)", "EPERM"),
    ("move_mount", "call(429, -100, b'/usr', -100, b'/mnt', 0)", "EPERM"),
    ("mount_setattr", "call(442, -100, b'/usr', 0, 0, 0)", "EPERM"),
    ("pivot_root", "call(155, b'/', b'/mnt')", "EPERM"),
    ("setns to pid 1", "call(308, os.open('/proc/self/ns/net', 0), 0)", "EPERM"),
    ("unshare user", "call(272, 0x10000000)", "EPERM"),
    ("unshare mount", "call(272, 0x20000)", "EPERM"),
    ("unshare net", "call(272, 0x40000000)", "EPERM"),
    ("clone with new user", "call(56, 0x10000011, 0, 0, 0, 0)", "EPERM"),
    ("clone3", "call(435, 0, 0)", "ENOSYS"),
    ("open_by_handle_at", "call(304, 3, b'x' * 64, 0)", "EPERM"),
    ("bpf", "call(321, 0, 0, 0)", "EPERM"),
    ("keyctl", "call(250, 0, -3, 0)", "EPERM"),
    ("add_key", "call(248, b'user', b'x', b'y', 1, -3)", "EPERM"),
    ("perf_event_open", "call(298, 0, 0, -1, -1, 0)", "EPERM"),
    ("userfaultfd", "call(323, 0)", "EPERM"),
    ("io_uring_setup", "call(425, 8, b'x' * 256)", "EPERM"),
    ("reboot", "call(169, 0xfee1dead, 672274793, 0x1234567, 0)", "EPERM"),
    ("kexec_load", "call(246, 0, 0, 0, 0)", "EPERM"),
    ("init_module", "call(175, b'x', 1, b'')", "EPERM"),
    ("finit_module", "call(313, 0, b'', 0)", "EPERM"),
    ("delete_module", "call(176, b'loop', 0)", "EPERM"),
    ("swapon", "call(167, b'/dev/zram0', 0)", "EPERM"),
    ("sethostname", "call(170, b'evil', 4)", "EPERM"),
    ("settimeofday", "call(164, b'x' * 16, 0)", "EPERM"),
    ("syslog", "call(103, 3, b'x' * 64, 64)", "EPERM"),
    ("acct", "call(163, b'/tmp/acct')", "EPERM"),
    ("iopl", "call(172, 3)", "EPERM"),
    ("fanotify", "call(300, 0, 0)", "EPERM"),
    ("a syscall of the future", "call(700)", "ENOSYS"),
    ("x32 getpid", "call(0x40000000 + 39)", "ENOSYS"),
    ("vsock", "attempt(lambda: socket.socket(40, 1))", "EPERM"),
    ("kernel crypto socket", "attempt(lambda: socket.socket(38, 5))", "EPERM"),
    ("type into a terminal", "import fcntl; attempt(lambda: fcntl.ioctl(0, 0x5412, b'x'))", "EPERM"),
    ("mknod block device", "attempt(lambda: os.mknod('/tmp/disk', 0o60600, os.makedev(254, 0)))", "EPERM"),
    ("mknod mem", "attempt(lambda: os.mknod('/tmp/mem', 0o20600, os.makedev(1, 1)))", "EPERM"),
    ("open /dev/vda", "attempt(lambda: os.open('/dev/vda', 0))", "ENOENT"),
    ("open /dev/mem", "attempt(lambda: os.open('/dev/mem', 0))", "ENOENT"),
    ("open /dev/kvm", "attempt(lambda: os.open('/dev/kvm', 2))", "ENOENT"),
    ("write /proc/sys", "attempt(lambda: open('/proc/sys/kernel/core_pattern', 'w'))", "EROFS"),
    ("write net sysctl", "attempt(lambda: open('/proc/sys/net/ipv4/ip_forward', 'w'))", "EROFS"),
    (
        "write /sys",
        "attempt(lambda: open('/sys/kernel/mm/transparent_hugepage/enabled', 'w'))",
        "EROFS EACCES",
    ),
    ("write /usr", "attempt(lambda: open('/usr/bin/evil', 'w'))", "EROFS"),
    ("chmod /usr", "attempt(lambda: os.chmod('/usr/bin/env', 0o4755))", "EROFS"),
    ("write /etc/ssl/certs", "attempt(lambda: open('/etc/ssl/certs/evil', 'w'))", "EROFS"),
    (
        "write own cgroup limit",
        "import glob; attempt(lambda: open((glob.glob('/sys/fs/cgroup/memory/memory.limit_in_bytes') + ['/sys/fs/cgroup/memory.max'])[0], 'w'))",
        "EROFS",
    ),
    (
        "make a cgroup",
        "import glob; attempt(lambda: os.mkdir((glob.glob('/sys/fs/cgroup/memory') + ['/sys/fs/cgroup'])[0] + '/x'))",
        "EROFS",
    ),
    (
        "leave the cgroup",
        "import glob; attempt(lambda: open((glob.glob('/sys/fs/cgroup/memory/cgroup.procs') + ['/sys/fs/cgroup/cgroup.procs'])[0], 'w'))",
        "EROFS",
    ),
    ("root of pid 1", "attempt(lambda: os.listdir('/proc/1/root/'))", "EACCES"),
    ("descriptors of pid 1", "attempt(lambda: os.listdir('/proc/1/fd'))", "EACCES"),
    ("memory of pid 1", "attempt(lambda: os.open('/proc/1/mem', 0))", "EACCES"),
    ("executable of pid 1", "attempt(lambda: os.open('/proc/1/exe', 1))", "EACCES"),
    ("ptrace pid 1", "call(101, 16, 1, 0, 0)", "EPERM"),
    (
        "read pid 1 by process_vm_readv",
        "b = ctypes.create_string_buffer(16); v = struct.pack('QQ', ctypes.addressof(b), 16); call(310, 1, v, 1, v, 1, 0)",
        "EPERM",
    ),
    (
        "raise oom priority",
        "attempt(lambda: os.write(os.open('/proc/self/oom_score_adj', 1), b'-1000'))",
        "EACCES",
    ),
    (
        "set a network address",
        "s = socket.socket(); import fcntl; attempt(lambda: fcntl.ioctl(s, 0x8914, struct.pack('16sH14s', b'eth0', 0, b'')))",
        "EPERM",
    ),
    ("set a clock", "call(227, 0, b'\\0' * 16)", "EPERM"),
    ("become a host user", "attempt(lambda: os.setuid(70000))", "EINVAL"),
];

#[test]
fn every_way_out_is_closed() {
    let Some(world) = world() else { return };
    let node = world.start(&world.spec(0, "exec sleep 1000"));
    let mut open = Vec::new();
    for (what, python, refusals) in ATTEMPTS {
        let script = format!("python3 - <<'END' 2>&1\n{PRELUDE}\n{python}\nEND");
        let (code, text) = run(&node, &script);
        let refused = refusals.split(' ').any(|r| text == r);
        // A script that cannot even be tried on this host (no file) says ENOENT.
        if code != 0 || !refused {
            open.push(format!("{what}: expected {refusals}, got {text} ({code})"));
        }
    }
    assert!(open.is_empty(), "{}", open.join("\n"));
    // After all that it still works, and the host is as it was.
    assert_eq!(says(&node, "hostname"), "n0");
}

#[test]
fn processes_of_the_host_cannot_be_seen_or_killed() {
    let Some(world) = world() else { return };
    let mut victim = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let node = world.start(&world.spec(0, "exec sleep 1000"));
    let pid = victim.id();
    assert_ne!(run(&node, &format!("kill -9 {pid}")).0, 0);
    assert_ne!(run(&node, &format!("test -d /proc/{pid}/root")).0, 0);
    let _ = run(&node, "kill -9 1; kill -TERM 1; kill -INT 1");
    let (code, _) = run(&node, "kill -9 -1; true");
    assert!(code == -9 || code == 0, "{code}");
    assert!(victim.try_wait().unwrap().is_none(), "the host's process died");
    assert_eq!(says(&node, "hostname"), "n0");
    victim.kill().unwrap();
    victim.wait().unwrap();
}
