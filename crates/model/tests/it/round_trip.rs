//! `parse(to_toml(x)) == x` for every application that can be written down.

use lace_model::application::{ApplicationSpec, FamilySpec, Overlap, ServiceSpec, TaskSpec};
use lace_model::beam::{Beam, BeamNames};
use lace_model::check::{Check, Probe};
use lace_model::family::{Select, StateKind};
use lace_model::group::GlobalGroup;
use lace_model::manifest::{self, Options};
use lace_model::release::ReleaseRef;
use lace_model::revision::{Backoff, FileSpec, Isolation, OpenTo, Opening, Protocol, StopSpec, VolumeSpec};
use lace_model::rollout::{RolloutPolicy, Share, Strategy as How};
use lace_model::scale::{Metric, ScalePolicy, ScaleTarget};
use lace_model::{ByteSize, CpuMillis, Name, Span};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn name() -> impl Strategy<Value = Name> {
    "[a-z]([a-z0-9-]{0,10}[a-z0-9])?".prop_map(|text| Name::new(text).expect("a name"))
}

/// `y-1`: a node of `y`, if there is one.
fn is_node_like(name: &Name) -> bool {
    let index = name.as_str().rsplit_once('-').map(|(_, index)| index);
    index.is_some_and(|index| index.chars().all(|c| c.is_ascii_digit()))
}

fn words() -> impl Strategy<Value = Vec<String>> {
    ("[a-z/]{1,8}", vec("[^\0{]{0,12}", 0..3))
        .prop_map(|(first, rest)| std::iter::once(first).chain(rest).collect())
}

fn span() -> impl Strategy<Value = Span> {
    (0..300_000_000u64).prop_map(Span)
}

fn longer() -> impl Strategy<Value = Span> {
    (1..300_000_000u64).prop_map(Span)
}

fn size() -> impl Strategy<Value = ByteSize> {
    prop_oneof![
        (1 << 20..9_000_000_000_000_000_000u64).prop_map(ByteSize),
        (1..4096u64).prop_map(ByteSize::mib)
    ]
}

fn path() -> impl Strategy<Value = String> {
    "(/[A-Za-z0-9_.-]{1,8}x){1,3}"
}

fn variable() -> impl Strategy<Value = String> {
    "[A-Za-z_][A-Za-z0-9_]{0,8}"
}

fn family() -> impl Strategy<Value = FamilySpec> {
    let select = prop_oneof![Just(Select::Cheapest), Just(Select::RoundRobin), Just(Select::First)];
    let cpu = (1..4_096_000u32).prop_map(CpuMillis);
    let placed = (of(select), of(1..1000u32), of(pools()), of("[a-z]{1,8} == \"[a-z]{0,8}\""));
    (of(0..=10_000u32), of(cpu), of(size()), of(size()), of(1..4_000_000u32), placed).prop_map(
        |(count, cpu, memory, disk, pids, (select, per_host, pools, condition))| FamilySpec {
            count,
            cpu,
            memory,
            disk,
            pids,
            select,
            per_host,
            pools,
            condition,
            scale: per_host.map(|max| ScalePolicy {
                min: max / 2,
                max,
                target: Some(ScaleTarget { metric: Metric::ResponseTimeMs, below: max }),
                idle: Span(u64::from(max) * 1_000),
            }),
        },
    )
}

fn pools() -> impl Strategy<Value = Vec<Name>> {
    // Each once: a pool that is named twice is a mistake.
    let name = "[a-z]{1,8}".prop_map(|text| text.parse().expect("a name"));
    proptest::collection::btree_set(name, 1..4).prop_map(|names| names.into_iter().collect())
}

fn check() -> impl Strategy<Value = Check> {
    let probe = prop_oneof![
        (1..u16::MAX, "/[!-z]{0,12}").prop_map(|(port, path)| Probe::Http { port, path }),
        (1..u16::MAX).prop_map(|port| Probe::Tcp { port }),
        words().prop_map(|argv| Probe::Exec { argv }),
    ];
    (probe, longer(), longer(), 1..1000u32, span()).prop_map(|(probe, interval, timeout, failures, grace)| {
        Check { probe, interval, timeout, failures, grace }
    })
}

fn opening() -> impl Strategy<Value = Opening> {
    let from = prop_oneof![
        Just(OpenTo::Any),
        name().prop_filter("a word of its own", |n| n.as_str() != "any").prop_map(OpenTo::App),
        (any::<[u8; 4]>(), 0..=32u8)
            .prop_map(|([a, b, c, d], bits)| OpenTo::Net(format!("{a}.{b}.{c}.{d}/{bits}"))),
    ];
    let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)];
    (protocol, 1..u16::MAX, 0..100u16, from).prop_map(|(protocol, first, more, from)| Opening {
        protocol,
        first,
        last: first.saturating_add(more),
        from,
    })
}

fn file() -> impl Strategy<Value = FileSpec> {
    ("[^\0{]{0,40}", 0..=0o777u32, any::<bool>()).prop_map(|(content, mode, verbatim)| FileSpec {
        content,
        mode,
        verbatim,
    })
}

fn beam() -> impl Strategy<Value = Beam> {
    let atom = || of("[a-z][a-zA-Z0-9_]{0,6}");
    let names = prop_oneof![Just(BeamNames::Dns), Just(BeamNames::Address)];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    let applications = btree_map("[a-z]{1,6}", Just(()), 0..3).prop_map(|m| m.into_keys().collect());
    (atom(), names, atom(), 0..=100u32, 1..=3600u32, (span(), span()), flags, applications).prop_map(
        |(name, names, failover, backups, net_ticktime, spans, flags, applications)| {
            // Groups are for names that are known beforehand, in a family without clusters.
            let grouped = failover.is_none() && flags.1 && names == BeamNames::Dns;
            let group = |first, hidden| GlobalGroup { first, last: first + backups, hidden };
            let groups =
                [("left".to_owned(), group(1, false)), ("right".to_owned(), group(200, flags.0))].into();
            // Failover is for one cluster.
            let cluster_size = if failover.is_some() || grouped { 0 } else { backups };
            Beam {
                cluster_size,
                groups: if grouped { groups } else { BTreeMap::new() },
                name,
                names,
                failover,
                backups,
                net_ticktime,
                failover_timeout: spans.0,
                sync_timeout: spans.1,
                takeover: flags.0,
                // Who makes its mesh itself keeps to no clusters.
                join: flags.1 || cluster_size > 0,
                replace_loopback: flags.2,
                votes: flags.3,
                applications,
                epmd: flags.0,
                connect_all: flags.1,
                gateways: net_ticktime % 100,
                global_groups: flags.3 && !grouped,
                tls: flags.2,
                tls_lifetime: Span::secs(60 + u64::from(net_ticktime)),
            }
        },
    )
}

fn share() -> impl Strategy<Value = Share> {
    prop_oneof![(1..1000u32).prop_map(Share::Count), (1..=100u8).prop_map(Share::Percent)]
}

fn rollout() -> impl Strategy<Value = RolloutPolicy> {
    let how = prop_oneof![Just(How::Rolling), Just(How::BlueGreen), Just(How::AllAtOnce), Just(How::Canary)];
    let steps = vec(share(), 0..4).prop_map(|mut steps: Vec<Share>| {
        steps.sort_by_key(ToString::to_string);
        steps.dedup();
        steps
    });
    (how, share(), span(), span(), any::<bool>(), (span(), steps, of(span()))).prop_map(
        |(strategy, max_unavailable, healthy_for, deadline, revert, (keep, steps, pause))| RolloutPolicy {
            max_errors: pause.map(|_| max_unavailable),
            strategy,
            max_unavailable,
            healthy_for,
            deadline,
            revert,
            keep,
            steps,
            pause,
        },
    )
}

fn volume((i, name, size, backup, keep): (usize, Name, ByteSize, bool, Option<u32>)) -> VolumeSpec {
    let name = Name::new(format!("v{i}{name}")).expect("a name");
    VolumeSpec { name, size, at: format!("/v/{i}"), backup: backup.then(|| "0 2 * * *".into()), keep }
}

fn volumes() -> impl Strategy<Value = Vec<VolumeSpec>> {
    vec((name(), size(), any::<bool>(), of(1..100u32)), 0..3).prop_map(|all| {
        all.into_iter().enumerate().map(|(i, (n, s, b, k))| volume((i, n, s, b, k))).collect()
    })
}

fn task() -> impl Strategy<Value = TaskSpec> {
    let overlap = prop_oneof![Just(Overlap::Skip), Just(Overlap::Allow), Just(Overlap::Queue)];
    (words(), 0..60u32, overlap, of(Just("Europe/Stockholm".to_owned()))).prop_map(
        |(command, minute, overlap, timezone)| TaskSpec {
            command,
            schedule: format!("{minute} 3 * * *"),
            overlap,
            timezone,
        },
    )
}

prop_compose! {
    /// What runs.
    fn running()(
        release in of((name(), of("[0-9][a-z0-9.-]{0,6}"))),
        start in of(words()),
        stop_command in of(words()),
        env in of(btree_map(variable(), "[^\0{]{0,20}", 0..3)),
        secrets in of(btree_map(variable(), Just(()), 0..3)),
        files in of(btree_map(path(), file(), 0..3)),
        templates in of(btree_map("[a-z/]{1,9}", Just(()), 0..3)),
        isolation in of(prop_oneof![Just(Isolation::Border), Just(Isolation::Host), Just(Isolation::HostRoot)]),
        beam in of(beam()),
        bootstrap in of(words()),
        before in of(vec(words(), 0..3)),
        families in btree_map(name(), family(), 1..3)
            .prop_filter("a family called as a node of another one is refused", |all| !all.keys().any(is_node_like)),
    ) -> ServiceSpec {
        ServiceSpec {
            release: release.map(|(name, version)| ReleaseRef { name, version }),
            start, stop_command, env,
            secrets: secrets.map(|m| m.into_keys().collect()),
            files,
            templates: templates.map(|m| m.into_keys().collect()),
            isolation, beam, bootstrap, before, families,
            ..ServiceSpec::default()
        }
    }
}

prop_compose! {
    fn service()(
        spec in running(),
        firewall in of(btree_map(opening(), Just(()), 0..3)),
        volumes in of(volumes()),
        check in of(check()),
        live in of(check()),
        stop in of(("(TERM|INT|QUIT|USR1)", span())),
        restart in of((span(), span())),
        rollout in of(rollout()),
        state in of(prop_oneof![Just(StateKind::SingleWriter), Just(StateKind::Pinned)]),
        tasks in of(btree_map(name(), task(), 0..3)),
    ) -> ServiceSpec {
        ServiceSpec {
            firewall: firewall.map(|m| m.into_keys().collect()),
            volumes, check, live,
            stop: stop.map(|(signal, timeout)| StopSpec { signal, timeout }),
            restart: restart.map(|(a, b)| Backoff { min: a.min(b), max: a.max(b) }),
            rollout, state, tasks,
            ..spec
        }
    }
}

/// Services that need those before them, so that there is no circle.
fn application() -> impl Strategy<Value = ApplicationSpec> {
    btree_map(name(), (service(), of(any::<bool>())), 0..4).prop_map(|services| {
        let mut before: Vec<Name> = Vec::new();
        let mut all = ApplicationSpec::default();
        for (name, (mut service, needs)) in services {
            service.needs = needs.map(|some| if some { before.clone() } else { Vec::new() });
            before.push(name.clone());
            all.services.insert(name, service);
        }
        all
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn what_is_exported_is_read_again(app in name(), spec in application()) {
        let text = manifest::to_toml(&app, &spec);
        let back = manifest::parse(&text, &Options::default());
        let back = back.map_err(|m| TestCaseError::fail(format!("{m:#?}\n{text}")))?;
        prop_assert_eq!(&back.app, &app);
        prop_assert_eq!(&back.spec, &spec, "{}", text);
        prop_assert!(back.later.is_empty() && back.files.is_empty() && back.sources.is_empty());
    }
}
