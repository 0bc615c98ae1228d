//! What a host lacks is said before anything is placed there.

use lace_model::release::Needs;
use lace_release::{HostFacts, preflight};

fn host() -> HostFacts {
    let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    HostFacts {
        arch: "x86_64".into(),
        glibc: Some("2.36".into()),
        versions: versions("3.0.9"),
        libraries: set(&["libc.so.6", "libm.so.6"]),
        programs: set(&["sh"]),
        erts: set(&["13.1.5"]),
        otp: set(&["kernel", "stdlib"]),
    }
}

fn versions(openssl: &str) -> std::collections::BTreeMap<String, String> {
    [("OPENSSL".to_owned(), openssl.to_owned())].into()
}

fn check(needs: Needs, expected: &[&str]) {
    assert_eq!(preflight(&needs, &host()), expected);
}

#[test]
fn each_thing_that_is_missing_has_its_line() {
    let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
    check(Needs::default(), &[]);
    check(Needs { glibc: Some("2.4".into()), ..Needs::default() }, &[]);
    check(Needs { arch: Some("i686".into()), ..Needs::default() }, &[]);
    check(
        Needs { arch: Some("aarch64".into()), glibc: Some("2.99".into()), ..Needs::default() },
        &["the release is built for aarch64, the host is x86_64"],
    );
    check(
        Needs { glibc: Some("2.38".into()), ..Needs::default() },
        &[
            "glibc 2.38 or newer is needed, the host has 2.36: build the release on a system as old as the host",
        ],
    );
    check(Needs { versions: versions("3.0.0"), ..Needs::default() }, &[]);
    check(
        Needs { versions: versions("3.2.0"), ..Needs::default() },
        &[
            "OpenSSL 3.2.0 or newer is needed (libcrypto.so.3), the host has 3.0.9: build the release on a system as old as the host",
        ],
    );
    check(
        Needs { libraries: words(&["libc.so.6", "libcrypto.so.3", "libx.so"]), ..Needs::default() },
        &[
            "the library libcrypto.so.3 is missing (Debian: apt install libssl3)",
            "the library libx.so is missing",
        ],
    );
    check(
        Needs { programs: words(&["sh", "erl"]), erts: Some("14.0".into()), ..Needs::default() },
        &[
            "the program erl is missing (Debian: apt install erlang-base)",
            "ERTS 14.0 is not in the release, and the host has 13.1.5: include ERTS in the release",
        ],
    );
    check(Needs { erts: Some("14.0".into()), erts_included: true, ..Needs::default() }, &[]);
    check(Needs { erts: Some("13.1.5".into()), ..Needs::default() }, &[]);
    let needs =
        |erts_included| Needs { absent: words(&["kernel", "os_mon"]), erts_included, ..Needs::default() };
    check(needs(false), &["the Erlang application os_mon is missing (Debian: apt install erlang-os-mon)"]);
    let lost = |app: &str| {
        format!("the release starts the application {app}, and has it not in its lib: build it again")
    };
    check(needs(true), &[lost("kernel").as_str(), lost("os_mon").as_str()]);
}

#[test]
fn this_machine_has_the_usual() {
    let host = HostFacts::detect();
    assert_eq!(host.arch, std::env::consts::ARCH);
    assert!(host.programs.contains("sh"));
    if cfg!(target_env = "gnu") {
        assert!(host.glibc.as_deref().is_some_and(|v| v.starts_with("2.")), "{:?}", host.glibc);
        assert!(host.libraries.contains("libc.so.6"));
    }
}

#[test]
fn an_empty_root_has_nothing() {
    let root = tempfile::tempdir().expect("a directory");
    let host = HostFacts::detect_in(root.path(), "x86_64".into());
    assert_eq!(host, HostFacts { arch: "x86_64".into(), ..HostFacts::default() });
}
