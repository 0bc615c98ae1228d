//! Who is connected to whom, and what deviates from the plan, on a family's page.

use crate::answers::family;
use crate::fake::{page, pages};
use lace_wire::beam::BeamReport;
use serde_json::{Value, json};

fn planned(n: usize) -> &'static [&'static str] {
    match n {
        1 => &["2", "3"],
        2 => &["1", "3"],
        3 => &["1", "2"],
        _ => &[],
    }
}

/// What node N of four says: 3 and 4 are gateways of two clusters, 1 and 2 belong to that of 3.
fn says(n: usize, nodes: &[&str], hidden: &[&str]) -> Value {
    let names = |all: &[&str]| all.iter().map(|name| format!("b@{name}")).collect::<Vec<_>>();
    let gateways: &[&str] = match n {
        3 => &["4"],
        4 => &["3"],
        _ => &[],
    };
    let report = BeamReport {
        name: format!("b@{n}"),
        planned: names(planned(n)),
        gateways: names(gateways),
        cluster: Some(if n == 4 { 2 } else { 1 }),
        nodes: names(nodes),
        hidden: names(hidden),
        ..BeamReport::default()
    };
    let mut node = json!(report);
    node["path"] = json!(format!("shop/web/web/{n}"));
    node
}

/// The signs of the drawing, a line for each node.
fn drawn(page: &str) -> Vec<String> {
    let mesh = page.split("<section id=\"mesh\">").nth(1).expect("a mesh").split("</section>").next();
    let rows = mesh.expect("its end").split("<tbody>").nth(1).expect("rows").split("</tr>");
    let sign = |cell: &str| Some(cell.split_once('>')?.1.split('<').next()?.to_owned());
    let signs = |row: &str| row.split("<td class=\"num\"").skip(1).filter_map(sign).collect::<String>();
    rows.filter(|row| row.contains("<tr>")).map(signs).collect()
}

/// A family of so many nodes, and what they say.
fn answers(nodes: usize, beam: Value) -> Vec<(&'static str, Value)> {
    let status = json!({
        "now": 1, "hosts": 1, "hosts_connected": 1, "adopt": false,
        "apps": [{"name": "shop", "health": "degraded", "families": [family(nodes)]}],
    });
    vec![
        ("/v1/status", status),
        ("/v1/apps/shop/export", json!({"services": {"web": {"beam": {}}}})),
        ("/v1/history", json!([])),
        ("/v1/pushes", json!({"url": null, "host_key": null, "keys": []})),
        ("/v1/why", json!({"target": "shop/web/web", "lines": []})),
        ("/v1/events", json!([])),
        ("/v1/releases", json!([])),
        ("/v1/beam", beam),
    ]
}

#[tokio::test]
async fn a_mesh_too_large_to_draw_is_told_in_numbers() {
    let says = |n: usize| says(1 + n % 3, if n == 7 { &[] } else { planned(1 + n % 3) }, &["4"]);
    let beam: Vec<_> = (0..60).map(says).collect();
    let (head, text) = page(&pages(answers(60, json!(beam))), "/apps/shop/web/web", false).await;
    let text = String::from_utf8(text).expect("text");
    assert_eq!(head.status, 200, "{text}");
    let mesh = text
        .split("<section id=\"mesh\">")
        .nth(1)
        .expect("a mesh")
        .split("</section>")
        .next()
        .expect("its end");
    let numbers: Vec<_> =
        mesh.split("<td class=\"num\">").skip(1).filter_map(|cell| cell.split('<').next()).collect();
    assert_eq!(numbers, ["60", "138", "140", "1"], "{mesh}");
    assert_eq!(mesh.matches("does not see").count(), 2, "{mesh}");
}

#[tokio::test]
async fn a_mesh_is_drawn_with_what_deviates_from_the_plan() {
    // 1 lost 3 and is connected to 4, which it should not be.
    let beam = [
        says(1, &["2", "4"], &[]),
        says(2, &["1", "3"], &[]),
        says(3, &["2"], &["4"]),
        says(4, &["1"], &["3"]),
    ];
    let (head, text) = page(&pages(answers(4, json!(beam))), "/apps/shop/web/web", false).await;
    let text = String::from_utf8(text).expect("text");
    assert_eq!(head.status, 200, "{text}");
    assert_eq!(drawn(&text), ["-*!?", "*-*.", "!*-+", "?.+-"]);
    for words in
        ["does not see b@3", "sees b@4, which is not planned", "does not see b@1", "connected out of sight"]
    {
        assert!(text.contains(words), "{words}");
    }
    assert!(text.contains("cluster 2"), "who is of which cluster");
    // Where nobody can be asked there is no mesh, and the page is there.
    let (head, text) = page(&pages(answers(4, Value::Null)), "/apps/shop/web/web", false).await;
    assert!(head.status == 200 && !String::from_utf8_lossy(&text).contains("id=\"mesh\""));
}
