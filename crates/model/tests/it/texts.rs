//! Texts that people write: what parses prints again, what is refused is refused without a panic.

use lace_model::revision::Opening;
use lace_model::{ByteSize, CpuMillis, Digest, FamilyPath, Name, NodePath, ServicePath, Span, TargetPath};
use proptest::prelude::*;

fn name() -> impl Strategy<Value = String> {
    "[a-z]([a-z0-9-]{0,37}[a-z0-9])?"
}

proptest! {
    #[test]
    fn sizes_print_what_they_read(bytes in 0..=9_000_000_000_000_000_000u64) {
        prop_assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
    }

    #[test]
    fn spans_print_what_they_read(ms in 0..=320_000_000_000u64) {
        prop_assert_eq!(Span(ms).to_string().parse(), Ok(Span(ms)));
    }

    #[test]
    fn shares_print_what_they_read(millis in 1..=4_096_000u32) {
        prop_assert_eq!(CpuMillis(millis).to_string().parse(), Ok(CpuMillis(millis)));
    }

    #[test]
    fn names_print_what_they_read(text in name()) {
        prop_assert_eq!(Name::new(text.clone()).expect("a name").to_string(), text);
    }

    #[test]
    fn names_fit_dns(text in "[a-z0-9-]{0,45}") {
        if let Ok(name) = Name::new(text) {
            let label = format!("{name}-4294967295");
            prop_assert!(label.len() <= 63);
        }
    }

    #[test]
    fn paths_print_what_they_read(app in name(), service in name(), family in name(), n in 1..u32::MAX) {
        let text = format!("{app}/{service}/{family}");
        prop_assert_eq!(text.parse::<FamilyPath>().expect("a family").to_string(), text.clone());
        prop_assert_eq!(text.parse::<TargetPath>().expect("a target").to_string(), text.clone());
        let node: NodePath = format!("{text}/{n}").parse().expect("a node");
        prop_assert_eq!(node.to_string(), format!("{text}/{n}"));
        prop_assert_eq!(node.short().parse::<NodePath>().expect("the short form"), node);
        let short = format!("{app}/{service}");
        prop_assert_eq!(short.parse::<ServicePath>().expect("a service").to_string(), short);
    }

    #[test]
    fn openings_print_what_they_read(text in "(tcp|udp):[1-9][0-9]{0,3}(:9999)?( from (any|shop|10\\.0\\.0\\.0/8))?") {
        let opening: Opening = text.parse().expect("an opening");
        prop_assert_eq!(opening.to_string().parse::<Opening>(), Ok(opening));
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,80}") {
        let _ = (text.parse::<ByteSize>(), text.parse::<Span>(), text.parse::<CpuMillis>());
        let _ = (text.parse::<TargetPath>(), text.parse::<NodePath>(), text.parse::<Opening>());
        let _ = text.parse::<Digest>();
    }

    #[test]
    fn near_misses_do_not_panic(text in "[0-9.eE+-]{0,12}(KiB|MiB|ms|s|d|TiB)?") {
        let _ = (text.parse::<ByteSize>(), text.parse::<Span>(), text.parse::<CpuMillis>());
    }
}

#[test]
fn a_node_needs_an_index_from_one() {
    assert!("shop/game/0".parse::<TargetPath>().is_err(), "people count from one");
    assert!("shop/game/0".parse::<NodePath>().is_ok(), "a job's place among the members");
    assert!("shop/2".parse::<NodePath>().is_err());
    assert!("shop/game".parse::<NodePath>().is_err());
    assert_eq!("shop/game/2".parse::<NodePath>().expect("a node").to_string(), "shop/game/game/2");
}

#[test]
fn what_is_not_a_size() {
    for text in ["", "B", "-1", "nan", "inf", "1e30", "9999999999TiB", "1 000", "1GiB extra"] {
        assert!(text.parse::<ByteSize>().is_err(), "{text}");
    }
    assert_eq!("1.5GB".parse(), Ok(ByteSize(1_500_000_000)));
}

#[test]
fn sizes_for_people_have_two_or_three_digits() {
    for (bytes, said) in [
        (0, "0 B"),
        (999, "999 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (184_320, "180 KiB"),
        (ByteSize::mib(100).0 - 1, "100 MiB"),
        (ByteSize::mib(300).0, "300 MiB"),
        (22_763_405_312, "21.2 GiB"),
        (9000 << 30, "8.8 TiB"),
    ] {
        assert_eq!(ByteSize(bytes).human(), said);
    }
}
