//! What a node sees of the host's /etc: an allow list of what programs need, less what is called like a credential.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// What programs of /usr look for in /etc, file by file or directory by directory. A star stands for what it may, within
/// one name. Of servers' directories only what their packages bring is named: sites, pools of an administrator and keys
/// are the host's own.
const ETC: &[&str] = &[
    "apache2/apache2.conf",
    "apache2/conf-*",
    "apache2/envvars",
    "apache2/magic",
    "apache2/mods-*",
    "apache2/ports.conf",
    "ca-certificates.conf",
    "debian_version",
    "erlang",
    "fonts",
    "gai.conf",
    "host.conf",
    "inputrc",
    "java*",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "lighttpd/conf-*",
    "lighttpd/lighttpd.conf",
    "locale.alias",
    "localtime",
    "login.defs",
    "magic",
    "magic.mime",
    "maven/logging",
    "maven/m2.conf",
    "maven/toolchains.xml",
    "mime.types",
    "mysql/conf.d",
    "mysql/ma*",
    "mysql/my*",
    "networks",
    "nginx/*_params",
    "nginx/fastcgi.conf",
    "nginx/koi-*",
    "nginx/mime.types",
    "nginx/modules-*",
    "nginx/nginx.conf",
    "nginx/snippets/fastcgi-php.conf",
    "nginx/win-utf",
    "os-release",
    "perl",
    "php*",
    "postgresql-common",
    "protocols",
    "python*",
    "rpc",
    "services",
    "shells",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
];
/// What credentials are called, wherever they lie: never copied, though everybody may read them.
const CREDENTIALS: &[&str] = &[
    ".*",
    "*.jks",
    "*.key",
    "*.keystore",
    "*.p12",
    "*.pem",
    "*.pfx",
    "*cookie*",
    "*credential*",
    "*htpasswd*",
    "*passw*",
    "*secret*",
    "*token*",
    "auth.conf*",
    "debian.cnf",
    "netrc",
    "npmrc",
    "pip.conf",
    "settings*.xml",
];
/// Largest file copied out of /etc, bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Copies what [`ETC`] names of a directory; `below` is its path within /etc, with a slash at its end.
pub(super) fn copy_needed(host: &Path, own: &Path, below: &str) -> io::Result<()> {
    for entry in fs::read_dir(host)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{below}{name}");
        let to = own.join(&name);
        if ETC.iter().any(|pattern| fits(pattern, &path)) {
            copy(&entry.path(), &to, 0)?;
        } else if entry.file_type()?.is_dir() && ETC.iter().any(|pattern| leads_to(pattern, &path)) {
            fs::create_dir_all(&to)?;
            copy_needed(&entry.path(), &to, &format!("{path}/"))?;
        }
    }
    Ok(())
}

/// Does the pattern name something below this directory?
fn leads_to(pattern: &str, path: &str) -> bool {
    pattern.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))
}

/// Stars stand for any characters but slashes.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            let room = rest.find('/').unwrap_or(rest.len());
            (0..=room).filter(|at| rest.is_char_boundary(*at)).any(|at| fits(after, &rest[at..]))
        }),
    }
}

fn is_credential(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    CREDENTIALS.iter().any(|pattern| fits(pattern, &name))
}

/// Copies links as links, and only what everybody may read and is not called like a credential.
fn copy(from: &Path, to: &Path, depth: u32) -> io::Result<()> {
    if is_credential(from) {
        return Ok(());
    }
    let meta = fs::symlink_metadata(from)?;
    let mode = meta.permissions().mode();
    if meta.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    if meta.is_dir() && mode & 0o005 == 0o005 && depth < 8 {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)?.flatten() {
            copy(&entry.path(), &to.join(entry.file_name()), depth + 1)?;
        }
        return fs::set_permissions(to, fs::Permissions::from_mode(mode & 0o755));
    }
    if meta.is_file() && mode & 0o004 != 0 && meta.len() <= FILE_BYTES_MAX {
        fs::copy(from, to)?;
        fs::set_permissions(to, fs::Permissions::from_mode(mode & 0o755))?;
    }
    Ok(())
}
