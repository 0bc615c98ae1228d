//! Fuzz targets: plain tests here, and `cargo bolero test -p lace-beam fuzz::NAME` looks for as long as one likes.

use lace_beam::term::decode::decode;
use lace_beam::term::parse::{parse, parse_all, parse_entries, parse_list};
use lace_beam::term::print::print;

/// Any text is read, or refused with a place within it; what was read is read again from how it is printed.
#[test]
fn text_of_terms() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let (lines, longest) = (text.lines().count() + 1, text.chars().count() + 1);
        if let Err(error) = parse_entries(&text) {
            assert!((1..=lines).contains(&error.line) && (1..=longest).contains(&error.column), "{error}");
        }
        let _ = parse_list(&text, None);
        for term in parse_all(&text).unwrap_or_default() {
            assert_eq!(parse(&print(&term, None), None).as_ref(), Ok(&term), "{text}");
        }
    });
}

/// The same with texts that are nearly terms: noise alone seldom gets beyond its first sign.
#[test]
fn text_that_is_nearly_terms() {
    const PIECES: [&str; 40] = [
        "{",
        "}",
        "[",
        "]",
        "|",
        ",",
        ".",
        " ",
        "\n",
        "%c\n",
        "#{",
        "=>",
        "<<",
        ">>",
        ":",
        "/utf8",
        "a",
        "'q x'",
        "\"t\"",
        "\"\\x{41}\"",
        "$a",
        "$\\n",
        "16#ff",
        "1_000",
        "2#101",
        "1.5e3",
        "-",
        "+",
        "0",
        "9999999999999999999999",
        "\\",
        "'",
        "\"",
        "fun m:f/1",
        "A",
        "_",
        "\u{e9}",
        "@",
        "~",
        "#Ref<0.1.2>",
    ];
    bolero::check!().with_type::<Vec<u8>>().for_each(|choices| {
        let text: String = choices.iter().map(|n| PIECES[usize::from(*n) % PIECES.len()]).collect();
        if let Err(error) = parse_entries(&text) {
            assert!(error.line >= 1 && error.column >= 1, "{error}");
        }
        for term in parse_all(&text).unwrap_or_default() {
            assert_eq!(parse(&print(&term, None), None).as_ref(), Ok(&term), "{text}");
        }
    });
}

/// Bytes from a stranger's runtime.
#[test]
fn bytes_of_terms() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let _ = decode(&[&[131], bytes].concat());
    });
}

/// Entries are what `parse_all` reads, with their places.
#[test]
fn entries_have_places() {
    let text = "{a, 1}.\n  [{b, \"x\"},\n {c, 'd'}].\n% end\n";
    let entries = parse_entries(text).expect("good");
    let places: Vec<_> = entries.iter().map(|e| (e.line, e.column, print(&e.term, None))).collect();
    assert_eq!(
        places,
        [(1, 1, "{a,1}".into()), (2, 4, "{b,\"x\"}".into()), (3, 2, "{c,d}".into())]
            as [(usize, usize, String); 3]
    );
    assert_eq!(parse_entries("[].").expect("good"), []);
    assert!(parse_entries("[a b].").is_err_and(|e| (e.line, e.column) == (1, 4)));
}
