//! The kernel's settings of one node, as an Erlang term file.

use lace_model::beam::Beam;
use lace_model::group::GlobalGroup;

/// An atom, quoted.
pub fn atom(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A list of quoted atoms.
pub fn atoms<'a>(texts: impl IntoIterator<Item = &'a String>) -> String {
    let quoted: Vec<_> = texts.into_iter().map(|text| atom(text)).collect();
    format!("[{}]", quoted.join(","))
}

/// The file for `node`; `all` are the family's names by index, itself included, and `of` tells the name at any index.
///
/// With failover, kernel `distributed` names the first node as master and the next ones as its backups, the same on all
/// nodes; the others are waited for at boot (optional: a lone node must come up). A node that is alone waits for nobody.
pub fn text(beam: &Beam, node: &str, all: &[(u32, String)], of: impl Fn(u32) -> String) -> String {
    let mut kernel = Vec::new();
    if !beam.groups.is_empty() {
        kernel.push(ranges(beam, of));
    } else if beam.global_groups {
        kernel.push(groups(beam, all, of));
    }
    let all: &[String] = &all.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>();
    if let Some(application) = &beam.failover {
        let others: Vec<_> = all.iter().filter(|name| *name != node).cloned().collect();
        kernel.push(distributed(application, beam, all));
        if beam.votes {
            // OTP starts it nowhere by itself: who holds the votes is permitted.
            kernel.push(format!("{{permissions,[{{{},false}}]}}", atom(application)));
        }
        if !others.is_empty() {
            kernel.push("{sync_nodes_mandatory,[]}".to_owned());
            kernel.push(format!("{{sync_nodes_optional,{}}}", atoms(&others)));
            kernel.push(format!("{{sync_nodes_timeout,{}}}", beam.sync_timeout.0));
        }
    }
    format!("[{{kernel,[{}]}}].\n", kernel.join(",\n  "))
}

/// Each cluster of the family as a global group, with all nodes that it may ever have: nodes share names when they know
/// the same of their own group, and one that was there first cannot be told of more.
fn groups(beam: &Beam, all: &[(u32, String)], of: impl Fn(u32) -> String) -> String {
    let mut clusters: Vec<u32> = all.iter().map(|(index, _)| beam.cluster_of(*index)).collect();
    clusters.dedup();
    let group = |n: u32| {
        let names: Vec<_> = beam.of_cluster(n).map(&of).collect();
        format!("{{cluster_{},{}}}", n + 1, atoms(&names))
    };
    format!("{{global_groups,[{}]}}", clusters.into_iter().map(group).collect::<Vec<_>>().join(","))
}

/// Each range of indexes as a global group, whoever of it is there: all nodes have the same list for ever.
fn ranges(beam: &Beam, of: impl Fn(u32) -> String) -> String {
    let group = |(name, group): (&String, &GlobalGroup)| {
        let names: Vec<_> = (group.first..=group.last).map(&of).collect();
        let sight = if group.hidden { ",hidden" } else { "" };
        format!("{{{}{sight},{}}}", atom(name), atoms(&names))
    };
    format!("{{global_groups,[{}]}}", beam.groups.iter().map(group).collect::<Vec<_>>().join(","))
}

fn distributed(application: &str, beam: &Beam, all: &[String]) -> String {
    let backups: Vec<_> = all.iter().skip(1).take(beam.backups as usize).map(|name| atom(name)).collect();
    let master = all.first().map(|name| atom(name)).unwrap_or_default();
    let nodes = match (backups.as_slice(), beam.takeover) {
        ([], _) => format!("[{master}]"),
        (backups, true) => format!("[{master},{{{}}}]", backups.join(",")),
        // All equal: nobody is preferred, so nobody takes it over when it comes back.
        (backups, false) => format!("[{{{master},{}}}]", backups.join(",")),
    };
    format!("{{distributed,[{{{},{},{nodes}}}]}}", atom(application), beam.failover_timeout.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(beam: &Beam, node: &str, all: &[(u32, String)]) -> String {
        super::text(beam, node, all, |index| format!("ball@10.77.0.{index}"))
    }

    #[test]
    fn groups_name_all_of_their_indexes_whoever_is_there() {
        let groups = [("left", "1-2"), ("right", "4-5 hidden")];
        let groups = groups.map(|(name, range)| (name.to_owned(), range.parse().unwrap()));
        let beam = Beam { groups: groups.into(), ..Beam::default() };
        let expected = "[{kernel,[{global_groups,[{'left',['ball@10.77.0.1','ball@10.77.0.2']},\
            {'right',hidden,['ball@10.77.0.4','ball@10.77.0.5']}]}]}].\n";
        assert_eq!(text(&beam, "ball@10.77.0.1", &names(1)), expected);
        assert!(beam.is_near(1, 2) && !beam.is_near(2, 4) && beam.is_near(3, 9) && !beam.is_near(3, 1));
    }

    fn names(count: u32) -> Vec<(u32, String)> {
        (1..=count).map(|n| (n, format!("ball@10.77.0.{n}"))).collect()
    }

    #[test]
    fn three_nodes_get_the_settings_that_were_tried_by_hand() {
        let beam = Beam { failover: Some("ball".into()), backups: 2, votes: false, ..Beam::default() };
        let expected =
            "[{kernel,[{distributed,[{'ball',2000,['ball@10.77.0.1',{'ball@10.77.0.2','ball@10.77.0.3'}]}]},
  {sync_nodes_mandatory,[]},
  {sync_nodes_optional,['ball@10.77.0.1','ball@10.77.0.3']},
  {sync_nodes_timeout,5000}]}].\n";
        assert_eq!(text(&beam, "ball@10.77.0.2", &names(3)), expected);
    }

    #[test]
    fn clusters_are_global_groups_where_that_is_wanted() {
        let beam = Beam { cluster_size: 2, global_groups: true, ..Beam::default() };
        let expected = "[{kernel,[{global_groups,[{cluster_1,['ball@10.77.0.1','ball@10.77.0.2']},\
            {cluster_2,['ball@10.77.0.3','ball@10.77.0.4']}]}]}].\n";
        assert_eq!(text(&beam, "ball@10.77.0.1", &names(3)), expected);
    }

    #[test]
    fn a_lone_node_waits_for_nobody_and_without_failover_nothing_is_set() {
        let beam = Beam { failover: Some("ball".into()), votes: false, ..Beam::default() };
        let lone = text(&beam, "ball@10.77.0.1", &names(1));
        assert_eq!(lone, "[{kernel,[{distributed,[{'ball',2000,['ball@10.77.0.1']}]}]}].\n");
        assert_eq!(text(&Beam::default(), "a@b", &names(3)), "[{kernel,[]}].\n");
        let voted = Beam { votes: true, ..beam };
        assert!(text(&voted, "ball@10.77.0.1", &names(1)).contains("{permissions,[{'ball',false}]}"));
    }
}
