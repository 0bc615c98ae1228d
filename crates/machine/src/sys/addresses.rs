//! The addresses of this host.

use std::ffi::CStr;
use std::io;
use std::net::Ipv4Addr;

/// Interfaces with their IPv4 addresses, one entry an address (`getifaddrs(3)`).
pub fn ipv4_addresses() -> io::Result<Vec<(String, Ipv4Addr)>> {
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
            let (address, name) = unsafe {
                let address: libc::sockaddr_in = entry.ifa_addr.cast::<libc::sockaddr_in>().read_unaligned();
                (address, CStr::from_ptr(entry.ifa_name))
            };
            let address = Ipv4Addr::from_bits(u32::from_be(address.sin_addr.s_addr));
            found.push((name.to_string_lossy().into_owned(), address));
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
        assert!(found.contains(&("lo".to_owned(), std::net::Ipv4Addr::LOCALHOST)), "{found:?}");
    }
}
