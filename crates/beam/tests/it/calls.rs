//! Calls to a real runtime.

use crate::node::{Node, can_run};
use lace_beam::link::{Class, Settings};
use lace_beam::term::parse::{parse, parse_list};
use lace_beam::term::print::print;
use lace_beam::{Call, CallError, Link, Term};
use std::time::Duration;

fn call(module: &str, function: &str, arguments: &str) -> Call {
    Call::new(module, function, parse_list(arguments, None).unwrap())
}

async fn says(link: &Link, module: &str, function: &str, arguments: &str) -> String {
    let answer = link.call(call(module, function, arguments)).await;
    print(&answer.unwrap(), Some(&link.home()))
}

async fn until_idle(link: &Link) {
    let until = std::time::Instant::now() + Duration::from_secs(10);
    while link.calls_under_way() > 0 {
        assert!(std::time::Instant::now() < until, "{} calls are left", link.calls_under_way());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn values_and_exceptions_come_back() {
    if !can_run() {
        return;
    }
    let node = Node::start();
    let link = node.link().await;
    assert_eq!(
        says(&link, "lists", "reverse", "[1,two,\"three\"]").await,
        "[]".replace("[]", "[\"three\",two,1]")
    );
    assert_eq!(says(&link, "math", "pow", "2, 0.5").await, "1.4142135623730951");
    assert_eq!(says(&link, "erlang", "whereis", "init").await, "<0.0.0>");
    let table: [(&str, &str, &str, Class, &str); 4] = [
        ("erlang", "error", "{my,reason}", Class::Error, "{my,reason}"),
        ("erlang", "exit", "bye", Class::Exit, "bye"),
        ("erlang", "throw", "[1]", Class::Throw, "[1]"),
        ("no_such_module", "f", "1", Class::Error, "undef"),
    ];
    for (module, function, arguments, class, reason) in table {
        let Err(CallError::Raised(raised)) = link.call(call(module, function, arguments)).await else {
            panic!("{module}:{function} raised nothing");
        };
        assert_eq!((raised.class, raised.reason.to_string().as_str()), (class, reason));
        assert_eq!(raised.stack.is_some(), class == Class::Error);
    }
    let killed = link.call(call("erlang", "apply", "erlang, exit, [kill]")).await;
    assert!(matches!(killed, Err(CallError::Raised(_))), "{killed:?}");
}

/// The runtime's own `~w` is the judge of our text, and our bytes come back from it unchanged.
#[tokio::test]
async fn terms_survive_the_runtime() {
    if !can_run() {
        return;
    }
    let node = Node::start();
    let link = node.link().await;
    let texts = [
        "{atom,'With Space','\u{17c}\u{f3}\u{142}w',''}",
        "[1,-1,255,256,-129,2147483647,-2147483649,9223372036854775808,-123456789012345678901234567890]",
        "[0.1,-1.5e300,1.0e-10,0.0]",
        "<<1,2,3>>",
        "<<1,2,5:3>>",
        "[a|b]",
        "#{1 => {a},<<\"k\">> => [[]]}",
        "[[[[[]]]],{},#{}]",
        "fun lists:map/2",
    ];
    for text in texts {
        let term = parse(text, None).unwrap();
        let again = link.call(Call::new("erlang", "hd", vec![Term::List(vec![term.clone()])])).await.unwrap();
        assert_eq!(again, term, "{text}");
        let format = vec![Term::charlist("~tp"), Term::List(vec![term.clone()])];
        let theirs = link.call(Call::new("io_lib", "format", format)).await.unwrap().as_text().unwrap();
        let compact = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let read = parse(&theirs, None).unwrap_or_else(|e| panic!("{theirs}: {e}"));
        assert_eq!(read, term, "theirs is {}", compact(&theirs));
        // And what we print is what the runtime's parser reads.
        let source = Term::charlist(&format!("{}.", print(&term, None)));
        let tokens = link.call(Call::new("erl_scan", "string", vec![source])).await.unwrap();
        let tokens = tokens.as_tuple().unwrap()[1].clone();
        if !text.starts_with("fun") {
            let parsed = link.call(Call::new("erl_parse", "parse_term", vec![tokens])).await.unwrap();
            assert_eq!(parsed.as_tuple().unwrap()[1], term, "{text}");
        }
    }
    for function in ["self", "make_ref"] {
        let value = link.call(call("erlang", function, "")).await.unwrap();
        let text = print(&value, Some(&link.home()));
        assert_eq!(parse(&text, Some(&link.home())).unwrap(), value, "{text}");
    }
    let fun = link.call(call("erlang", "make_fun", "lists, map, 2")).await.unwrap();
    assert_eq!(fun.to_string(), "fun lists:map/2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_share_the_link_and_none_waits_for_another() {
    if !can_run() {
        return;
    }
    let node = Node::start();
    let link = node.link().await;
    let sleeper = tokio::spawn({
        let link = link.clone();
        async move { link.call(call("timer", "sleep", "infinity").within(Duration::from_secs(60))).await }
    });
    let mut callers = Vec::new();
    for n in 0..100i64 {
        let link = link.clone();
        callers.push(tokio::spawn(async move {
            let sum = link.call(Call::new("erlang", "+", vec![Term::Int(n), Term::Int(1)])).await;
            assert_eq!(sum, Ok(Term::Int(n + 1)));
        }));
    }
    for caller in callers {
        caller.await.unwrap();
    }
    sleeper.abort();
    until_idle(&link).await;
}

/// What is given up leaves no process behind, and more than the link carries is refused.
#[tokio::test]
async fn a_call_that_is_given_up_ends_in_the_node_too() {
    if !can_run() {
        return;
    }
    let node = Node::start();
    let link = node.link_with(&Settings { calls_max: 4, ..Settings::default() }).await;
    let count = || async { says(&link, "erlang", "system_info", "process_count").await };
    let before = count().await;
    let mut sleepers: Vec<_> = Vec::new();
    for _ in 0..4 {
        let link = link.clone();
        let call = call("timer", "sleep", "infinity").within(Duration::from_millis(300));
        sleepers.push(tokio::spawn(async move { link.call(call).await }));
    }
    while link.calls_under_way() < 4 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(link.call(call("erlang", "node", "")).await, Err(CallError::Busy));
    for sleeper in sleepers {
        assert_eq!(sleeper.await.unwrap(), Err(CallError::Deadline));
    }
    until_idle(&link).await;
    assert_eq!(count().await, before);
}

#[tokio::test]
async fn what_a_call_prints_is_kept_within_bounds() {
    if !can_run() {
        return;
    }
    let node = Node::start();
    let link = node.link().await;
    let answer =
        link.answer(call("io", "format", "\"~p is ~ts~n\", [{a,1},\"\u{17c}\"]").printing(1000)).await;
    assert_eq!(answer.result, Ok(Term::atom("ok")));
    assert_eq!(answer.output, "{a,1} is \u{17c}\n");
    let answer = link.answer(call("io", "put_chars", "\"0123456789\"").printing(4)).await;
    assert_eq!((answer.output.as_str(), answer.output_is_cut), ("0123", true));
    let answer = link.answer(call("io", "put_chars", "\"0123456789\"")).await;
    assert!(matches!(answer.result, Err(CallError::Raised(_))), "{answer:?}");
    // Reading is refused, so nothing waits for a keyboard.
    let answer = link.answer(call("io", "get_line", "\"> \"").printing(100)).await;
    assert_eq!(answer.result.unwrap().to_string(), "{error,enotsup}");
}

#[tokio::test]
async fn an_answer_beyond_the_bound_is_refused_and_the_link_goes_on() {
    if !can_run() {
        return;
    }
    let node = Node::start();
    let link = node.link_with(&Settings { message_bytes_max: 100_000, ..Settings::default() }).await;
    let large = link.call(call("binary", "copy", "<<1>>, 10000000")).await;
    assert!(matches!(large, Err(CallError::Large(_))), "{large:?}");
    let large = link.call(Call::new("erlang", "hd", vec![Term::Binary(vec![0; 200_000])])).await;
    assert!(matches!(large, Err(CallError::Arguments(_))), "{large:?}");
    assert_eq!(says(&link, "lists", "seq", "1, 3").await, "[1,2,3]");
}

/// Nothing of ours piles up in the user's runtime.
#[tokio::test]
async fn ten_thousand_calls_leave_no_trace_in_the_runtime() {
    if !can_run() {
        return;
    }
    let node = Node::start();
    let link = node.link().await;
    let count = |what: &'static str| {
        let link = link.clone();
        async move { link.call(call("erlang", "system_info", what)).await.unwrap().as_count().unwrap() }
    };
    // The first calls load code and bring the words that they are made of.
    for what in ["atom_count", "process_count", "ets_count"] {
        count(what).await;
    }
    link.call(call("erlang", "abs", "1")).await.unwrap();
    let before = (count("atom_count").await, count("process_count").await, count("ets_count").await);
    for _ in 0..100 {
        let one = |n: i64| {
            let link = link.clone();
            async move { link.call(Call::new("erlang", "abs", vec![Term::Int(-n)])).await }
        };
        let mut hundred: tokio::task::JoinSet<_> = (0..100).map(one).collect();
        while let Some(one) = hundred.join_next().await {
            one.unwrap().unwrap();
        }
    }
    let after = (count("atom_count").await, count("process_count").await, count("ets_count").await);
    assert_eq!(after, before);
}
