//! What the doors of the hosts carried, for Prometheus.
//!
//! Routes and families have histograms; nodes, of which there are many, have sum and count. Labels are names of our
//! own: hosts, routes, families, nodes, classes and codes of faults.

use lace_model::traffic::{BUCKETS_MS, Carried, Series, Traffic};
use std::fmt::Write;
use std::sync::Arc;

/// A host's name, and what its door carried.
pub(super) type Door = (String, Arc<Traffic>);

/// All lines. Those of one name stand together, as the format wants.
pub(super) fn write(doors: &[Door], to: &mut String) {
    single(doors, to);
    let sort = |word, of, pick: fn(&Traffic) -> &[Series]| Sort { word, of, series: gather(doors, pick) };
    let stray: Vec<_> =
        doors.iter().map(|(host, traffic)| (host.as_str(), "-", "-", &traffic.stray)).collect();
    let mut routes = sort("route", "service", |t| &t.routes);
    routes.series.extend(stray);
    let (families, nodes) =
        (sort("family", "service", |t| &t.families), sort("node", "family", |t| &t.nodes));
    for sort in [&routes, &families, &nodes] {
        sort.counters(to);
        sort.times(to, sort.word != "node");
    }
}

/// Series of one kind of thing.
struct Sort<'a> {
    word: &'static str,
    of: &'static str,
    /// Host, name, owner, numbers.
    series: Vec<(&'a str, &'a str, &'a str, &'a Carried)>,
}

fn gather(doors: &[Door], pick: fn(&Traffic) -> &[Series]) -> Vec<(&str, &str, &str, &Carried)> {
    doors
        .iter()
        .flat_map(|(host, traffic)| {
            pick(traffic).iter().map(|s| (host.as_str(), s.name.as_str(), s.of.as_str(), &s.carried))
        })
        .collect()
}

/// Numbers that a door has once.
fn single(doors: &[Door], to: &mut String) {
    type Pick = fn(&Traffic) -> u64;
    let numbers: [(&str, &str, Pick); 3] = [
        ("lace_door_connections", "gauge", |t| t.connections),
        ("lace_door_series_left_out", "gauge", |t| t.left_out),
        ("lace_door_log_lines_dropped_total", "counter", |t| t.log_lines_dropped),
    ];
    for (name, kind, pick) in numbers {
        head(to, name, kind, doors.is_empty());
        for (host, traffic) in doors {
            let _ = writeln!(to, "{name}{{host={host:?}}} {}", pick(traffic));
        }
    }
}

// Writing to a string does not fail.
fn head(to: &mut String, name: &str, kind: &str, is_empty: bool) {
    if !is_empty {
        let _ = writeln!(to, "# TYPE {name} {kind}");
    }
}

impl Sort<'_> {
    fn each(
        &self,
        to: &mut String,
        name: &str,
        kind: &str,
        line: impl Fn(&mut String, &str, &str, &Carried),
    ) {
        let name = format!("lace_door_{}_{name}", self.word);
        head(to, &name, kind, self.series.is_empty());
        for (host, of_name, of, carried) in &self.series {
            let labels = format!("host={host:?},{}={of_name:?},{}={of:?}", self.word, self.of);
            line(to, &name, &labels, carried);
        }
    }

    fn counters(&self, to: &mut String) {
        self.each(to, "requests_total", "counter", |to, name, labels, carried| {
            for (class, count) in carried.classes.iter().enumerate().filter(|(_, count)| **count > 0) {
                let _ = writeln!(to, "{name}{{{labels},class=\"{}xx\"}} {count}", class + 1);
            }
        });
        self.each(to, "faults_total", "counter", |to, name, labels, carried| {
            for (fault, count) in &carried.faults {
                let _ = writeln!(to, "{name}{{{labels},fault={fault:?}}} {count}");
            }
        });
        type Pick = fn(&Carried) -> u64;
        let plain: [(&str, &str, Pick); 3] = [
            ("received_bytes_total", "counter", |c| c.received),
            ("sent_bytes_total", "counter", |c| c.sent),
            ("open", "gauge", |c| c.open),
        ];
        for (name, kind, pick) in plain {
            self.each(to, name, kind, |to, name, labels, carried| {
                let _ = writeln!(to, "{name}{{{labels}}} {}", pick(carried));
            });
        }
    }

    /// From the head of a request to the head of its answer.
    fn times(&self, to: &mut String, buckets: bool) {
        let kind = if buckets { "histogram" } else { "summary" };
        self.each(to, "response_seconds", kind, |to, name, labels, carried| {
            let mut count = 0;
            for (ms, more) in BUCKETS_MS.iter().zip(carried.buckets).filter(|_| buckets) {
                count += more;
                let _ = writeln!(to, "{name}_bucket{{{labels},le=\"{}\"}} {count}", seconds(*ms * 1_000));
            }
            let all = carried.answers();
            if buckets {
                let _ = writeln!(to, "{name}_bucket{{{labels},le=\"+Inf\"}} {all}");
            }
            let _ = writeln!(to, "{name}_sum{{{labels}}} {}", seconds(carried.time_us));
            let _ = writeln!(to, "{name}_count{{{labels}}} {all}");
        });
    }
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_prometheus_reads_them() {
        let mut carried = Carried { classes: [0, 3, 0, 0, 1], time_us: 1_500_000, ..Carried::default() };
        (carried.buckets[0], carried.buckets[3]) = (2, 1);
        carried.faults.insert("timeout".into(), 1);
        let series = |name: &str, of: &str| {
            vec![Series { name: name.into(), of: of.into(), carried: carried.clone() }]
        };
        let traffic = Traffic {
            connections: 7,
            routes: series("shop.example.com/", "shop/web"),
            nodes: series("shop/web/1", "shop/web/web"),
            ..Traffic::default()
        };
        let mut text = String::new();
        write(&[("vm".into(), Arc::new(traffic))], &mut text);
        let route = "host=\"vm\",route=\"shop.example.com/\",service=\"shop/web\"";
        for line in [
            "lace_door_connections{host=\"vm\"} 7".to_owned(),
            "# TYPE lace_door_route_requests_total counter".to_owned(),
            format!("lace_door_route_requests_total{{{route},class=\"2xx\"}} 3"),
            format!("lace_door_route_faults_total{{{route},fault=\"timeout\"}} 1"),
            format!("lace_door_route_response_seconds_bucket{{{route},le=\"0.001\"}} 2"),
            format!("lace_door_route_response_seconds_bucket{{{route},le=\"0.025\"}} 3"),
            format!("lace_door_route_response_seconds_bucket{{{route},le=\"10\"}} 3"),
            format!("lace_door_route_response_seconds_bucket{{{route},le=\"+Inf\"}} 4"),
            format!("lace_door_route_response_seconds_sum{{{route}}} 1.5"),
            "lace_door_node_response_seconds_count{host=\"vm\",node=\"shop/web/1\",family=\"shop/web/web\"} 4".to_owned(),
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(!text.contains("lace_door_node_response_seconds_bucket"));
        let heads: Vec<_> = text.lines().filter(|l| l.starts_with("# TYPE")).collect();
        let distinct: std::collections::BTreeSet<_> = heads.iter().collect();
        assert_eq!(heads.len(), distinct.len(), "one head for each name");
    }
}
