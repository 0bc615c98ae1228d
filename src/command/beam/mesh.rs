//! Who is connected to whom, drawn as a table of signs: a column for each node.

use lace_wire::api::BeamNode;

/// Most nodes that are drawn: wider pictures do not fit a terminal.
const DRAWN_MAX: usize = 40;

/// The picture; nothing for less than two nodes, or for too many.
///
/// `*` sees it, `+` is connected to it out of sight (gateways), `!` does not though it should, `?` does though it should
/// not, `.` neither does nor should.
pub fn lines(nodes: &[BeamNode]) -> Vec<String> {
    if !(2..=DRAWN_MAX).contains(&nodes.len()) {
        return Vec::new();
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
    }
}
