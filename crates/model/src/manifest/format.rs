//! Forms of text in a manifest. Each is checked by the type of the model that it becomes.

use crate::revision::Opening;
use crate::rollout::Share;
use crate::{ByteSize, CpuMillis, Name, Span, route};
use std::str::FromStr;

/// Longest text of a manifest that is not a file's content, in bytes: longer ones belong into files.
const TEXT_BYTES_MAX: usize = 32 * 1024;
/// Longest path, in bytes (PATH_MAX of Linux).
const PATH_BYTES_MAX: usize = 4095;

/// A form of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Anything but NUL.
    Any,
    /// A file's content.
    Content,
    /// A word of a command: like `Any`.
    Word,
    /// `[a-z][a-z0-9-]{0,38}`.
    Name,
    /// `[A-Za-z_][A-Za-z0-9_]*`: an environment variable, a secret, a variable.
    Variable,
    /// `512MiB`.
    Size,
    /// `30s`.
    Span,
    /// `0.5`.
    Cpu,
    /// `2` or `25%`.
    Share,
    /// `response_time_ms < 300`.
    ScaleTarget,
    /// `1s..60s`.
    SpanRange,
    /// Five fields.
    Cron,
    /// `/var/lib/game`.
    Path,
    /// A path of the person's machine, or in the release.
    LocalPath,
    /// `0600`.
    Mode,
    /// `tcp:9100 from any`.
    Opening,
    /// `:8080/up`.
    HttpDoor,
    /// `:8080`.
    TcpDoor,
    /// `NAME` or `NAME@VERSION`.
    Release,
    /// A version of a release.
    Version,
    /// `game`: the part of a node name before the `@`, an Erlang application.
    Atom,
    /// `join-first`, `none` or `cmd:bin/bootstrap`.
    Bootstrap,
    /// `SERVICE` or `SERVICE/FAMILY`.
    Kin,
    /// `Europe/Stockholm`.
    Zone,
    /// `1-3`, `4-6 hidden`.
    Group,
    /// `shop.example.com`.
    HostName,
    /// `/api`.
    PathPrefix,
    /// `scripts/start.sh`: a file of the package.
    Inside,
    /// `http/up`: a port by name, and a path.
    NamedDoor,
    /// `nginx-light`.
    DebianPackage,
}

impl Format {
    /// Is the text of this form? If not: what is wanted.
    pub(crate) fn check(self, text: &str) -> Result<(), String> {
        let bytes_max = if self == Format::Content { super::MANIFEST_BYTES_MAX } else { TEXT_BYTES_MAX };
        if text.len() > bytes_max {
            return Err(format!("the text has {} bytes; at most {bytes_max} are allowed", text.len()));
        }
        if text.contains('\0') {
            return Err("the text has a NUL sign in it".into());
        }
        let good = match self {
            Format::Any | Format::Content | Format::Word => true,
            Format::Name => return parsed::<Name>(text),
            Format::Size => return parsed::<ByteSize>(text),
            Format::Span => return parsed::<Span>(text),
            Format::Cpu => return parsed::<CpuMillis>(text),
            Format::Share => return parsed::<Share>(text),
            Format::Group => return parsed::<crate::group::GlobalGroup>(text),
            Format::ScaleTarget => return parsed::<crate::scale::ScaleTarget>(text),
            Format::Opening => return text.parse::<Opening>().map(drop),
            Format::Cron => return cron(text),
            Format::Variable => is_variable(text),
            Format::SpanRange => span_range(text).is_some(),
            Format::Path => is_absolute(text),
            Format::LocalPath => !text.is_empty() && text.len() <= PATH_BYTES_MAX,
            Format::Mode => mode(text).is_some(),
            Format::HttpDoor => http_door(text).is_some(),
            Format::TcpDoor => tcp_door(text).is_some(),
            Format::Release => release(text).is_some(),
            Format::Version => is_version(text),
            Format::Atom => is_atom(text),
            Format::Bootstrap => bootstrap(text).is_some(),
            Format::Kin => {
                text.split('/').count() <= 2 && text.split('/').all(|part| Name::new(part).is_ok())
            }
            // The database that schedules are reckoned with.
            Format::Zone => text.parse::<chrono_tz::Tz>().is_ok(),
            Format::HostName => return route::host_name(text).map(drop),
            Format::PathPrefix => return route::path_prefix(text).map(drop),
            Format::Inside => is_inside(text),
            Format::NamedDoor => named_door(text).is_some(),
            Format::DebianPackage => is_debian_package(text),
        };
        if good { Ok(()) } else { Err(format!("{text:?} is not {}", self.what())) }
    }

    /// What the form is, for people and for the schema's descriptions.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Format::Any | Format::Content | Format::Word => "text",
            Format::Name => "a name: a small letter, then at most 38 of a-z, 0-9 and -",
            Format::Variable => "a variable's name: letters, digits and _, not a digit first",
            Format::Size => "a size such as 512MiB",
            Format::Span => "a length of time such as 30s",
            Format::Cpu => "a share of processors such as 0.5",
            Format::ScaleTarget => "a target such as response_time_ms < 300",
            Format::Share => "a number of nodes such as 2, or a share such as 25%",
            Format::SpanRange => "a range of waiting times such as 1s..60s",
            Format::Cron => {
                "a schedule of five fields such as `0 3 * * *`, or of six that begin with seconds"
            }
            Format::Path => "an absolute path without . and .. such as /var/lib/game",
            Format::LocalPath => "a path",
            Format::Mode => "permission bits such as 0600",
            Format::Opening => "an opening such as `tcp:9100 from any`",
            Format::HttpDoor => "a port and a path such as :8080/up",
            Format::TcpDoor => "a port such as :8080",
            Format::Release => "a release: write NAME or NAME@VERSION",
            Format::Version => "a version: letters, digits and . _ + - ~, at most 64",
            Format::Atom => "a name that Erlang takes: letters, digits, _ and -, a small letter first",
            Format::Kin => "a service, or SERVICE/FAMILY",
            Format::Bootstrap => "a way to join: write join-first, none or cmd:COMMAND",
            Format::Group => "a range of nodes such as 1-3, or `4-6 hidden`",
            Format::Zone => "a time zone such as Europe/Stockholm",
            Format::HostName => "a host name such as shop.example.com",
            Format::PathPrefix => "a beginning of paths such as /api",
            Format::Inside => "a path within the package, without . and .., such as scripts/start.sh",
            Format::NamedDoor => "a port's name and a path such as http/up",
            Format::DebianPackage => "the name of a Debian package such as nginx-light",
        }
    }

    /// A pattern for editors (ECMA 262), where one says enough.
    pub(crate) fn pattern(self) -> Option<&'static str> {
        Some(match self {
            Format::Name => "^[a-z][a-z0-9-]{0,38}$",
            Format::Variable => "^[A-Za-z_][A-Za-z0-9_]*$",
            Format::Size => r"^ *[0-9.]+ *(B|KiB|MiB|GiB|TiB|kB|KB|MB|GB)? *$",
            Format::Span => r"^ *[0-9.]+ *(ms|s|m|h|d) *$",
            Format::Path => "^/.+",
            Format::Share => "^[0-9]+%?$",
            Format::ScaleTarget => "^[a-z_]+ *< *[0-9]+$",
            Format::HttpDoor => "^:[0-9]+(/.*)?$",
            Format::TcpDoor => "^:[0-9]+$",
            Format::Group => r"^ *[0-9]+(-[0-9]+)?( +hidden)? *$",
            Format::Opening => "^(tcp|udp):[0-9]+",
            _ => return None,
        })
    }
}

fn parsed<T: FromStr<Err: ToString>>(text: &str) -> Result<(), String> {
    text.parse::<T>().map(drop).map_err(|error| error.to_string())
}

fn cron(text: &str) -> Result<(), String> {
    if !(5..=6).contains(&text.split_whitespace().count()) {
        return Err(format!("{text:?} is not {}", Format::Cron.what()));
    }
    match croner::Cron::from_str(text) {
        Ok(schedule) if schedule.find_next_occurrence(&chrono::DateTime::UNIX_EPOCH, false).is_err() => {
            Err(format!("{text:?} is never due"))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{text:?} is not {}: {error}", Format::Cron.what())),
    }
}

fn of_signs(text: &str, first: fn(char) -> bool, rest: fn(char) -> bool, chars_max: usize) -> bool {
    text.chars().next().is_some_and(first) && text.chars().skip(1).all(rest) && text.len() <= chars_max
}

fn is_variable(text: &str) -> bool {
    of_signs(text, |c| c.is_ascii_alphabetic() || c == '_', |c| c.is_ascii_alphanumeric() || c == '_', 255)
}

fn is_version(text: &str) -> bool {
    let sign = |c: char| c.is_ascii_alphanumeric() || "._+-~".contains(c);
    of_signs(text, |c| c.is_ascii_alphanumeric(), sign, 64)
}

fn is_atom(text: &str) -> bool {
    of_signs(text, |c| c.is_ascii_lowercase(), |c| c.is_ascii_alphanumeric() || c == '_' || c == '-', 64)
}

/// An absolute path that names something below the root, without empty, `.` and `..` parts.
pub(crate) fn is_absolute(text: &str) -> bool {
    let good = |part: &str| !part.is_empty() && part != "." && part != ".." && part.len() <= 255;
    text.len() <= PATH_BYTES_MAX && text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(good))
}

/// Permission bits in octal, at most 0777.
pub(crate) fn mode(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), 8).ok().filter(|bits| *bits <= 0o777)
}

/// `:8080`.
pub(crate) fn tcp_door(text: &str) -> Option<u16> {
    text.strip_prefix(':')?.parse().ok().filter(|port| *port > 0)
}

/// `:8080/up`; without a path, `/`.
pub(crate) fn http_door(text: &str) -> Option<(u16, String)> {
    let (port, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    let clean = path.chars().all(|c| c.is_ascii_graphic());
    clean.then_some((tcp_door(port)?, if path.is_empty() { "/" } else { path }.to_owned()))
}

/// A relative path that stays where it is.
fn is_inside(text: &str) -> bool {
    !text.starts_with('/') && is_absolute(&format!("/{text}")) && !text.chars().any(char::is_control)
}

/// `http/up`: the port named `http` and the path `/up`.
pub(crate) fn named_door(text: &str) -> Option<(Name, String)> {
    let (port, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    let clean = path.chars().all(|c| c.is_ascii_graphic());
    clean.then_some((Name::new(port).ok()?, if path.is_empty() { "/" } else { path }.to_owned()))
}

/// Debian Policy 5.6.7.
fn is_debian_package(text: &str) -> bool {
    let sign = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    text.len() > 1 && of_signs(text, |c| c.is_ascii_lowercase() || c.is_ascii_digit(), sign, 128)
}

/// `1s..60s`, or one length for both.
pub(crate) fn span_range(text: &str) -> Option<(Span, Span)> {
    let (min, max) = text.split_once("..").unwrap_or((text, text));
    let (min, max) = (min.parse().ok()?, max.parse().ok()?);
    (min <= max).then_some((min, max))
}

/// `NAME` or `NAME@VERSION`.
pub(crate) fn release(text: &str) -> Option<(Name, Option<String>)> {
    match text.split_once('@') {
        Some((name, version)) => {
            Some((Name::new(name).ok()?, is_version(version).then(|| Some(version.into()))?))
        }
        None => Some((Name::new(text).ok()?, None)),
    }
}

/// How the nodes join.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Joining {
    First,
    None,
    Command(Vec<String>),
}

/// `join-first`, `none`, or `cmd:` and words between blanks.
pub(crate) fn bootstrap(text: &str) -> Option<Joining> {
    match text {
        "join-first" => return Some(Joining::First),
        "none" => return Some(Joining::None),
        _ => {}
    }
    let words: Vec<String> = text.strip_prefix("cmd:")?.split_whitespace().map(str::to_owned).collect();
    (!words.is_empty()).then_some(Joining::Command(words))
}
