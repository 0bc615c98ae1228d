//! Figures: what nodes of packages say of themselves in numbers.

use serde::{Deserialize, Serialize};

/// Most figures of one node; more are left out.
pub const FIGURES_MAX: usize = 200;
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Longest labels of one figure, in bytes.
const LABELS_BYTES_MAX: usize = 512;

/// A figure at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Its name.
    pub name: String,
    /// Its labels as they stand in Prometheus text, without braces: `code="200",method="GET"`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub labels: String,
    /// Its value; never infinite, never no number.
    pub value: f64,
}

/// Reads `NAME VALUE` lines and Prometheus text (exposition format 0.0.4); what is neither is passed over. The moments that
/// Prometheus text may name are not read.
pub fn read_figures(text: &str) -> Vec<Figure> {
    text.lines().filter_map(|line| read_line(line.trim())).take(FIGURES_MAX).collect()
}

fn read_line(line: &str) -> Option<Figure> {
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))?;
    let (name, rest) = line.split_at(end);
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inside) => split_labels(inside)?,
        None => ("", rest),
    };
    let value = rest.split_whitespace().next()?.parse::<f64>().ok().filter(|value| value.is_finite())?;
    let labels = labels.trim_end_matches([',', ' ']);
    if labels.len() > LABELS_BYTES_MAX || labels.chars().any(char::is_control) {
        return None;
    }
    Some(Figure { name: name.into(), labels: labels.into(), value })
}

/// What stands before the brace that ends the labels, and what comes after it. Values of labels may hold braces.
fn split_labels(text: &str) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '}' if !quoted => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_prometheus_text_are_read_and_the_rest_is_passed_over() {
        let text = "# HELP x y\nclients 3\nhits_total{code=\"2}0\",m=\"a\\\"b\",} 1.5e3 1700000000\nnan NaN\n9 9\nodd\n\
                    load{ 1\nused 7 # of 9\n";
        let read: Vec<_> = read_figures(text).into_iter().map(|f| (f.name, f.labels, f.value)).collect();
        let expected =
            [("clients", "", 3.0), ("hits_total", r#"code="2}0",m="a\"b""#, 1500.0), ("used", "", 7.0)];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(name, labels, value)| (name.to_owned(), labels.to_owned(), value))
            .collect();
        assert_eq!(read, expected);
        let many: String = (0..500).map(|n| format!("f{n} {n}\n")).collect();
        assert_eq!(read_figures(&many).len(), FIGURES_MAX);
    }
}
