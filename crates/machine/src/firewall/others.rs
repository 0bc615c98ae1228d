//! Other firewalls of the host, which see the packets of nodes too.
//!
//! An `accept` ends the judgement of one table only, so a forward chain whose policy is drop (Docker, ufw) or that ends
//! with a reject (firewalld) silences every node. Where there is one, two rules at its head let pass what comes from or
//! goes to a node's interface. Our own table still judges it. The rules carry the installation's name as their comment,
//! by which they are found again and removed.

use serde_json::Value;

use super::{ask, nft};
use crate::error::Result;

/// Tables of ours start so.
const OURS: &str = "lace-";
/// Tables whose chains close although their policy is accept: they end with a reject.
const CLOSING_TABLES: [&str; 1] = ["firewalld"];

/// A base chain of somebody else that may drop packets of nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Family, table and chain: how nft calls it.
    name: String,
    forward: bool,
}

impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// What others do with the packets of this host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Others {
    /// Chains that would drop what nodes send or get.
    pub closing: Vec<Chain>,
    /// Somebody else judges what is forwarded, so that is not for us to close.
    pub judge_forwards: bool,
}

impl Others {
    /// Looks at the base chains of the host.
    pub fn look() -> Result<Others> {
        Ok(Others::of(&ask(&["-j", "list", "chains"])?))
    }

    pub(crate) fn of(answer: &Value) -> Others {
        let mut others = Others::default();
        for chain in objects(answer, "chain") {
            let text = |key: &str| chain[key].as_str().unwrap_or_default();
            let (family, table, hook) = (text("family"), text("table"), text("hook"));
            let forward = hook == "forward";
            if table.starts_with(OURS) || text("type") != "filter" || !matches!(family, "ip" | "inet") {
                continue;
            }
            others.judge_forwards |= forward;
            let closing = text("policy") == "drop" || CLOSING_TABLES.contains(&table);
            if closing && (forward || hook == "input") {
                let name = format!("{family} {table} {}", text("name"));
                others.closing.push(Chain { name, forward });
            }
        }
        others
    }

    /// Puts our rules at the head of every closing chain that lacks them.
    pub fn open(&self, installation: &str, links: &str) -> Result<()> {
        let mark = mark(installation);
        for chain in &self.closing {
            if !rules_of(&ask(&list(chain))?, &mark).is_empty() {
                continue;
            }
            let ways: &[&str] = if chain.forward { &["iifname", "oifname"] } else { &["iifname"] };
            let rule =
                |way: &&str| format!("insert rule {chain} {way} \"{links}*\" accept comment \"{mark}\"\n");
            nft(&ways.iter().map(rule).collect::<String>())?;
        }
        Ok(())
    }

    /// Removes our rules.
    pub fn close(&self, installation: &str) -> Result<()> {
        let mark = mark(installation);
        for chain in &self.closing {
            let handles = rules_of(&ask(&list(chain))?, &mark);
            let delete = |handle: &u64| format!("delete rule {chain} handle {handle}\n");
            nft(&handles.iter().map(delete).collect::<String>())?;
        }
        Ok(())
    }
}

fn mark(installation: &str) -> String {
    format!("{OURS}{installation}")
}

fn list(chain: &Chain) -> Vec<&str> {
    ["-j", "-a", "list", "chain"].into_iter().chain(chain.name.split(' ')).collect()
}

fn objects<'a>(answer: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    answer["nftables"].as_array().into_iter().flatten().filter_map(move |object| object.get(kind))
}

fn rules_of(answer: &Value, mark: &str) -> Vec<u64> {
    objects(answer, "rule").filter(|r| r["comment"] == mark).filter_map(|r| r["handle"].as_u64()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(table: &str, hook: &str, policy: &str, closing: bool, judge: bool) {
        let chain = json!({"family": "ip", "table": table, "name": "C", "type": "filter", "hook": hook,
            "prio": 0, "policy": policy});
        let others = Others::of(&json!({"nftables": [{"metainfo": {}}, {"chain": chain}]}));
        assert_eq!((others.closing.len() == 1, others.judge_forwards), (closing, judge), "{table} {hook}");
    }

    #[test]
    fn closing_chains_are_known() {
        check("filter", "forward", "drop", true, true);
        check("filter", "forward", "accept", false, true);
        check("filter", "input", "drop", true, false);
        check("firewalld", "forward", "accept", true, true);
        check("lace-72313c", "forward", "drop", false, false);
        check("filter", "output", "drop", false, false);
    }
}
