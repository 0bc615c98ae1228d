//! Just enough rtnetlink(7) to wire nodes: links, addresses, routes, neighbours.
//!
//! Several requests travel in one write; the kernel answers each. Formats: linux/rtnetlink.h,
//! linux/if_link.h, linux/neighbour.h.

mod request;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

pub use request::{Batch, Mac, Peer, Route, RouteKind};

use crate::sys::{check, own};

/// A NETLINK_ROUTE socket of the network namespace that it was opened in.
pub struct Socket(OwnedFd);

/// Answers are short: an errno and our own header.
const ANSWER_BYTES: usize = 16 << 10;

impl Socket {
    /// Opens a socket in the current network namespace.
    pub fn open() -> io::Result<Socket> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        // SAFETY: plain numbers.
        let fd = check(unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) }.into())?;
        let socket = Socket(own(fd));
        let on = 1i32;
        // Only the header of a refused request comes back, not the whole of it.
        // SAFETY: the option value outlives the call.
        unsafe {
            libc::setsockopt(
                socket.0.as_raw_fd(),
                libc::SOL_NETLINK,
                libc::NETLINK_CAP_ACK,
                (&raw const on).cast(),
                4,
            )
        };
        Ok(socket)
    }

    /// Sends all requests at once.
    ///
    /// # Errors
    /// The first refused request: its position and errno. Later ones were tried too.
    pub fn send(&self, batch: &Batch) -> Result<(), (usize, io::Error)> {
        let bytes = batch.bytes();
        // SAFETY: the buffer is valid for its length.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        check(sent as libc::c_long).map_err(|e| (0, e))?;
        let mut answers = 0;
        let mut first = Ok(());
        let mut buffer = [0u8; ANSWER_BYTES];
        while answers < batch.len() {
            // SAFETY: the buffer is valid for its length.
            let n = unsafe { libc::recv(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), ANSWER_BYTES, 0) };
            let n = check(n as libc::c_long).map_err(|e| (answers, e))? as usize;
            for (sequence, errno) in acknowledgements(&buffer[..n]) {
                answers += 1;
                if errno != 0 && first.is_ok() {
                    first = Err((sequence as usize, io::Error::from_raw_os_error(errno)));
                }
            }
        }
        first
    }
}

/// (sequence, errno) of every NLMSG_ERROR in a datagram; errno 0 is an acknowledgement.
fn acknowledgements(mut bytes: &[u8]) -> Vec<(u32, i32)> {
    let mut found = Vec::new();
    let word = |b: &[u8], at: usize| b.get(at..at + 4).map(|w| u32::from_ne_bytes([w[0], w[1], w[2], w[3]]));
    while let Some(length) = word(bytes, 0) {
        let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
        if i32::from(kind) == libc::NLMSG_ERROR
            && let (Some(sequence), Some(errno)) = (word(bytes, 8), word(bytes, 16))
        {
            found.push((sequence, -(errno as i32)));
        }
        let next = (length as usize).max(16).next_multiple_of(4);
        bytes = bytes.get(next..).unwrap_or_default();
        if bytes.len() < 16 {
            break;
        }
    }
    found
}

/// The index of an interface of this network namespace.
pub fn index(name: &str) -> io::Result<u32> {
    let name = crate::sys::cstring(name)?;
    // SAFETY: the name outlives the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}
