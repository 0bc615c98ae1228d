//! RabbitMQ of Debian: three nodes that join by a command, and a killed one that is a member again.

use crate::discovery::copy;
use crate::lace::{Lace, eventually, may_run};

/// The running members, as a node says.
fn running(lace: &Lace, node: &str) -> usize {
    let words = ["exec", node, "--", "sbin/rabbitmqctl", "cluster_status", "--formatter", "json", "--quiet"];
    let ran = lace.run(&words);
    // Each line has the node's name before it where there are several; one node says it as it is.
    let text: String =
        ran.out.lines().map(|line| line.rsplit_once("| ").map_or(line, |(_, rest)| rest)).collect();
    let status: serde_json::Value = match serde_json::from_str(&text) {
        Ok(status) if ran.status == 0 => status,
        _ => return 0,
    };
    status["running_nodes"].as_array().map_or(0, Vec::len)
}

#[test]
fn rabbitmq_forms_a_cluster_and_takes_a_killed_node_back() {
    if !may_run() {
        return;
    }
    let lace = Lace::up_in(227, 3);
    let dir = copy(&lace, "rabbitmq");
    lace.run(&["deploy", "rabbit", &dir.display().to_string(), "--timeout", "4m"]).ok();
    assert_eq!(lace.ready("rabbit"), 3);
    assert_eq!(running(&lace, "rabbit/rabbit/1"), 3);
    let ctl = |node: &str, words: &[&str]| {
        let line = [&["exec", node, "--", "sbin/rabbitmqctl", "--quiet"], words].concat();
        lace.run(&line)
    };
    ctl("rabbit/rabbit/1", &["add_vhost", "shop"]).ok();
    assert!(ctl("rabbit/rabbit/3", &["list_vhosts"]).ok().out.contains("shop"), "one cluster has one truth");
    let _ = lace.run(&["exec", "rabbit/rabbit/2", "--", "sh", "-c", "kill -9 $(pidof beam.smp)"]);
    eventually("the killed node is a member again", || {
        lace.ready("rabbit") == 3 && running(&lace, "rabbit/rabbit/1") == 3
    });
    assert!(ctl("rabbit/rabbit/2", &["list_vhosts"]).ok().out.contains("shop"));
    lace.down_and_nothing_left();
}
