//! `{{first}}`, `{{self}}`, `{{all}}`, `{{index}}` in the words of a command.

use lace_model::{FamilyPath, NodePath};
use std::collections::BTreeMap;

/// The nodes of each family, in the order of their indices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places(BTreeMap<FamilyPath, Vec<NodePath>>);

impl Places {
    /// From nodes in order.
    pub fn of<'a>(nodes: impl Iterator<Item = &'a NodePath>) -> Self {
        let mut families: BTreeMap<FamilyPath, Vec<NodePath>> = BTreeMap::new();
        for node in nodes {
            families.entry(node.family.clone()).or_default().push(node.clone());
        }
        Self(families)
    }

    /// The words as one node gets them. A word stays one word.
    pub fn expand(&self, words: &[String], node: &NodePath) -> Vec<String> {
        let family = self.0.get(&node.family).map(Vec::as_slice).unwrap_or_default();
        let first = family.first().unwrap_or(node).fqdn();
        let all: Vec<String> = family.iter().map(NodePath::fqdn).collect();
        let values = [
            ("{{first}}", first),
            ("{{self}}", node.fqdn()),
            ("{{all}}", all.join(",")),
            ("{{index}}", node.index.to_string()),
        ];
        let fill =
            |word: &String| values.iter().fold(word.clone(), |word, (name, value)| word.replace(name, value));
        words.iter().map(fill).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_filled_for_each_node() {
        let nodes: Vec<NodePath> =
            ["shop/game/1", "shop/game/2"].iter().map(|n| n.parse().expect("node")).collect();
        let places = Places::of(nodes.iter());
        let words: Vec<String> =
            ["ping", "g@{{first}}", "{{index}}:{{self}}", "{{all}}", "{{x}}"].map(str::to_owned).to_vec();
        assert_eq!(
            places.expand(&words, &nodes[1]),
            [
                "ping",
                "g@game-1.game.shop.lace.internal",
                "2:game-2.game.shop.lace.internal",
                "game-1.game.shop.lace.internal,game-2.game.shop.lace.internal",
                "{{x}}"
            ]
        );
    }
}
