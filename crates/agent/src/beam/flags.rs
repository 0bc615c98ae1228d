//! Flags of the runtime, written into a copy of the release's vm.args that lies over the release.
//!
//! Not in ERL_ZFLAGS where it can be helped: those also reach the runtimes of `rpc` and `remote`, which must not listen on
//! the node's port nor wait for its peers. What these need, too, stands there.

use super::{CONFIG, args};
use crate::spec::{of_release, over};
use lace_machine::FileSpec;
use lace_model::beam::{Beam, BeamNames, DISTRIBUTION_PORT, without_heart};
use lace_model::release::ReleaseKind;
use std::path::Path;

/// Distribution goes over TLS. Said twice it would be TCP.
pub const TLS: &str = "-proto_dist inet_tls";

/// How long a silent runtime counts as alive, in seconds: the same in all that are connected.
pub fn tick(beam: &Beam) -> String {
    format!("-kernel net_ticktime {}", beam.net_ticktime)
}

/// The flags of a node, one word after the other.
pub fn words(kind: ReleaseKind, beam: &Beam, address: &str) -> Vec<String> {
    lines(kind, beam, address).iter().flat_map(|line| line.split(' ').map(str::to_owned)).collect()
}

fn lines(kind: ReleaseKind, beam: &Beam, address: &str) -> Vec<String> {
    let mut lines: Vec<String> = ["+sbwt none", "+sbwtdcpu none", "+sbwtdio none"].map(str::to_owned).into();
    lines.push(tick(beam));
    lines.push(format!("-config {CONFIG}"));
    if beam.tls {
        lines.push(TLS.to_owned());
    }
    if beam.names == BeamNames::Indexed {
        // Others on the host listen on the same port at addresses of theirs.
        lines.push(format!("-kernel inet_dist_use_interface {{{}}}", address.replace('.', ",")));
    }
    if !beam.connect_all {
        lines.push("-connect_all false".to_owned());
    }
    if beam.cluster_size > 0 {
        // A message to another cluster must not make the two one.
        lines.push("-kernel dist_auto_connect never".to_owned());
    }
    // What is no release of a known kind gets its flags by ERL_ZFLAGS, as its tools do: it says its port itself.
    if beam.epmd && kind != ReleaseKind::Generic {
        let port = DISTRIBUTION_PORT;
        lines.push(format!("-kernel inet_dist_listen_min {port} inet_dist_listen_max {port}"));
    } else if !beam.epmd && kind == ReleaseKind::Mix {
        // relx scripts do this themselves where ERL_DIST_PORT is set.
        lines.push(format!("-erl_epmd_port {DISTRIBUTION_PORT}"));
        lines.push("-start_epmd false".to_owned());
    }
    lines
}

/// The version that a release starts, of `RUNTIME VERSION` in its start_erl.data.
pub fn version(layer: &Path) -> Result<String, String> {
    let (started, _) =
        of_release(layer, "releases/start_erl.data").map_err(|e| format!("start_erl.data: {e}"))?;
    let version = started.split_whitespace().nth(1).ok_or("start_erl.data names no release version")?;
    Ok(version.to_owned())
}

/// Copies of vm.args (and sys.config where asked) that lie over the release's. None where it has no vm.args.
pub fn files(
    kind: ReleaseKind,
    beam: &Beam,
    node: &str,
    address: &str,
    (layer, version): (&Path, &str),
) -> Result<Vec<FileSpec>, String> {
    let mut files = Vec::new();
    for name in ["vm.args", "vm.args.src"] {
        let path = format!("releases/{version}/{name}");
        if let Ok((text, executable)) = of_release(layer, &path) {
            files.push(over(&path, vm_args(&text, kind, beam, node, address), executable));
        }
    }
    for name in ["sys.config", "sys.config.src"].iter().filter(|_| beam.replace_loopback) {
        let path = format!("releases/{version}/{name}");
        if let Ok((text, executable)) = of_release(layer, &path) {
            files.push(over(&path, at_home(&text, node, address), executable));
        }
    }
    Ok(files)
}

/// A text of the release with the node's own place for the loopback: in a node's name the host of ours, else the address.
fn at_home(text: &str, node: &str, address: &str) -> String {
    let host = node.split_once('@').map_or(address, |(_, host)| host);
    text.replace("@127.0.0.1", &format!("@{host}")).replace("127.0.0.1", address)
}

/// The release's own flags without what is the node's ([`args`]), and without heart (PID 1 starts the runtime again, nobody
/// else); with our node name and our flags.
fn vm_args(text: &str, kind: ReleaseKind, beam: &Beam, node: &str, address: &str) -> String {
    let mut lines = args::kept(&without_heart(text), beam.tls, Some(node));
    if beam.replace_loopback {
        lines.iter_mut().for_each(|line| *line = at_home(line, node, address));
    }
    lines.extend(self::lines(kind, beam, address));
    lines.push(String::new());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_cookie_of_the_release_give_way_and_our_flags_follow() {
        let beam = Beam { replace_loopback: true, ..Beam::default() };
        let text = "# ours\n-sname x\n-setcookie secret\n+K true -heart\n-app url http://127.0.0.1:80\n";
        let made = vm_args(text, ReleaseKind::Relx, &beam, "ball@10.0.0.1", "10.0.0.1");
        let expected = "# ours\n-name ball@10.0.0.1\n+K true \n-app url http://10.0.0.1:80\n+sbwt none\n+sbwtdcpu none\n\
            +sbwtdio none\n-kernel net_ticktime 8\n-config /run/lace/beam.config\n";
        assert_eq!(made, expected);
        let beam = Beam { epmd: true, connect_all: false, cluster_size: 3, ..Beam::default() };
        let made = vm_args("", ReleaseKind::Mix, &beam, "a@b", "c");
        assert!(!made.contains("epmd") && made.contains("-connect_all false\n"), "{made}");
        assert!(
            made.contains("-kernel dist_auto_connect never\n-kernel inet_dist_listen_min 9100 "),
            "{made}"
        );
        let beam = Beam { names: BeamNames::Indexed, ..Beam::default() };
        let made = vm_args("-sname x\n", ReleaseKind::Relx, &beam, "ball-1@10.0.0.1", "10.0.0.1");
        assert!(made.contains("-name ball-1@10.0.0.1\n"), "{made}");
        assert!(made.contains("-kernel inet_dist_use_interface {10,0,0,1}\n"), "{made}");
        let beam = Beam { tls: true, ..Beam::default() };
        let made =
            vm_args("-proto_dist inet_tcp\n-ssl_dist_optfile x\n", ReleaseKind::Relx, &beam, "a@b", "c");
        assert_eq!(made.matches("_dist ").count(), 1, "{made}");
        assert!(made.contains("-proto_dist inet_tls\n"), "{made}");
        let beam = Beam::default();
        assert!(at_home("{'x@127.0.0.1', \"127.0.0.1\"}", "x@a.b", "10.0.0.1") == "{'x@a.b', \"10.0.0.1\"}");
        assert!(
            vm_args("", ReleaseKind::Mix, &beam, "a@b", "c")
                .ends_with("-erl_epmd_port 9100\n-start_epmd false\n")
        );
    }
}
