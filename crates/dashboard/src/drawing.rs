//! An application as a drawing: services in the order of their needs, their nodes inside, arrows to what they need or use.
//!
//! A layered drawing (after Sugiyama, Tagawa and Toda, 1981) without its crossing step: an application has few services.

use crate::words::{self, Markup, State, escaped};
use lace_model::ServiceName;
use lace_model::application::ApplicationSpec;
use lace_wire::api::{AppStatus, FamilyStatus};
use std::collections::BTreeMap;
use std::fmt::Write;

const BOX_WIDTH: usize = 220;
const BOX_GAP_X: usize = 90;
const BOX_GAP_Y: usize = 24;
const HEAD: usize = 50;
const DOT: usize = 18;
const DOTS_A_ROW: usize = 11;
/// Nodes drawn of one service; the rest is a number.
const DOTS_MAX: usize = 44;

/// A service on the drawing.
struct Place<'a> {
    name: &'a ServiceName,
    families: Vec<&'a FamilyStatus>,
    needs: Vec<Need<'a>>,
    clustered: bool,
    x: usize,
    y: usize,
    height: usize,
}

/// Why a service leans on another one.
struct Need<'a> {
    to: &'a ServiceName,
    /// The link by which it uses it; none where it only waits for it.
    link: Option<&'a str>,
}

/// What a service needs and uses, each once: a link says more than a need.
fn needs<'a>(name: &ServiceName, spec: &'a ApplicationSpec) -> Vec<Need<'a>> {
    let Some(service) = spec.services.get(name) else { return Vec::new() };
    let links = service.links.iter().flatten().map(|(link, to)| Need { to, link: Some(link) });
    let mut all: Vec<Need> = links.collect();
    for to in service.needs.iter().flatten() {
        if !all.iter().any(|need| need.to == to) {
            all.push(Need { to, link: None });
        }
    }
    all
}

/// The drawing, with its text for whoever does not see it.
pub fn of(app: &AppStatus, spec: &ApplicationSpec) -> Markup {
    let places = placed(app, spec);
    let width = places.values().map(|p| p.x + BOX_WIDTH).max().unwrap_or(0) + 4;
    let height = places.values().map(|p| p.y + p.height).max().unwrap_or(0) + 4;
    let mut svg = format!(
        "<div class=\"scroll drawing\" tabindex=\"0\" role=\"region\" aria-label=\"Drawing of {name}\"><svg viewBox=\"-2 -2 {width} {height}\" \
         width=\"{width}\" height=\"{height}\"><title>Services of {name} and what they need</title>\
         <defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" \
         orient=\"auto\"><path d=\"M0 0 8 4 0 8z\"/></marker></defs>",
        name = app.name
    );
    for place in places.values() {
        for need in &place.needs {
            let to = places.get(need.to);
            svg.extend(to.map(|to| arrow(place, to, need.link)));
        }
    }
    for place in places.values() {
        svg.push_str(&boxed(app, place));
    }
    svg.push_str("</svg></div>");
    Markup(svg)
}

fn placed<'a>(app: &'a AppStatus, spec: &'a ApplicationSpec) -> BTreeMap<&'a ServiceName, Place<'a>> {
    let mut families: BTreeMap<&ServiceName, Vec<&FamilyStatus>> = BTreeMap::new();
    for family in &app.families {
        families.entry(&family.path.service).or_default().push(family);
    }
    let mut bottoms: BTreeMap<usize, usize> = BTreeMap::new();
    let mut places = BTreeMap::new();
    for (name, families) in families {
        let service = spec.services.get(name);
        let needs = needs(name, spec);
        let layer = depth(name, spec, spec.services.len());
        let nodes = families.iter().map(|f| f.nodes.len()).sum::<usize>().clamp(1, DOTS_MAX);
        let height = HEAD + nodes.div_ceil(DOTS_A_ROW) * DOT + 12;
        let y = bottoms.entry(layer).or_default();
        let clustered = service.is_some_and(|s| s.beam.is_some());
        let x = layer * (BOX_WIDTH + BOX_GAP_X);
        places.insert(name, Place { name, families, needs, clustered, x, y: *y, height });
        *y += height + BOX_GAP_Y;
    }
    places
}

/// The longest way to a service that needs nothing; a ring of needs ends at the number of services.
fn depth(name: &ServiceName, spec: &ApplicationSpec, left: usize) -> usize {
    if left == 0 {
        return 0;
    }
    needs(name, spec).iter().map(|need| 1 + depth(need.to, spec, left - 1)).max().unwrap_or(0)
}

fn arrow(from: &Place<'_>, to: &Place<'_>, link: Option<&str>) -> String {
    let (x1, y1) = (from.x, from.y + from.height / 2);
    let (x2, y2) = (to.x + BOX_WIDTH, to.y + to.height / 2);
    let bend = BOX_GAP_X / 2;
    let (class, why) = match link {
        Some(link) => ("arrow link", format!("{} uses {} by its link {link}", from.name, to.name)),
        None => ("arrow", format!("{} needs {}", from.name, to.name)),
    };
    format!(
        "<path class=\"{class}\" marker-end=\"url(#arrow)\" d=\"M{x1} {y1}C{} {y1} {} {y2} {x2} {y2}\"><title>{}</title></path>",
        x1.saturating_sub(bend),
        x2 + bend,
        escaped(&why)
    )
}

fn boxed(app: &AppStatus, place: &Place<'_>) -> String {
    let worst = place.families.iter().map(|f| f.health).max();
    let state = worst.map_or(State::Off, words::of_health);
    let (ready, wanted) =
        place.families.iter().fold((0, 0), |(ready, wanted), f| (ready + f.ready, wanted + f.wanted));
    let mut svg = format!(
        "<g transform=\"translate({} {})\"><a href=\"/apps/{}/{}\"><rect class=\"box {}\" width=\"{BOX_WIDTH}\" height=\"{}\" rx=\"6\"/>\
         <text x=\"12\" y=\"21\" class=\"name\">{}</text><text x=\"12\" y=\"38\" class=\"small\">{ready} of {wanted} ready{}</text></a>",
        place.x,
        place.y,
        app.name,
        place.name,
        state.class(),
        place.height,
        place.name,
        if place.clustered { ", one cluster" } else { "" },
    );
    svg.push_str(&dots(place));
    svg.push_str("</g>");
    svg
}

fn dots(place: &Place<'_>) -> String {
    let mut svg = String::new();
    let nodes: Vec<_> = place.families.iter().flat_map(|f| &f.nodes).collect();
    if place.clustered && nodes.len() > 1 {
        svg.push_str(&mesh(nodes.len().min(DOTS_MAX)));
    }
    for (index, view) in nodes.iter().take(DOTS_MAX).enumerate() {
        let (x, y) = spot(index);
        let (state, word) = words::of_node(&view.status, view.host_connected);
        let page = words::node_page(&view.status.path);
        let title = escaped(&format!("{}: {word}, on {}", view.status.path.short(), view.host));
        let _ = write!(
            svg,
            "<a href=\"{page}\" aria-label=\"{title}\"><g class=\"dot {}\" transform=\"translate({} {})\"><title>{title}</title>\
             <rect width=\"14\" height=\"14\" rx=\"3\"/><path d=\"{}\" transform=\"translate(1 1)\"/></g></a>",
            state.class(),
            x - 7,
            y - 7,
            state.shape()
        );
    }
    if nodes.len() > DOTS_MAX {
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"38\" class=\"small end\">{} more</text>",
            BOX_WIDTH - 12,
            nodes.len() - DOTS_MAX
        );
    }
    svg
}

fn spot(index: usize) -> (usize, usize) {
    (19 + index % DOTS_A_ROW * DOT, HEAD + 7 + index / DOTS_A_ROW * DOT)
}

/// A line behind nodes of one cluster: they speak to each other.
fn mesh(count: usize) -> String {
    let rows = count.div_ceil(DOTS_A_ROW);
    let line = |row: usize| {
        let (x1, y) = spot(row * DOTS_A_ROW);
        let (x2, _) = spot((count - 1).min(row * DOTS_A_ROW + DOTS_A_ROW - 1));
        format!("M{x1} {y}H{x2}")
    };
    let path: String = (0..rows).map(line).collect();
    format!("<path class=\"mesh\" d=\"{path}\"/>")
}
