//! Releases are recognised by what is in them.

use crate::put;
use lace_model::release::ReleaseKind;
use lace_release::{Limits, Recognised, read_dir, recognise};
use std::path::Path;

fn look(make: impl FnOnce(&Path)) -> Recognised {
    let dir = tempfile::tempdir().expect("a directory");
    make(dir.path());
    let packed = read_dir(dir.path(), &Limits::default()).expect("a tree");
    recognise(&packed.tree, &packed.chunks).expect("recognised")
}

fn otp(root: &Path, script: &str) {
    put(root, "releases/start_erl.data", "13.1.5 1.2.0", false);
    put(root, "releases/1.2.0/start_clean.rel", "{release,{\"start_clean\",\"1\"},{erts,\"13\"},[]}.", false);
    put(root, "bin/game", script, true);
    put(root, "bin/no_dot_erlang.boot", "x", false);
}

#[test]
fn relx() {
    let found = look(|root| {
        otp(root, "#!/bin/sh\nRELX_RPC_TIMEOUT=60\n");
        put(
            root,
            "releases/1.2.0/game.rel",
            "{release,\n {\"game\",\"1.2.0\"},\n {erts,\"13.1.5\"},\n [{kernel,\"8.5.3\"},\n  {'Elixir.x',\"1\"}, \
             {public_key, \"1.13.2\",load},{ssl,\"10.8\",[crypto]}]}.",
            false,
        );
        put(root, "erts-13.1.5/bin/beam.smp", "no real one", true);
        put(root, "lib/kernel-8.5.3/ebin/kernel.app", "", false);
        put(root, "lib/ssl_verify_fun-1.0/ebin/x.app", "", false);
        put(root, "lib/public_key-1.13.2.ez", "", false);
    });
    assert_eq!(found.needs.absent, ["ssl"]);
    assert_eq!(found.kind, ReleaseKind::Relx);
    assert_eq!((found.name.as_deref(), found.version.as_deref()), (Some("game"), Some("1.2.0")));
    assert_eq!(found.start, ["bin/game", "foreground"]);
    assert_eq!((found.needs.erts.as_deref(), found.needs.erts_included), (Some("13.1.5"), true));
    assert_eq!(found.needs.programs, ["sh"]);
    assert_eq!(found.needs.applications, ["kernel", "public_key", "ssl"]);
}

#[test]
fn heart_is_told_where_it_is_asked_for() {
    let found = look(|root| {
        otp(root, "#!/bin/sh\nRELX_RPC_TIMEOUT=60\n");
        put(root, "releases/1.2.0/vm.args.src", "-name x@y\n+K true -heart\n", false);
        put(root, "releases/1.2.0/env.sh", "# export ELIXIR_ERL_OPTIONS=\"-heart\"\n", true);
    });
    assert_eq!(
        found.remarks,
        ["releases/1.2.0/vm.args.src: -heart is left out in nodes, whose PID 1 starts them again"]
    );
}

#[test]
fn systools_without_erts() {
    let found = look(|root| otp(root, "#!/bin/sh\nexec erl\n"));
    assert_eq!((found.kind, found.name.as_deref()), (ReleaseKind::Relx, Some("game")));
    assert!(!found.needs.erts_included);
    assert_eq!(found.needs.programs, ["sh", "erl"]);
}

#[test]
fn mix() {
    let script = "#!/bin/sh\nRELEASE_NAME=\"${RELEASE_NAME:-game}\"\nRELEASE_ROOT=\"$(cd ..)\"\n";
    let found = look(|root| {
        otp(root, script);
        put(root, "releases/1.2.0/env.sh", "#!/bin/sh\n", true);
        put(root, "releases/COOKIE", "secret", false);
    });
    assert_eq!(found.kind, ReleaseKind::Mix);
    assert_eq!(found.start, ["bin/game", "start"]);
}

#[test]
fn several_scripts_and_no_rel_need_a_start() {
    let found = look(|root| {
        otp(root, "x");
        put(root, "bin/other", "x", true);
    });
    assert_eq!((found.name, found.start), (None, vec![]));
}

#[test]
fn procfile() {
    let found = look(|root| {
        put(root, "Procfile", "worker: bin/w\nweb: bin/hello\n", false);
        put(root, "bin/hello", "#!/usr/bin/env python3\n", true);
        put(root, "VERSION", "2.0.0\n", false);
    });
    assert_eq!((found.kind, found.version.as_deref()), (ReleaseKind::Generic, Some("2.0.0")));
    assert_eq!((found.start, found.needs.programs), (vec!["bin/hello".into()], vec!["python3".into()]));
    let found = look(|root| put(root, "Procfile", "web: node server.js", false));
    assert_eq!(found.needs.programs, ["node"]);
}

#[test]
fn anything_else_needs_a_start() {
    let found = look(|root| put(root, "README", "x", false));
    assert_eq!(found, Recognised::default());
    assert!(found.version_of(&lace_model::release::Tree::default()).starts_with("0.0.0-"));
}

/// This very test is a program with needs.
#[test]
fn needs_of_a_real_program() {
    let me = std::env::current_exe().expect("this program");
    let found = look(|root| put(root, "bin/me", std::fs::read(&me).expect("this program"), true));
    assert_eq!(found.needs.arch.as_deref(), Some(std::env::consts::ARCH));
    if cfg!(target_env = "gnu") {
        assert!(found.needs.glibc.as_deref().is_some_and(|v| v.starts_with("2.")), "{:?}", found.needs);
        assert!(found.needs.libraries.iter().any(|name| name == "libc.so.6"), "{:?}", found.needs);
        assert_eq!(lace_release::preflight(&found.needs, &lace_release::HostFacts::detect()), [""; 0]);
    }
}

/// The same program, as if it were made on a system of tomorrow.
#[test]
fn a_program_of_a_newer_system_is_known_by_the_versions_of_its_symbols() {
    let me = std::fs::read(std::env::current_exe().expect("this program")).expect("this program");
    let here = lace_release::HostFacts::detect();
    let newer = replaced(&me, b"\0GLIBC_2.34\0", b"\0GLIBC_2.99\0");
    if newer != me {
        let found = look(|root| put(root, "erts-1/bin/beam.smp", newer, true));
        assert_eq!(found.needs.glibc.as_deref(), Some("2.99"));
        let said = lace_release::preflight(&found.needs, &here);
        assert!(said.iter().any(|line| line.starts_with("glibc 2.99 or newer is needed")), "{said:?}");
    }
    // What OTP's crypto is linked with.
    let paths = ["/usr/lib/x86_64-linux-gnu/libssl.so.3", "/usr/lib/aarch64-linux-gnu/libssl.so.3"];
    let Some(ssl) = paths.iter().find_map(|path| std::fs::read(path).ok()) else { return };
    let newer = replaced(&ssl, b"\0OPENSSL_3.0.0\0", b"\0OPENSSL_3.9.0\0");
    let found = look(|root| put(root, "lib/crypto-5/priv/lib/crypto.so", newer, true));
    assert_eq!(found.needs.versions.get("OPENSSL").map(String::as_str), Some("3.9.0"));
    let said = lace_release::preflight(&found.needs, &here);
    assert!(said.iter().any(|line| line.starts_with("OpenSSL 3.9.0 or newer is needed")), "{said:?}");
    // Who carries the library needs none of the host's.
    let newer = replaced(&ssl, b"\0OPENSSL_3.0.0\0", b"\0OPENSSL_3.9.0\0");
    let found = look(|root| {
        put(root, "lib/crypto-5/priv/lib/crypto.so", newer, true);
        put(root, "lib/libcrypto.so.3", "not a real one", false);
    });
    assert!(found.needs.versions.is_empty());
}

/// Bytes with another text of the same length everywhere.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let places: Vec<_> =
        (0..bytes.len().saturating_sub(from.len())).filter(|at| bytes[*at..].starts_with(from)).collect();
    places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
    bytes
}

#[test]
fn carried_libraries_are_not_needed() {
    let me = std::env::current_exe().expect("this program");
    let found = look(|root| {
        put(root, "bin/me", std::fs::read(&me).expect("this program"), true);
        put(root, "lib/libc.so.6", "not a real one", false);
    });
    assert!(!found.needs.libraries.iter().any(|name| name == "libc.so.6"));
}

#[test]
fn damaged_programs_are_passed_over() {
    let me = std::fs::read(std::env::current_exe().expect("this program")).expect("this program");
    for cut in [4, 20, 64, 200, 5000] {
        let found = look(|root| put(root, "bin/me", &me[..cut], true));
        assert_eq!(found.needs.libraries, [""; 0], "{cut}");
    }
    let mut scrambled = me[..100_000.min(me.len())].to_vec();
    for i in (16..scrambled.len()).step_by(7) {
        scrambled[i] ^= 0xff;
    }
    look(|root| put(root, "bin/me", &scrambled, true));
}
