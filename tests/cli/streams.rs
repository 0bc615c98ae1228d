//! Commands in nodes, logs, shells, files: many streams, one answer.

use crate::fake::{Fake, NOW};
use crate::samples::{self, uuid};
use bytes::Bytes;
use lace_model::{Code, Problem};
use lace_wire::api::{StreamAction, StreamOpen};
use lace_wire::stream::{LogLine, StreamFrame};

fn out(text: &str) -> StreamFrame {
    StreamFrame::Stdout(Bytes::copy_from_slice(text.as_bytes()))
}

fn err(text: &str) -> StreamFrame {
    StreamFrame::Stderr(Bytes::copy_from_slice(text.as_bytes()))
}

fn cluster() -> Fake {
    let fake = Fake::start();
    fake.on("GET /v1/nodes", samples::nodes());
    fake
}

fn argv(open: &StreamOpen) -> Vec<String> {
    match &open.action {
        StreamAction::Exec { argv, .. } => argv.clone(),
        _ => Vec::new(),
    }
}

#[test]
fn the_highest_status_wins() {
    let cases: [(&[Option<i32>; 3], u8); 5] = [
        (&[Some(0), Some(0), Some(0)], 0),
        (&[Some(0), Some(3), Some(1)], 3),
        (&[Some(0), None, Some(1)], 125),
        (&[Some(137), None, Some(0)], 137),
        (&[Some(300), Some(0), Some(0)], 255),
    ];
    for (statuses, exit) in cases {
        let fake = cluster();
        let statuses = *statuses;
        fake.says(move |open| {
            let index: usize = open.target.rsplit('/').next().and_then(|n| n.parse().ok()).expect("n");
            vec![match statuses[index - 1] {
                Some(status) => StreamFrame::Exit(status),
                None => StreamFrame::Failed(Problem::new(Code::NodeUnreachable, "its host is away")),
            }]
        });
        let ran = fake.lace(&["exec", "shop/game", "--", "true"]);
        assert_eq!(ran.exit, exit, "{statuses:?}: {ran:?}");
    }
}

#[test]
fn output_carries_the_node_and_ends_with_a_summary() {
    let fake = cluster();
    fake.says(|open| {
        let n = open.target.rsplit('/').next().expect("n").to_owned();
        let status = i32::from(n == "2");
        vec![out("hel"), out(&format!("lo {n}\nrest")), err("bad\n"), StreamFrame::Exit(status)]
    });
    let ran = fake.lace(&["exec", "shop/game", "--parallel", "1", "--", "greet"]);
    let mut lines: Vec<&str> = ran.out.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "shop/game/1 | hello 1",
            "shop/game/1 | rest",
            "shop/game/2 | hello 2",
            "shop/game/2 | rest",
            "shop/game/3 | hello 3",
            "shop/game/3 | rest"
        ]
    );
    assert!(ran.err.contains("shop/game/2 | bad\n"), "{ran:?}");
    assert!(ran.err.contains("3 nodes: 2 ended with 0; shop/game/2 with 1\n"), "{ran:?}");
    assert_eq!(ran.exit, 1);
}

#[test]
fn one_node_is_as_if_it_ran_here() {
    let fake = cluster();
    fake.says(|_| vec![out("raw \x00 bytes"), err("oops"), StreamFrame::Exit(7)]);
    let ran = fake.lace(&["exec", "shop/game/2", "--", "x"]);
    assert_eq!((ran.out.as_str(), ran.err.as_str(), ran.exit), ("raw \x00 bytes", "oops", 7));
    fake.lace(&["exec", "shop/game", "--first", "--", "x"]);
    assert_eq!(fake.opened().last().expect("opened").target, "shop/game/game/1");
}

#[test]
fn words_are_filled_for_each_node() {
    let fake = cluster();
    fake.says(|_| vec![StreamFrame::Exit(0)]);
    fake.lace(&["exec", "shop/game/2", "--", "{{index}}", "{{self}}", "g@{{first}}", "{{all}}"]);
    let name = |n: u32| format!("game-{n}.game.shop.lace.internal");
    let all = format!("{},{},{}", name(1), name(2), name(3));
    let expected = ["2".to_owned(), name(2), format!("g@{}", name(1)), all];
    assert_eq!(argv(&fake.opened()[0]), expected);
}

#[test]
fn the_input_goes_to_one_node() {
    let fake = cluster();
    fake.says(|_| vec![StreamFrame::Stdin(Bytes::new()), StreamFrame::Exit(0)]);
    let ran = fake.line().input("some input").run(&["exec", "-i", "shop/game/1", "--", "cat"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert_eq!(fake.taken(), b"some input");
    assert_eq!(fake.lace(&["exec", "-i", "shop/game", "--", "cat"]).exit, 125);
}

#[test]
fn json_of_exec_has_each_node() {
    let fake = cluster();
    fake.says(|_| vec![out("hi\n"), StreamFrame::Exit(0)]);
    let ran = fake.lace(&["exec", "shop/game", "--format", "json", "--", "x"]);
    let json = ran.json();
    assert_eq!(json[1]["node"], "shop/game/2");
    assert_eq!(json[1]["stdout"], "hi\n");
    assert_eq!(json[1]["status"], 0);
    let ran = fake.lace(&["exec", "shop/game/1", "--format", "jsonl", "--", "x"]);
    let first = ran.out.lines().next().expect("a line");
    assert_eq!(first, r#"{"node":"shop/game/1","stream":"stdout","text":"hi"}"#);
}

#[test]
fn a_stream_that_breaks_is_a_failure_of_lace() {
    let fake = cluster();
    fake.says(|_| vec![out("half")]);
    let ran = fake.lace(&["exec", "shop/game/1", "--", "x"]);
    assert_eq!(ran.exit, 125, "{ran:?}");
    assert!(ran.err.contains("without a status"), "{ran:?}");
}

fn line(at: u64, text: &str) -> StreamFrame {
    StreamFrame::Line(LogLine { at, stderr: false, text: text.into() })
}

#[test]
fn logs_of_many_nodes_are_in_the_order_of_time() {
    let fake = cluster();
    fake.says(|open| {
        let n: u64 = open.target.rsplit('/').next().and_then(|n| n.parse().ok()).expect("n");
        vec![line(NOW + n, &format!("a{n}")), line(NOW + 10 - n, &format!("b{n} error"))]
    });
    let ran = fake.lace(&["logs", "shop/game"]);
    let texts: Vec<&str> = ran.out.lines().map(|l| l.rsplit("| ").next().expect("text")).collect();
    assert_eq!(texts, ["a1", "a2", "a3", "b3 error", "b2 error", "b1 error"]);
    assert!(ran.out.starts_with("shop/game/1 | a1\n"), "{ran:?}");
    let ran = fake.lace(&["logs", "shop/game/2", "--grep", "err.r", "--time"]);
    assert_eq!(ran.out, "2027-01-15T08:00:00.008Z b2 error\n");
}

#[test]
fn logs_ask_for_what_was_said() {
    let fake = cluster();
    let ask = |words: &[&str]| {
        fake.lace(words);
        fake.opened().last().expect("opened").action.clone()
    };
    let logs = |since, until, tail, follow| StreamAction::Logs { since, until, tail, follow };
    assert_eq!(ask(&["logs", "shop/game/1"]), logs(None, None, Some(200), false));
    assert_eq!(
        ask(&["logs", "shop/game/1", "--since", "1h", "-n", "5", "-f"]),
        logs(Some(NOW - 3_600_000), None, Some(5), true)
    );
    assert_eq!(ask(&["logs", "shop/game/1", "--previous"]), logs(None, Some(NOW - 91_001), Some(200), false));
    assert_eq!(fake.lace(&["logs", "shop/game/1", "--since", "yesterday"]).exit, 2);
    assert_eq!(ask(&["job", "logs", &uuid(4)]), logs(None, None, Some(200), false));
    assert_eq!(fake.opened().last().expect("opened").target, format!("job:{}", uuid(4)));
}

#[test]
fn logs_fail_only_where_no_node_answers() {
    let fake = cluster();
    fake.says(|open| match open.target.ends_with("/2") {
        true => vec![StreamFrame::Failed(Problem::new(Code::NodeUnreachable, "away"))],
        false => vec![line(NOW, "here")],
    });
    let ran = fake.lace(&["logs", "shop/game"]);
    assert_eq!(ran.exit, 0);
    assert!(ran.err.contains("shop/game/2: away"), "{ran:?}");
    assert_eq!(fake.lace(&["logs", "shop/game/2"]).exit, 1);
}

#[test]
fn a_shell_without_terminal_reads_its_input() {
    let fake = cluster();
    fake.says(|_| vec![StreamFrame::Stdin(Bytes::new()), out("done\n"), StreamFrame::Exit(3)]);
    let ran = fake.line().input("exit 3\n").run(&["shell", "shop/game/1"]);
    assert_eq!((ran.exit, ran.out.as_str()), (3, "done\n"), "{ran:?}");
    assert_eq!(fake.taken(), b"exit 3\n");
    assert_eq!(argv(&fake.opened()[0]), Vec::<String>::new());
}

#[test]
fn files_go_in_as_tar() {
    let fake = cluster();
    fake.says(|_| vec![StreamFrame::Stdin(Bytes::new()), StreamFrame::Exit(0)]);
    std::fs::write(fake.dir().join("a.conf"), "content").expect("written");
    let ran = fake.lace(&["cp", "a.conf", "shop/game/2:/etc/game.conf"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert_eq!(fake.opened()[0].action, StreamAction::CopyIn { path: "/etc/".into() });
    let bytes = fake.taken();
    let mut tar = tar::Archive::new(bytes.as_slice());
    let names: Vec<String> = tar
        .entries()
        .expect("tar")
        .map(|entry| entry.expect("entry").path().expect("path").display().to_string())
        .collect();
    assert_eq!(names, ["game.conf"]);
}

#[test]
fn files_come_out_whole_or_not_at_all() {
    let fake = cluster();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    tar.append_data(&mut header, "log/a", &b"text"[..]).expect("tar");
    let bytes = tar.into_inner().expect("tar");
    let half = bytes[..600].to_vec();
    fake.says(move |_| vec![StreamFrame::Stdout(bytes.clone().into()), StreamFrame::Exit(0)]);
    assert_eq!(fake.lace(&["cp", "shop/game/2:/var/log", "logs"]).exit, 0);
    let text = std::fs::read_to_string(fake.dir().join("logs/a")).expect("there");
    assert_eq!(text, "text");
    assert_eq!(fake.lace(&["cp", "shop/game/2:/var/logs", "."]).exit, 8, "it is there already");
    fake.says(move |_| vec![StreamFrame::Stdout(half.clone().into())]);
    assert_ne!(fake.lace(&["cp", "shop/game/2:/var/log", "other"]).exit, 0);
    let left: Vec<_> = std::fs::read_dir(fake.dir()).expect("dir").flatten().collect();
    assert_eq!(left.len(), 1, "nothing half done is left: {left:?}");
}

#[test]
fn copies_know_which_side_is_the_node() {
    let fake = cluster();
    for words in [["cp", "a", "b"], ["cp", "shop/game/1:/a", "shop/game/2:/b"], ["cp", "a", "shop/game/1:b"]]
    {
        assert_eq!(fake.lace(&words).exit, 2, "{words:?}");
    }
}
