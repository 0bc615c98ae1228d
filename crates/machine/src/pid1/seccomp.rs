//! The system call filter of a workload.
//!
//! A closed list of refusals in the spirit of the default profile of the common container
//! engines; numbers that this build does not know are refused too, so that a newer kernel does
//! not open new doors. User namespace and cut capabilities are the first two fences, this is the
//! third.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use libc::{EPERM, c_long};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

use crate::sys::step::StepError;

/// Refused with EPERM, whatever the arguments.
const REFUSED: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_move_pages,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

#[cfg(target_arch = "x86_64")]
const REFUSED_HERE: &[c_long] = &[
    libc::SYS__sysctl,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_modify_ldt,
    libc::SYS_sysfs,
    libc::SYS_uselib,
    libc::SYS_ustat,
];
#[cfg(not(target_arch = "x86_64"))]
const REFUSED_HERE: &[c_long] = &[];

/// New namespaces, by clone or unshare.
const NAMESPACES: [i32; 8] = [
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWUTS,
    0x80, // CLONE_NEWTIME
];

/// The first number past those known when this list was written (kernel 6.18: file_setattr 469).
const FIRST_UNKNOWN: u32 = 470;

const TIOCLINUX: u64 = 0x541c;

/// Both filters, ready to be installed in this order.
#[derive(Clone)]
pub struct Filter(Vec<BpfProgram>);

impl Filter {
    /// The filter; compiled once in a process and those that are forked from it.
    pub fn new() -> Result<Self, StepError> {
        static COMPILED: OnceLock<Result<Filter, StepError>> = OnceLock::new();
        COMPILED.get_or_init(Self::compile).clone()
    }

    fn compile() -> Result<Self, StepError> {
        let wrong = |e: &dyn std::fmt::Display| StepError::plain(format!("seccomp filter: {e}"));
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| wrong(&e))?;
        let filter = SeccompFilter::new(
            rules().map_err(|e| wrong(&e))?,
            SeccompAction::Allow,
            SeccompAction::Errno(EPERM as u32),
            arch,
        )
        .map_err(|e| wrong(&e))?;
        let program: BpfProgram = filter.try_into().map_err(|e: seccompiler::BackendError| wrong(&e))?;
        Ok(Filter(vec![program, numbers()]))
    }

    /// Installs the filter on this thread. Needs no_new_privs or CAP_SYS_ADMIN.
    pub fn install(&self) -> Result<(), StepError> {
        for program in &self.0 {
            seccompiler::apply_filter(program)
                .map_err(|e| StepError::plain(format!("install seccomp filter: {e}")))?;
        }
        Ok(())
    }
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn rules() -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = REFUSED.iter().chain(REFUSED_HERE).map(|number| (*number, Vec::new())).collect();
    let bits = |flag: i32| mask(0, flag as u64);
    for call in [libc::SYS_clone, libc::SYS_unshare] {
        let namespaces = NAMESPACES.into_iter().map(bits).collect::<Result<_, _>>()?;
        rules.insert(call, namespaces);
    }
    // Sockets of the hypervisor and of the kernel's crypto reach past every namespace.
    let families = [libc::AF_VSOCK, libc::AF_ALG];
    let families = families.map(|family| equal(0, family as u64));
    rules.insert(libc::SYS_socket, families.into_iter().collect::<Result<_, _>>()?);
    // Typing into someone else's terminal.
    let ioctls = [libc::TIOCSTI, TIOCLINUX].map(|request| equal(1, request));
    rules.insert(libc::SYS_ioctl, ioctls.into_iter().collect::<Result<_, _>>()?);
    Ok(rules)
}

fn equal(argument: u8, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    condition(argument, SeccompCmpOp::Eq, value)
}

fn mask(argument: u8, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    condition(argument, SeccompCmpOp::MaskedEq(value), value)
}

fn condition(
    argument: u8,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
    SeccompRule::new(vec![condition])
}

/// clone3 hides its flags in memory, so libraries are sent back to clone with ENOSYS; so are all
/// numbers past the known ones (among them the x32 range).
fn numbers() -> BpfProgram {
    const LOAD_NUMBER: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS, offset 0 of seccomp_data
    const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const JUMP_GREATER_EQUAL: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    let line = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        line(LOAD_NUMBER, 0, 0, 0),
        line(JUMP_EQUAL, 2, 0, libc::SYS_clone3 as u32),
        line(JUMP_GREATER_EQUAL, 1, 0, FIRST_UNKNOWN),
        line(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
        line(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
    ]
}
