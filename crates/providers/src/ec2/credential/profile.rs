//! The file of profiles: sections with `name = value`.
//! Source: <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html>.

use super::Credentials;
use crate::provider::{Error, Result};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

const FILE_BYTES_MAX: u64 = 1 << 20;
/// What profiles may ask for, and we do not do.
const NOT_DONE: [&str; 4] = ["role_arn", "credential_process", "sso_session", "sso_start_url"];

/// The credentials of a profile; `None` where there is no file, or no such section and none was named.
pub(super) fn read(file: &Path, profile: Option<&str>) -> Result<Option<Credentials>> {
    let at = file.display();
    let open = match std::fs::File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Error::refused(format_args!("cannot read {at}: {error}"), "may we read it?"));
        }
    };
    let mut text = String::new();
    open.take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|e| Error::refused(format_args!("cannot read {at}: {e}"), "is it a file of profiles?"))?;
    let name = profile.unwrap_or("default");
    match (section(&text, name), profile) {
        (Some(values), _) => credentials(values, &format!("profile {name} of {at}")).map(Some),
        (None, None) => Ok(None),
        (None, Some(_)) => {
            let hint = "name one of the sections in it with AWS_PROFILE";
            Err(Error::refused(format_args!("there is no profile {name} in {at}"), hint))
        }
    }
}

fn credentials(mut values: BTreeMap<String, String>, of: &str) -> Result<Credentials> {
    let mut take = |name: &str| values.remove(name).filter(|text| !text.is_empty());
    let token = take("aws_session_token");
    if let (Some(id), Some(secret)) = (take("aws_access_key_id"), take("aws_secret_access_key")) {
        return Ok(Credentials { id, secret, token, ends: None, source: "profile" });
    }
    let hint = "write aws_access_key_id and aws_secret_access_key there, or give them with the provider";
    Err(match NOT_DONE.into_iter().find(|name| values.contains_key(*name)) {
        Some(name) => Error::refused(format_args!("{of} asks for {name}, which lace does not do"), hint),
        None => Error::refused(format_args!("{of} lacks a key or its secret"), hint),
    })
}

/// The values of a section; the last word counts.
fn section(text: &str, name: &str) -> Option<BTreeMap<String, String>> {
    let mut found: Option<BTreeMap<String, String>> = None;
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(title) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let title = title.trim();
            inside = title.strip_prefix("profile ").unwrap_or(title).trim() == name;
            if inside {
                found.get_or_insert_default();
            }
        } else if let Some((key, value)) = line.split_once('=')
            && inside
            && !line.starts_with(['#', ';'])
        {
            found.get_or_insert_default().insert(key.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{credentials, read, section};

    const FILE: &str = "# mine\n[default]\naws_access_key_id = A\naws_secret_access_key=b=c\n\n[profile work]\n\
                        AWS_ACCESS_KEY_ID = W\n; aws_secret_access_key = no\nrole_arn = arn\n[empty]\n";

    #[test]
    fn sections_are_read() {
        let found = credentials(section(FILE, "default").expect("there"), "it").expect("whole");
        assert_eq!((found.id.as_str(), found.secret.as_str(), found.token), ("A", "b=c", None));
        let work = credentials(section(FILE, "work").expect("there"), "profile work of F").expect_err("half");
        assert_eq!(work.to_string(), "profile work of F asks for role_arn, which lace does not do");
        assert!(section(FILE, "empty").is_some_and(|values| values.is_empty()));
        assert_eq!(section(FILE, "none"), None);
    }

    #[test]
    fn a_profile_that_was_named_must_be_there() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("credentials");
        assert_eq!(read(&file, Some("work")), Ok(None), "no file");
        std::fs::write(&file, "[other]\n").expect("written");
        assert_eq!(read(&file, None), Ok(None));
        assert!(read(&file, Some("work")).expect_err("named").to_string().contains("no profile work"));
    }
}
