//! What a pusher asks for: `git-receive-pack 'APP/SERVICE'`, and nothing else.

use lace_model::{Code, Problem, ServicePath};

/// Longest command that is looked at, in bytes.
const COMMAND_BYTES_MAX: usize = 512;
const RECEIVE: [&str; 2] = ["git-receive-pack ", "git receive-pack "];
const UPLOAD: [&str; 3] = ["git-upload-pack ", "git upload-pack ", "git-upload-archive "];

/// The service that is pushed to.
///
/// # Errors
/// Anything else is asked for.
pub(crate) fn service(command: &[u8]) -> Result<ServicePath, Problem> {
    let refused = |text: String| {
        Problem::new(Code::NotAllowed, text)
            .hint("releases are pushed here: git push ssh://git@HOST:PORT/APP/SERVICE main")
    };
    let command = command.get(..COMMAND_BYTES_MAX.min(command.len())).unwrap_or_default();
    let command = std::str::from_utf8(command).map_err(|_| refused("this command is no text".into()))?;
    if UPLOAD.iter().any(|word| command.starts_with(word)) {
        return Err(refused("nothing is fetched or cloned from here: it takes pushes only".into()));
    }
    let path = RECEIVE.iter().find_map(|word| command.strip_prefix(word));
    let path = path.ok_or_else(|| refused("this is no place for commands".into()))?;
    let path = unquoted(path);
    let path = path.trim_start_matches('/');
    let path = path.strip_suffix('/').unwrap_or(path);
    let path = path.strip_suffix(".git").unwrap_or(path);
    path.parse().map_err(|_| {
        let text = format!("{path:?} is no service: a repository is called APP/SERVICE");
        Problem::new(Code::NotFound, text).hint("lace service list")
    })
}

/// Git puts paths between quotes; names of services have none in them.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_may_be_asked_for() {
        for good in [
            "git-receive-pack 'shop/work'",
            "git-receive-pack '/shop/work.git'",
            "git receive-pack shop/work",
            "git-receive-pack '/shop/work/'",
        ] {
            assert_eq!(service(good.as_bytes()).expect(good).to_string(), "shop/work");
        }
        let hostile = [
            "git-receive-pack '../../etc'",
            "git-receive-pack 'shop/work'; id",
            "git-receive-pack '/var/lib/lace/server/git/x.git'",
            "git-receive-pack --version 'shop/work'",
            "git-receive-pack 'shop'",
            "git-receive-pack ''",
            "git-receive-pack 'shop/work\n'",
            "git-receive-pack 'shop/$(id)'",
        ];
        for bad in hostile {
            assert_eq!(service(bad.as_bytes()).expect_err(bad).code, Code::NotFound, "{bad}");
        }
        for bad in ["", "sh", "git-upload-pack 'shop/work'", "scp -t /", "git-receive-packs x", "git-shell"] {
            assert_eq!(service(bad.as_bytes()).expect_err(bad).code, Code::NotAllowed, "{bad}");
        }
        assert!(service(&[0xff, 0xfe]).is_err());
        assert!(service(format!("git-receive-pack '{}'", "a".repeat(100_000)).as_bytes()).is_err());
    }
}
