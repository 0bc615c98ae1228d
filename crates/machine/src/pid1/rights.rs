//! What a workload may do: its capabilities and resource limits.
//!
//! The set is the usual container default (OCI runtimes: chown, dac_override, fowner, fsetid,
//! kill, setgid, setuid, setpcap, net_bind_service, net_raw, sys_chroot, audit_write, setfcap)
//! without mknod.

use std::io;

use crate::spec::Isolation;
use crate::sys::check;

const CHOWN: u32 = 0;
const DAC_OVERRIDE: u32 = 1;
const FOWNER: u32 = 3;
const FSETID: u32 = 4;
const KILL: u32 = 5;
const SETGID: u32 = 6;
const SETUID: u32 = 7;
const SETPCAP: u32 = 8;
const NET_BIND_SERVICE: u32 = 10;
const NET_RAW: u32 = 13;
const SYS_CHROOT: u32 = 18;
const SYS_ADMIN: u32 = 21;
const AUDIT_WRITE: u32 = 29;
const SETFCAP: u32 = 31;
const LAST: u32 = 63;

const DEFAULT: [u32; 13] = [
    CHOWN,
    DAC_OVERRIDE,
    FOWNER,
    FSETID,
    KILL,
    SETGID,
    SETUID,
    SETPCAP,
    NET_BIND_SERVICE,
    NET_RAW,
    SYS_CHROOT,
    AUDIT_WRITE,
    SETFCAP,
];

/// The capabilities of a workload as a bit set.
pub fn capabilities(isolation: Isolation) -> u64 {
    let base = DEFAULT.iter().fold(0, |set, cap| set | 1u64 << cap);
    match isolation {
        // Root of a host node has no more than root of any other: whoever runs there needs none for most things.
        Isolation::Border | Isolation::Host => base,
        // For `trusted.*` attributes; the filter still refuses mount and its kin.
        Isolation::Plain => base | 1 << SYS_ADMIN,
    }
}

/// Takes everything outside `keep` out of the bounding set.
pub fn bound(keep: u64) -> io::Result<()> {
    for cap in 0..=LAST {
        if keep & (1 << cap) != 0 {
            continue;
        }
        // SAFETY: plain numbers.
        match check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, cap, 0, 0, 0) }.into()) {
            Ok(_) => {}
            // The kernel knows fewer capabilities than 64.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Cuts the current sets of this process down to `keep`: capset(2), version 3.
pub fn cut(keep: u64) -> io::Result<()> {
    let header = CapHeader { version: 0x2008_0522, pid: 0 };
    let half = |bits: u32| CapData { effective: bits, permitted: bits, inheritable: 0 };
    let data = [half(keep as u32), half((keep >> 32) as u32)];
    // SAFETY: both structs outlive the call.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) }).map(drop)
}
