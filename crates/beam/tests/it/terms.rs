//! Terms as bytes, as text and as JSON.

use bytes::BytesMut;
use lace_beam::term::decode::decode;
use lace_beam::term::encode::encode;
use lace_beam::term::json::json;
use lace_beam::term::parse::{parse, parse_all, parse_list};
use lace_beam::term::print::print;
use lace_beam::term::{Home, Pid, Port, Reference};
use lace_beam::{Atom, Term};
use num_bigint::BigInt;
use proptest::prelude::*;

fn home() -> Home {
    Home { node: "game@10.0.0.1".into(), creation: 77 }
}

fn integer() -> impl Strategy<Value = Term> {
    prop_oneof![
        any::<i64>().prop_map(Term::Int),
        (-300i64..300).prop_map(Term::Int),
        (any::<bool>(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(minus, bytes)| {
            let sign = if minus { num_bigint::Sign::Minus } else { num_bigint::Sign::Plus };
            Term::integer(BigInt::from_bytes_le(sign, &bytes))
        }),
    ]
}

fn leaf() -> impl Strategy<Value = Term> {
    let words = prop::collection::vec(any::<u32>(), 1..=5);
    prop_oneof![
        4 => integer(),
        2 => "\\PC{0,12}".prop_map(|text| Term::Atom(Atom(text))),
        2 => "[a-z][a-zA-Z0-9_@]{0,8}".prop_map(|text| Term::Atom(Atom(text))),
        1 => any::<char>().prop_map(|c| Term::atom(&c.to_string())),
        2 => any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Term::Float),
        2 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Term::Binary),
        2 => ".{0,12}".prop_map(|text| Term::Binary(text.into_bytes())),
        2 => any::<String>().prop_map(|text| Term::charlist(&text)),
        1 => (prop::collection::vec(any::<u8>(), 1..5), 1u8..8).prop_map(|(mut bytes, last)| {
            *bytes.last_mut().unwrap() &= 0xff << (8 - last);
            Term::Bits(bytes, last)
        }),
        1 => (any::<u32>(), any::<u32>()).prop_map(|(id, serial)| {
            Term::Pid(Pid { node: home().node, id, serial, creation: home().creation })
        }),
        1 => any::<u32>().prop_map(|id| {
            Term::Port(Port { node: home().node, id: u64::from(id), creation: home().creation })
        }),
        1 => words.prop_map(|words| {
            Term::Reference(Reference { node: home().node, creation: home().creation, words })
        }),
        1 => ("[a-z]{1,5}", "\\PC{1,5}", any::<u8>())
            .prop_map(|(m, f, arity)| Term::Export(Atom(m), Atom(f), arity)),
    ]
}

fn term() -> impl Strategy<Value = Term> {
    leaf().prop_recursive(6, 60, 8, |inner| {
        let some = || prop::collection::vec(inner.clone(), 0..8);
        prop_oneof![
            some().prop_map(Term::List),
            some().prop_map(Term::Tuple),
            (some(), leaf()).prop_map(|(elements, tail)| Term::cons(elements, tail)),
            prop::collection::vec((inner.clone(), inner.clone()), 0..6).prop_map(|pairs| {
                let mut unique: Vec<(Term, Term)> = Vec::new();
                for (key, value) in pairs {
                    if !unique.iter().any(|(known, _)| print(known, None) == print(&key, None)) {
                        unique.push((key, value));
                    }
                }
                Term::Map(unique)
            }),
        ]
    })
}

fn bytes(term: &Term) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode(term, &mut out).unwrap();
    out.to_vec()
}

proptest! {
    #[test]
    fn every_term_comes_back_from_its_bytes(term in term()) {
        prop_assert_eq!(decode(&bytes(&term)).unwrap(), term);
    }

    #[test]
    fn every_term_comes_back_from_its_text(term in term()) {
        let text = print(&term, Some(&home()));
        let back = parse(&text, Some(&home()));
        prop_assert_eq!(back.as_ref(), Ok(&term), "{}", text);
        // And as JSON it is something.
        let _ = json(&term, Some(&home()));
    }

    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,60}|[\\[\\]{}<>#$%'\"\\\\.,:=|0-9a-zA-Z _\n-]{0,60}") {
        let _ = parse(&text, Some(&home()));
        let _ = parse_all(&text);
        let _ = parse_list(&text, None);
    }
}

#[test]
fn texts_are_read_as_erlang_reads_them() {
    let cases = [
        ("ok.", "ok"),
        (" 'ok' % a comment\n . ", "ok"),
        ("'hello world'", "'hello world'"),
        ("'it\\'s'", "'it\\'s'"),
        ("'receive'", "'receive'"),
        ("16#ff", "255"),
        ("-2#101", "-5"),
        ("1_000_000", "1000000"),
        ("$a", "97"),
        ("$\\n", "10"),
        ("$\\\\", "92"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("1.5e3", "1500.0"),
        ("1.0E-10", "1.0e-10"),
        ("1.0e22", "1.0e22"),
        ("-0.0", "-0.0"),
        ("\"abc\" \"def\"", "\"abcdef\""),
        ("\"a\\x{17c}\\101\\s\\^A\"", "[97,380,65,32,1]"),
        ("[104,105]", "\"hi\""),
        ("[]", "[]"),
        ("\"\"", "[]"),
        ("[a|b]", "[a|b]"),
        ("[a|[b,c]]", "[a,b,c]"),
        ("[a,b|[]]", "[a,b]"),
        ("<<>>", "<<>>"),
        ("<<\"abc\">>", "<<\"abc\">>"),
        ("<<1, 2,\"c\">>", "<<1,2,99>>"),
        ("<<\"\u{17c}\"/utf8>>", "<<\"\u{17c}\"/utf8>>"),
        ("<<255>>", "<<255>>"),
        ("<<258:16>>", "<<1,2>>"),
        ("<<1,5:3>>", "<<1,5:3>>"),
        ("<<-1:8>>", "<<255>>"),
        ("#{a=>1, \"k\" => [{}]}", "#{a => 1,\"k\" => [{}]}"),
        ("#{a => 1, a => 2}", "#{a => 2}"),
        ("{ok,{1,2},#{}}", "{ok,{1,2},#{}}"),
        ("fun lists:map/2", "fun lists:map/2"),
        ("<0.12.3>", "<0.12.3>"),
        ("#Ref<0.1.2.3>", "#Ref<0.1.2.3>"),
        ("#Port<0.7>", "#Port<0.7>"),
    ];
    for (text, expected) in cases {
        let term = parse(text, Some(&home())).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!(print(&term, Some(&home())), expected, "{text}");
    }
}

#[test]
fn what_is_no_term_is_told_with_its_place() {
    let cases = [
        ("", "line 1, column 1: expected a term, the text ends"),
        ("{a,\n  Variable}", "line 2, column 3: 'V' begins a variable: write atoms like 'This'"),
        ("[a,b", "line 1, column 5: expected a comma, '|' or ']', the text ends"),
        ("{a b}", "line 1, column 4: expected a comma or '}', found 'b'"),
        ("\"abc", "line 1, column 1: the closing \" is missing"),
        ("ok ok", "line 1, column 4: expected the end of the term, found 'o'"),
        ("37#1", "line 1, column 4: a base is 2 to 36"),
        ("1.0e999", "line 1, column 8: the float is out of range"),
        (
            "#rec{}",
            "line 1, column 1: after '#': a map, #Ref<...> or #Port<...>; records and functions cannot be written",
        ),
        (
            "<0.1.2>",
            "line 1, column 2: processes, ports and references belong to a node and cannot stand here",
        ),
        ("<<300>>", ""),
    ];
    for (text, expected) in cases {
        match parse(text, None) {
            Err(error) => assert_eq!(error.to_string(), expected, "{text}"),
            Ok(term) => assert!(expected.is_empty(), "{text} was read as {term}"),
        }
    }
    let deep = "[".repeat(100_000);
    assert!(parse(&deep, None).unwrap_err().message.contains("nested deeper"));
    let long = format!("1{}", "0".repeat(500_000));
    assert!(parse(&long, None).unwrap_err().message.contains("too large"));
}

#[test]
fn files_and_arguments_hold_several_terms() {
    let terms = parse_all("% CCL\n{ccl_clustersize, 3}.\n\n{ccl_failovernodes, [a, b]}.\n").unwrap();
    assert_eq!(terms.len(), 2);
    assert_eq!(terms[1].to_string(), "{ccl_failovernodes,[a,b]}");
    let error = parse_all("{a, 1}.\n{b, 2}").unwrap_err();
    assert_eq!((error.line, error.column), (2, 7));
    assert_eq!(parse_list("ok, [1,2] , \"x\"", None).unwrap().len(), 3);
    assert_eq!(parse_list("  ", None).unwrap(), []);
    assert!(parse_list("a, ", None).is_err());
}

#[test]
fn json_has_the_obvious_form() {
    let cases = [
        ("{ok,[1,2.5,true,undefined]}", r#"["ok",[1,2.5,true,null]]"#),
        ("\"hi\"", r#""hi""#),
        ("[]", "[]"),
        ("<<\"hi\">>", r#""hi""#),
        ("<<255>>", r#""<<255>>""#),
        ("#{a => 1, <<\"b\">> => \"c\", 3 => nil}", r#"{"3":null,"a":1,"b":"c"}"#),
        ("#{{a} => 1}", r#"[[["a"],1]]"#),
        ("#{a => 1, <<\"a\">> => 2}", r#"[["a",1],["a",2]]"#),
        ("<0.1.2>", r#""<0.1.2>""#),
        ("123456789012345678901234567890", r#""123456789012345678901234567890""#),
    ];
    for (text, expected) in cases {
        let term = parse(text, Some(&home())).unwrap();
        let value: serde_json::Value = serde_json::from_str(expected).unwrap();
        assert_eq!(json(&term, Some(&home())), value, "{text}");
    }
}
