//! What each code means, and what to do: one text for `lace errors` and for the dashboard's help.

use super::Code;

impl Code {
    /// What it means, in a sentence.
    pub const fn meaning(self) -> &'static str {
        words(self).0
    }

    /// What to do, in a sentence.
    pub const fn remedy(self) -> &'static str {
        words(self).1
    }
}

const fn words(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::Error => (
            "something failed that has no code of its own",
            "read the message; the controller's log has more",
        ),
        Code::Usage => (
            "the words of the command or the request are off",
            "add --help to the command: it ends with an example",
        ),
        Code::InvalidManifest => (
            "the manifest has mistakes; nothing was changed",
            "mend the lines that are named; `lace schema` describes every key",
        ),
        Code::InvalidPackage => (
            "the package has mistakes; nothing was kept",
            "mend the lines that are named; `lace schema --package --reference` describes every key",
        ),
        Code::FailedReverted => (
            "the new revision failed, and the former one runs again",
            "read the last log lines that are shown, mend the release, deploy again",
        ),
        Code::FailedNotReverted => (
            "the new revision failed, and no former one took its place",
            "`lace why TARGET` says what holds it; `lace rollback TARGET` goes back by hand",
        ),
        Code::StillWatching => (
            "the time was over before the state was reached; the work goes on",
            "`lace op wait ID` goes on watching; --timeout says for how long",
        ),
        Code::CannotPlace => (
            "no host can take what was asked for",
            "`lace why TARGET` names every host and what it lacks; ask for less, or add a host",
        ),
        Code::NotAuthenticated => (
            "there are no credentials, or they are not valid any more",
            "`lace login URL`; `lace context list` shows where commands go",
        ),
        Code::NotAllowed => (
            "the token does not allow this",
            "ask an admin for a token with a higher role: `lace token create`",
        ),
        Code::NotFound => ("there is no such thing", "`lace status` lists what runs; each noun has a `list`"),
        Code::Conflict => {
            ("it changed meanwhile, or is in use", "look at it again (`lace plan`) and repeat the command")
        }
        Code::Budget => ("the budget does not allow it", "ask for less, or raise the budget"),
        Code::Unreachable => (
            "no controller answers",
            "`lace up` starts one on this machine; `lace context list` shows where commands go",
        ),
        Code::ChangesPending => {
            ("`plan --exit-code` found something that would change", "`lace apply` makes it so")
        }
        Code::TooLarge => (
            "it is larger than the limit that the message names",
            "send less: leave build products out of a release, or split it",
        ),
        Code::DiskFull => (
            "the disk is over 90 % full: new work is refused, deleting still works",
            "`lace release delete` old releases, or make room on the host",
        ),
        Code::Preflight => (
            "the release cannot run on the host: something that it needs is missing there",
            "build it on the host's system, or install what the message names",
        ),
        Code::UnsafeArchive => (
            "the archive or tree holds something that is refused: paths that leave it, devices, setuid",
            "make it again without what the message names; nothing was kept",
        ),
        Code::NodeUnreachable => (
            "the node, or its host, does not answer",
            "`lace why NODE` and `lace host list` say since when; nodes go on without a controller",
        ),
        Code::ServerUnreachable => (
            "a server does not answer over SSH, or not in time",
            "try `ssh -p PORT USER@ADDRESS` by hand; look at its firewall, and whether sshd runs",
        ),
        Code::LoginRefused => (
            "a server does not let this user in with this key or password",
            "put the public half of the key into the user's ~/.ssh/authorized_keys there, or give another --key",
        ),
        Code::HostKeyChanged => (
            "a server shows another host key than when it was first seen: it was made anew, or somebody stands between",
            "compare the fingerprints on the server itself; only then forget the old one, as the hint says",
        ),
        Code::ServerUnfit => (
            "a server lacks what a host needs: Linux, the same processor, a libc that is new enough, root",
            "mend what the message names, or take another server",
        ),
    }
}
