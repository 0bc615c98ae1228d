//! A runtime's numbers against its own words.

use crate::node::{Node, can_run};
use lace_beam::vm::{Ranker, Sampler, report};
use lace_beam::{Call, Term};
use std::time::Duration;

const WITHIN: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_sample_is_what_the_runtime_says_of_itself() {
    if !can_run() {
        return;
    }
    let node = Node::start();
    let link = node.link().await;
    let sampler = Sampler::prepare(&link).await.unwrap();
    // The first one loads the evaluator.
    sampler.sample(&link, WITHIN).await.unwrap();
    let first = sampler.sample(&link, WITHIN).await.unwrap();
    let inside = link.call(Call::new("erlang", "memory", vec![])).await.unwrap();
    let total = inside.property("total").unwrap().as_count().unwrap();
    let near = |a: u64, b: u64| a.abs_diff(b) < b / 10;
    assert!(near(first.memory.total, total), "{} is not near {total}", first.memory.total);
    assert_eq!(first.memory.processes + first.memory.system, first.memory.total);
    let atoms = link.call(Call::new("erlang", "system_info", vec![Term::atom("atom_count")])).await.unwrap();
    assert_eq!(first.atoms.count, atoms.as_count().unwrap());
    assert_eq!(first.atoms.limit, 1_048_576);
    assert_eq!((first.word_bytes, first.schedulers, first.schedulers_online), (8, 1, 1));
    assert_eq!(first.peers, [], "we are not a member");
    assert!(first.processes.count > 10 && first.ets.count > 5 && first.uptime_ms > 0);
    let second = sampler.sample(&link, WITHIN).await.unwrap();
    assert!(second.reductions > first.reductions);
    assert!(second.received > first.received && second.sent > first.sent);
    assert_eq!(second.atoms, first.atoms, "samples leave no atoms");
    let names: Vec<_> = second.metrics().iter().map(|m| m.name).collect();
    assert!(names.contains(&"erlang_vm_memory_bytes") && names.contains(&"erlang_vm_processes"));
}

#[tokio::test]
async fn the_largest_processes_are_found_by_each_rank() {
    if !can_run() {
        return;
    }
    let node = Node::start();
    let link = node.link().await;
    // One has the most memory, one has done the most, and one is the most behind.
    let three = "
        All = [{hog, fun() -> put(a, lists:seq(1, 300000)) end},
               {busy, fun() -> [lists:sum(lists:seq(1, 1000)) || _ <- lists:seq(1, 20000)], garbage_collect() end},
               {behind, fun() -> ok end}],
        [spawn(fun() -> Begin(), register(Name, self()), receive never -> ok end end) || {Name, Begin} <- All], ok.";
    let script = lace_beam::vm::Script::prepare(&link, three).await.unwrap();
    script.run(&link, &[], WITHIN).await.unwrap();
    for name in ["hog", "busy", "behind"] {
        let whereis = || link.call(Call::new("erlang", "whereis", vec![Term::atom(name)]));
        while whereis().await.unwrap().as_atom().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    for n in 0..500 {
        let message = vec![Term::atom("behind"), Term::Int(n)];
        link.call(Call::new("erlang", "send", message)).await.unwrap();
    }
    let ranker = Ranker::prepare(&link).await.unwrap();
    let firsts = ranker.top(&link, 1, WITHIN).await.unwrap().top;
    let names: Vec<_> = firsts.iter().map(|one| one.name.as_str()).collect();
    assert!(
        firsts.len() == 3 && ["hog", "busy", "behind"].iter().all(|name| names.contains(name)),
        "{firsts:?}"
    );
    assert!(firsts[0].name == "hog" && firsts[0].memory > 4_000_000, "by memory: {firsts:?}");
    let top = ranker.top(&link, 3, WITHIN).await.unwrap();
    let behind = top.top.iter().find(|one| one.name == "behind").unwrap();
    assert!(behind.messages >= 500 && behind.pid.starts_with("<0."), "{behind:?}");
    assert!(top.top.len() >= 3 && top.top.len() <= 9 && top.looked_at + 1 == top.processes);
    assert!(top.top.iter().any(|p| p.function.contains('/')));
}

#[tokio::test]
async fn a_report_names_the_applications_and_the_nodes() {
    if !can_run() {
        return;
    }
    let node = Node::start();
    let link = node.link().await;
    let said = report(&link, WITHIN).await.unwrap();
    assert_eq!(said.state, "started");
    assert!(said.otp.parse::<u32>().unwrap() >= 25, "{}", said.otp);
    assert_eq!((said.nodes.len(), said.hidden.len()), (0, 0), "{said:?}");
    let names: Vec<_> = said.applications.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["kernel", "stdlib"]);
}
