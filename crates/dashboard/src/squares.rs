//! Many things as squares: a few as links, thousands as one path for each state.

use crate::words::{self, Markup, State, escaped};
use lace_model::Name;
use lace_model::pool::Pool;
use lace_wire::api::{HostView, NodeView};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Up to so many squares are links of their own; beyond, the map is a picture with its numbers in words.
const LINKS_MAX: usize = 300;
/// Up to so many squares have their names beside them.
const NAMED_MAX: usize = 24;
/// Squares in one row of a picture.
const PICTURE_ROW: usize = 100;
/// Side of a square with its gap, in the picture's units.
const STEP: usize = 8;

/// One thing on the map.
struct Square {
    state: State,
    name: String,
    page: String,
    title: String,
}

/// Hosts by place: provider, region and zone of their pools, or what they say themselves.
pub fn of_hosts(hosts: &[HostView], pools: &[Pool]) -> Markup {
    let pools: BTreeMap<&Name, BTreeMap<String, String>> =
        pools.iter().map(|pool| (&pool.name, pool.known())).collect();
    let mut places: BTreeMap<String, Vec<Square>> = BTreeMap::new();
    for view in hosts {
        places.entry(place(view, &pools)).or_default().push(host(view));
    }
    let mut html = String::new();
    let alone = places.len() == 1;
    for (place, squares) in &places {
        if !alone || !place.is_empty() {
            let name = if place.is_empty() { "elsewhere" } else { place };
            let _ = write!(html, "<h3>{} <span class=\"dim\">{}</span></h3>", escaped(name), squares.len());
        }
        html.push_str(&map(squares));
    }
    Markup(html)
}

/// The nodes of a family.
pub fn of_nodes(nodes: &[NodeView]) -> Markup {
    let squares: Vec<_> = nodes.iter().map(node).collect();
    Markup(map(&squares))
}

fn place(view: &HostView, pools: &BTreeMap<&Name, BTreeMap<String, String>>) -> String {
    let pool = view.host.pool.as_ref().and_then(|pool| pools.get(pool));
    let known =
        |key: &&str| pool.and_then(|known| known.get(*key)).or_else(|| view.host.attributes.get(*key));
    let said = ["provider", "region", "zone"].iter().filter_map(known);
    said.cloned().collect::<Vec<_>>().join(" / ")
}

fn host(view: &HostView) -> Square {
    let (state, word) = words::of_host(view);
    let name = view.host.name.to_string();
    let memory = words::percent(view.memory_used, view.host.capacity.memory.0);
    let title = format!("{name}: {word}, {} nodes, {memory} % of memory promised", view.nodes);
    Square { state, page: format!("/hosts/{name}"), name, title }
}

fn node(view: &NodeView) -> Square {
    let (state, word) = words::of_node(&view.status, view.host_connected);
    let name = view.status.path.index.to_string();
    let title = format!("node {name}: {word}, on {}", view.host);
    Square { state, page: words::node_page(&view.status.path), name, title }
}

fn map(squares: &[Square]) -> String {
    if squares.len() > LINKS_MAX { picture(squares) } else { links(squares) }
}

fn links(squares: &[Square]) -> String {
    let named = squares.len() <= NAMED_MAX && squares.iter().any(|s| s.name.parse::<u32>().is_err());
    let mut html = format!("<ul class=\"squares{}\">", if named { " named" } else { "" });
    for s in squares {
        let (class, page, title) = (s.state.class(), escaped(&s.page), escaped(&s.title));
        let _ = write!(
            html,
            "<li><a class=\"square {class}\" href=\"{page}\" title=\"{title}\"><span class=\"hidden\">{title}</span>\
             <svg viewBox=\"0 0 12 12\" aria-hidden=\"true\"><path d=\"{}\"/></svg></a>{}</li>",
            s.state.shape(),
            if named {
                format!(" <span aria-hidden=\"true\">{}</span>", escaped(&s.name))
            } else {
                String::new()
            }
        );
    }
    html.push_str("</ul>");
    html
}

fn picture(squares: &[Square]) -> String {
    let rows = squares.len().div_ceil(PICTURE_ROW);
    let mut paths: BTreeMap<State, String> = BTreeMap::new();
    for (index, square) in squares.iter().enumerate() {
        let (x, y) = (index % PICTURE_ROW * STEP, index / PICTURE_ROW * STEP);
        let _ = write!(paths.entry(square.state).or_default(), "M{x} {y}h6v6h-6z");
    }
    let numbers = numbers(squares);
    let (width, height) = (PICTURE_ROW * STEP, rows * STEP);
    let mut html = format!(
        "<p class=\"dim\">{numbers}</p><svg class=\"picture\" role=\"img\" aria-label=\"{numbers}\" viewBox=\"0 0 {width} {height}\">"
    );
    for (state, path) in paths {
        let _ = write!(html, "<path class=\"{}\" d=\"{path}\"/>", state.class());
    }
    html.push_str("</svg>");
    html.push_str(&outstanding(squares));
    html
}

/// `9,998 good, 2 bad`, by state.
fn numbers(squares: &[Square]) -> String {
    let mut counts: BTreeMap<State, usize> = BTreeMap::new();
    for square in squares {
        *counts.entry(square.state).or_default() += 1;
    }
    let word = |state: &State| match state {
        State::Bad => "silent or failed",
        State::Poor => "in trouble",
        State::Moving => "on their way",
        State::Good => "well",
        State::Off | State::Said => "off",
    };
    counts.iter().map(|(state, n)| format!("{n} {}", word(state))).collect::<Vec<_>>().join(", ")
}

/// Those that are not well, by name: a picture cannot be read out.
fn outstanding(squares: &[Square]) -> String {
    let bad: Vec<_> = squares.iter().filter(|s| s.state <= State::Poor).take(LINKS_MAX).collect();
    if bad.is_empty() {
        return String::new();
    }
    let mut html = String::from("<ul class=\"outstanding\">");
    for s in bad {
        let (page, name, title) = (escaped(&s.page), escaped(&s.name), escaped(&s.title));
        let _ = write!(html, "<li><a href=\"{page}\" title=\"{title}\">{name}</a></li>");
    }
    html.push_str("</ul>");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squares(count: usize) -> Vec<Square> {
        let square = |n: usize| Square {
            state: if n == 7 { State::Bad } else { State::Good },
            name: format!("host-{n}"),
            page: format!("/hosts/host-{n}"),
            title: format!("host-{n}: connected"),
        };
        (0..count).map(square).collect()
    }

    #[test]
    fn few_are_links_and_many_a_picture() {
        assert_eq!(map(&squares(300)).matches("<a ").count(), 300);
        let many = map(&squares(10_000));
        assert_eq!(many.matches("<path ").count(), 2);
        assert_eq!(many.matches("<a ").count(), 1, "the one in trouble is named");
        assert!(many.len() < 250_000, "{} bytes", many.len());
    }
}
