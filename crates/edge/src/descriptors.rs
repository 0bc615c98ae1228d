//! How many files and sockets this process may have open: each connection takes one, or two where a node answers it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many as whoever started us allows. The usual soft bound of 1,024 is meant for programs that call select(2). Only for
/// a process that starts no nodes: they would inherit it, and some runtimes make tables as large as this bound.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        Ok(()) => tracing::debug!(files = ?limit.maximum, "open files"),
        Err(error) => tracing::warn!(%error, files = ?limit.current, "no more files may be open"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_bound_becomes_the_hard_one() {
        let before = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(512), maximum: before.maximum }).expect("lower");
        raise();
        assert_eq!(getrlimit(Resource::Nofile), Rlimit { current: before.maximum, maximum: before.maximum });
    }
}
