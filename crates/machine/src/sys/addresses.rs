//! The addresses of this host.

use std::ffi::CStr;
use std::io;
use std::net::Ipv4Addr;

/// An IPv4 address of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The interface that has it.
    pub interface: String,
    /// The address.
    pub address: Ipv4Addr,
    /// Length of its network's prefix.
    pub prefix: u8,
}

/// Interfaces with their IPv4 addresses, one entry an address (`getifaddrs(3)`).
///
/// # Errors
/// What the kernel says.
pub fn ipv4_addresses() -> io::Result<Vec<InterfaceAddress>> {
    let mut first: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: the pointer is valid for writing; what it then points to is freed below.
    super::check(unsafe { libc::getifaddrs(&mut first) }.into())?;
    let mut found = Vec::new();
    let mut at = first;
    // SAFETY: a list that libc made, which ends with a null pointer.
    while let Some(entry) = unsafe { at.as_ref() } {
        // SAFETY: the address of an entry is null or valid, and of the family that it names.
        let address = unsafe { entry.ifa_addr.as_ref() };
        if address.is_some_and(|a| i32::from(a.sa_family) == libc::AF_INET) {
            // SAFETY: AF_INET says that it is a `sockaddr_in`; its name is a C string.
            let (address, mask, name) = unsafe {
                let read = |from: *mut libc::sockaddr| {
                    let read = from.cast::<libc::sockaddr_in>().read_unaligned();
                    u32::from_be(read.sin_addr.s_addr)
                };
                let mask = if entry.ifa_netmask.is_null() { u32::MAX } else { read(entry.ifa_netmask) };
                (read(entry.ifa_addr), mask, CStr::from_ptr(entry.ifa_name))
            };
            found.push(InterfaceAddress {
                interface: name.to_string_lossy().into_owned(),
                address: Ipv4Addr::from_bits(address),
                prefix: mask.leading_ones() as u8,
            });
        }
        at = entry.ifa_next;
    }
    // SAFETY: what `getifaddrs` gave, once.
    unsafe { libc::freeifaddrs(first) };
    Ok(found)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_loopback_is_there() {
        let found = super::ipv4_addresses().unwrap();
        let lo = found.iter().find(|a| a.address == std::net::Ipv4Addr::LOCALHOST);
        assert_eq!(lo.map(|a| (a.interface.as_str(), a.prefix)), Some(("lo", 8)), "{found:?}");
    }
}
