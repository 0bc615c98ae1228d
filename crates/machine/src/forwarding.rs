//! `net.ipv4.ip_forward`: switched on while an installation needs it, and put back after the last one.
//!
//! What was there before, and who uses it, lies in /run: it ends with the boot, as the setting does. Each network
//! namespace has a setting of its own.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::sys::step::{Step, StepError};

const SETTING: &str = "/proc/sys/net/ipv4/ip_forward";
const HOME: &str = "/run/lace/forward";
const BEFORE: &str = "before";

/// Who uses the setting of this network namespace. Held locked.
struct Users {
    dir: PathBuf,
    _lock: File,
}

impl Users {
    fn open() -> io::Result<Users> {
        let namespace = fs::read_link("/proc/thread-self/ns/net")?;
        let number = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect::<String>();
        let dir = Path::new(HOME).join(number);
        fs::create_dir_all(dir.join("users"))?;
        let lock = File::create(dir.join("lock"))?;
        lock.lock()?;
        Ok(Users { dir, _lock: lock })
    }

    fn are_none(&self) -> io::Result<bool> {
        Ok(fs::read_dir(self.dir.join("users"))?.next().is_none())
    }

    fn path(&self, installation: &str) -> PathBuf {
        self.dir.join("users").join(installation)
    }

    fn was_off(&self) -> bool {
        fs::read_to_string(self.dir.join(BEFORE)).is_ok_and(|text| text.trim() == "0")
    }
}

/// Switches forwarding on for an installation. Was it off before the first one came?
pub fn switch_on(installation: &str) -> Result<bool, StepError> {
    let on = || -> io::Result<bool> {
        let users = Users::open()?;
        if users.are_none()? {
            fs::write(users.dir.join(BEFORE), fs::read_to_string(SETTING)?)?;
        }
        fs::write(users.path(installation), "")?;
        fs::write(SETTING, "1")?;
        Ok(users.was_off())
    };
    on().step("enable ip_forward")
}

/// Puts it back after the last installation. Repeating is safe.
pub fn put_back(installation: &str) -> Result<(), StepError> {
    let back = || -> io::Result<()> {
        let users = Users::open()?;
        let path = users.path(installation);
        if !path.exists() {
            return Ok(());
        }
        fs::remove_file(path)?;
        if users.are_none()? && users.was_off() {
            fs::write(SETTING, "0")?;
        }
        Ok(())
    };
    back().step("put ip_forward back")
}
