//! Nodes of Erlang/OTP and Elixir releases: names, cookie, kernel configuration, and when they are ready.
//!
//! Nothing is asked of the release: flags go into a copy of its vm.args, kernel settings into one more configuration
//! file, the cookie into `$HOME/.erlang.cookie` on the node's tmpfs, so that it is on no command line and on no disk.

mod args;
pub mod boot;
mod config;
pub mod copy;
pub mod epmd;
mod flags;
pub mod hot;
pub mod line;
pub mod names;
pub mod over;
pub mod question;
pub mod ready;
mod relx;
mod script;
pub mod tls;
pub mod votes;

use crate::context::{Context, Peer};
use crate::spec::{Kin, Secrets, Subject};
use lace_machine::FileSpec;
use lace_model::beam::{Beam, BeamNames, DISTRIBUTION_PORT, HEART_COMMAND, is_flags, without_heart};
use lace_model::release::ReleaseKind;
use lace_model::{Digest, ServicePath};
use std::collections::BTreeMap;
use std::path::Path;

/// On tmpfs: the runtime reads its cookie from here.
const HOME: &str = "/run/lace/home";
/// The cookie's file there.
const COOKIE: &str = "/run/lace/home/.erlang.cookie";
/// The additional configuration file.
pub const CONFIG: &str = "/run/lace/beam.config";

/// Words that a runtime takes behind all others.
pub const FLAGS: &str = "ERL_ZFLAGS";

/// Largest crash dump: what says most comes first in it, and a disk is not filled by one.
const CRASH_DUMP_BYTES_MAX: u32 = 16 << 20;
/// How long a runtime may write its dump, in seconds; 0 for none at all.
const DUMP_SECONDS: &str = "ERL_CRASH_DUMP_SECONDS";
/// What a runtime that gives up writes last, behind the slogan of its crash dump.
const DUMPS: &str = "Crash dump is being written to:";
/// Characters of a slogan that are told.
const SLOGAN_CHARS_MAX: usize = 300;

/// Why a runtime gave up, from its last lines: the slogan of its crash dump.
pub fn slogan(lines: &[String]) -> Option<String> {
    let at = lines.iter().rposition(|line| line.contains(DUMPS))?;
    let said = lines[..at].iter().rev().find(|line| !line.trim().is_empty())?;
    Some(said.trim().chars().take(SLOGAN_CHARS_MAX).collect())
}

/// Does a file of ours speak of who else is there?
pub fn is_of_peers(path: &Path) -> bool {
    [CONFIG, copy::FILE].iter().any(|file| path == Path::new(file))
}

/// What a BEAM node gets beside its own environment and files.
#[derive(Default)]
pub struct Gift {
    /// Environment; the user's own wins.
    pub env: BTreeMap<String, String>,
    /// Files.
    pub files: Vec<FileSpec>,
}

/// What a mesh's nodes show one another. The first mesh shows the cluster's own cookie; one that stands beside another has
/// one that nobody can make without that, so that nodes of both can never connect, whatever they learn of each other.
pub fn cookie_of(cluster: String, mesh: u64) -> String {
    match mesh {
        0 => cluster,
        mesh => {
            Digest::of(format!("lace 2026-11-27 cookie of mesh {mesh}\0{cluster}").as_bytes()).to_string()
        }
    }
}

/// The part of a node name before the `@`.
pub fn base_name(beam: &Beam, service: &ServicePath) -> String {
    beam.name.clone().unwrap_or_else(|| service.service.to_string())
}

/// The whole node name.
pub fn node_name(base: &str, names: BeamNames, peer: &Peer) -> String {
    match names {
        BeamNames::Dns => format!("{base}@{}", peer.name),
        BeamNames::Address => format!("{base}@{}", peer.address),
        BeamNames::Indexed => format!("{base}-{}@{}", peer.index, peer.address),
    }
}

/// Everything that makes a node or job of a BEAM release part of its cluster. Nothing for other releases.
pub fn gift(
    subject: &Subject,
    context: &Context,
    secrets: &Secrets,
    layer: Option<&Path>,
) -> Result<Gift, String> {
    let (Some(beam), Some(service)) = (&subject.spec.beam, subject.kin.service()) else {
        return Ok(Gift::default());
    };
    let base = base_name(beam, &service);
    let is_job = subject.index == 0;
    // A job is no member: its commands (`rpc`, `eval`) speak to the first node.
    let named = if is_job { context.peers().first() } else { Some(context.me()) };
    let node = named.map(|peer| node_name(&base, beam.names, peer));
    let mut gift = Gift::default();
    let mesh = subject.mesh.or(named.map(|peer| peer.mesh)).unwrap_or_default();
    if let Some(cookie) = secrets.cookie(mesh) {
        gift.env.insert("HOME".to_owned(), HOME.to_owned());
        let file = crate::spec::private(COOKIE, cookie.into_bytes());
        gift.files.push(FileSpec { mode: 0o400, ..file });
    }
    gift.env.extend(environment(subject.spec.kind, beam, node.as_deref()));
    let release = match layer.filter(|_| subject.spec.kind != ReleaseKind::Generic) {
        Some(layer) => Some((layer, flags::version(layer)?)),
        None => None,
    };
    if let (ReleaseKind::Mix, Some((layer, version))) = (subject.spec.kind, &release) {
        gift.files.extend(script::files(layer, version, node.as_deref(), beam)?);
    }
    if let (ReleaseKind::Relx, Some((layer, version))) = (subject.spec.kind, &release) {
        gift.files.extend(relx::files(layer, version));
    }
    if let (false, Some(node)) = (is_job, &node) {
        gift.files.extend(copy::file(subject, beam, context));
        let names = |peer: &Peer| (peer.index, node_name(&base, beam.names, peer));
        let names: Vec<_> = context.peers().iter().map(names).collect();
        let of = |index: u32| match &subject.kin {
            Kin::Family(family) => {
                node_name(&base, beam.names, &Peer::at(&family.node(index), subject.address))
            }
            _ => node.clone(),
        };
        gift.files.push(crate::spec::private(CONFIG, config::text(beam, node, &names, of).into_bytes()));
        let address = subject.address.to_string();
        let changed = match &release {
            Some((layer, version)) => {
                flags::files(subject.spec.kind, beam, node, &address, (*layer, version.as_str()))?
            }
            None => Vec::new(),
        };
        if changed.is_empty() {
            gift.env.insert(FLAGS.to_owned(), flags::words(subject.spec.kind, beam, &address).join(" "));
        }
        gift.files.extend(changed);
    }
    // Runtimes beside the node's own, a person's shell above all: one that keeps another time is taken for dead while it is
    // silent.
    gift.env.entry(FLAGS.to_owned()).or_insert_with(|| flags::tick(beam));
    if beam.tls {
        secure(subject.spec.kind, is_job, &mut gift.env);
    }
    Ok(gift)
}

/// Every runtime that is started in the node finds its certificates; the release's tools among them, whose scripts read
/// in vm.args that distribution goes over TLS.
fn secure(kind: ReleaseKind, is_job: bool, env: &mut BTreeMap<String, String>) {
    let mut flags: Vec<String> = env.remove(FLAGS).into_iter().collect();
    // Nobody changes the vm.args of a job, and the word must not come twice.
    if is_job && kind != ReleaseKind::Mix {
        flags.push(flags::TLS.to_owned());
    }
    flags.push(format!("-ssl_dist_optfile {}", tls::OPTIONS));
    env.insert(FLAGS.to_owned(), flags.join(" "));
    if kind == ReleaseKind::Relx {
        // Its scripts would take erl_call, which speaks no TLS.
        env.insert("USE_NODETOOL".to_owned(), "1".to_owned());
    }
}

/// Takes heart out of what a runtime reads: a secret may be one of these variables.
pub fn calm(env: &mut BTreeMap<String, String>) {
    env.remove(HEART_COMMAND);
    for (_, text) in env.iter_mut().filter(|(name, _)| is_flags(name)) {
        *text = without_heart(text);
    }
}

/// What is said to runtimes that are started beside a node's own, the release's tools among them: one that gives up writes
/// no dump, for it would be written over that of the node's own.
pub fn no_dump() -> (String, String) {
    (DUMP_SECONDS.to_owned(), "0".to_owned())
}

fn environment(kind: ReleaseKind, beam: &Beam, node: Option<&str>) -> BTreeMap<String, String> {
    let mut env = vec![
        ("ERL_CRASH_DUMP", "/tmp/erl_crash.dump".to_owned()),
        (DUMP_SECONDS, "5".to_owned()),
        ("ERL_CRASH_DUMP_BYTES", CRASH_DUMP_BYTES_MAX.to_string()),
    ];
    match kind {
        ReleaseKind::Mix => {
            env.push(("RELEASE_DISTRIBUTION", "name".to_owned()));
            env.push(("RELEASE_COOKIE", script::NOT_THE_COOKIE.to_owned()));
            env.extend(node.map(|node| ("RELEASE_NODE", node.to_owned())));
        }
        _ => {
            // Scripts ask no epmd where this says the port.
            if !beam.epmd {
                env.push(("ERL_DIST_PORT", DISTRIBUTION_PORT.to_string()));
            }
            env.push(("RELX_OUT_FILE_PATH", "/run/lace".to_owned()));
            env.extend(node.map(|node| ("LACE_NODE_NAME", node.to_owned())));
        }
    }
    env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heart_is_taken_out_of_what_a_runtime_reads() {
        let pair = |(name, text): (&str, &str)| (name.to_owned(), text.to_owned());
        let said = [("ERL_ZFLAGS", "+P 1 -heart"), ("HEART_COMMAND", "x"), ("PULSE", "-heart")];
        let mut env: BTreeMap<_, _> = said.map(pair).into();
        calm(&mut env);
        assert_eq!(env, [("ERL_ZFLAGS", "+P 1 "), ("PULSE", "-heart")].map(pair).into());
    }

    #[test]
    fn the_slogan_is_what_stands_before_the_dump() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let text = "booting\nout of words\r\n\nCrash dump is being written to: /tmp/erl_crash.dump...done\n";
        assert_eq!(slogan(&lines(text)).as_deref(), Some("out of words"));
        assert_eq!(slogan(&lines("booting\nkilled")), None);
        assert_eq!(slogan(&lines("Crash dump is being written to: x")), None);
    }
}
