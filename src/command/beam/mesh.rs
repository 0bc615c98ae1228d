//! Who is connected to whom, drawn as a table of signs: a column for each node.

use lace_wire::api::{BeamNode, BeamPart};

/// Most nodes that are drawn: wider pictures do not fit a terminal.
const DRAWN_MAX: usize = 40;

/// The picture, for less than two nodes nothing; for too many a line for each part.
///
/// `*` sees it, `+` is connected to it out of sight (gateways), `!` does not though it should, `?` does though it should
/// not, `.` neither does nor should.
pub fn lines(nodes: &[BeamNode]) -> Vec<String> {
    if nodes.len() < 2 {
        return Vec::new();
    }
    if nodes.len() > DRAWN_MAX {
        return parts(nodes);
    }
    let widest = nodes.iter().map(|node| label(node).chars().count()).max().unwrap_or_default();
    let width = widest.max("connected to".len());
    let numbers: String = (1..=nodes.len()).map(|n| format!(" {n:>2}")).collect();
    let mut lines = vec![String::new(), format!("{:width$}    {numbers}", "connected to")];
    for (n, from) in nodes.iter().enumerate() {
        let signs: String =
            nodes.iter().map(|to| format!("  {}", from.report.tie(&to.report).sign())).collect();
        lines.push(format!("{:width$}  {:>2}{signs}", label(from), n + 1));
    }
    lines
}

/// More than can be drawn, in numbers.
fn parts(nodes: &[BeamNode]) -> Vec<String> {
    let line = |part: &BeamPart| {
        let BeamPart { name, nodes, connected, planned, deviating } = part;
        let deviating = match deviating {
            0 => String::new(),
            n => format!(", {n} not as planned"),
        };
        format!("{name}: {nodes} nodes, {connected} of {planned} planned connections{deviating}")
    };
    std::iter::once(String::new()).chain(BeamPart::of(nodes).iter().map(line)).collect()
}

fn label(node: &BeamNode) -> String {
    let path = node.path.short();
    match (node.report.cluster, &node.report.group) {
        (Some(cluster), _) => format!("{path} (cluster {cluster})"),
        (None, Some(group)) => format!("{path} (group {group})"),
        (None, None) => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lace_wire::beam::BeamReport;

    #[test]
    fn each_sign_says_what_is_and_what_should_be() {
        let text = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let node = |n: u32, planned: &[&str], nodes: &[&str], gateways: &[&str], hidden: &[&str]| BeamNode {
            path: format!("shop/game/{n}").parse().expect("a place"),
            report: BeamReport {
                name: format!("g@{n}"),
                planned: text(planned),
                nodes: text(nodes),
                gateways: text(gateways),
                hidden: text(hidden),
                cluster: Some(1 + n / 3),
                ..BeamReport::default()
            },
        };
        let nodes = [
            node(1, &["g@2"], &["g@2"], &["g@3"], &["g@3"]),
            node(2, &["g@1"], &["g@3"], &[], &[]),
            node(3, &[], &[], &["g@1"], &[]),
        ];
        let expected = [
            "",
            "connected to                 1  2  3",
            "shop/game/1 (cluster 1)   1  -  *  +",
            "shop/game/2 (cluster 1)   2  !  -  ?",
            "shop/game/3 (cluster 2)   3  !  .  -",
        ];
        assert_eq!(lines(&nodes), expected);
        // Too many to draw: five clusters of nine, of which two lack a connection.
        let many: Vec<_> = (0..45)
            .map(|n| {
                let seen: &[&str] = if n == 3 || n == 20 { &[] } else { &["g@0"] };
                let mut node = node(n + 1, &["g@0"], seen, &[], &[]);
                node.report.cluster = Some(1 + n / 9);
                node
            })
            .collect();
        let expected = [
            "",
            "cluster 1: 9 nodes, 8 of 9 planned connections, 1 not as planned",
            "cluster 2: 9 nodes, 9 of 9 planned connections",
            "cluster 3: 9 nodes, 8 of 9 planned connections, 1 not as planned",
            "cluster 4: 9 nodes, 9 of 9 planned connections",
            "cluster 5: 9 nodes, 9 of 9 planned connections",
        ];
        assert_eq!(lines(&many), expected);
    }
}
